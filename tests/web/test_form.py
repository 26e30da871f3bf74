"""The feedback form as a stranger's browser meets it, without scripts and cookies."""

import base64
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.ingest import ingest
from app.flow.sealed import revealed, sealed_for
from app.models.account import Account
from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Conversation, Post
from app.models.reply import Reply, ReplyState
from app.settings import Settings
from app.vault import Vault
from tests.connectors.fakes.form import FakeForm
from tests.flow.test_ingest_mail import mail
from tests.web.conftest import HOST, Browser

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]
pytestmark = pytest.mark.usefixtures("house")
SAID = {"text": "My tent is torn.\r\nHelp!", "address": "Ann@cust.test", "name": "Ann", "consent": "1"}


@pytest.fixture
def visitor(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("203.0.113.7", 1)), base_url=HOST)


async def form_of(sessions: Sessions, settings: Settings, *, account: bool = True, **more: Any) -> int:
    """A form with a mail account."""
    async with sessions.begin() as session:
        mailbox = Account(channel="email", name="care", external_id="mailbox:care@brand.test")
        session.add(mailbox)
        await session.flush()
        mailbox.sealed = Vault.load(settings).seal(revealed(FakeForm().credentials()), sealed_for(mailbox.id))
        asked = {"title": "Write to Brand", "consent": "I agree to be answered.", "sites": ["https://www.brand.test"]}
        feed = Feed(
            name="Form", channel="form", account_id=mailbox.id if account else None, settings=asked | more, cursor={}
        )
        session.add(feed)
        await session.flush()
        return feed.id


def token(settings: Settings, feed_id: int, age: timedelta = timedelta(minutes=1), name: str = "ABCD-EFGH-IJKL") -> str:
    """A page's token, as if it had been drawn some time ago."""
    said = f"{(datetime.now(UTC) - age).timestamp()} {name}".encode()
    return base64.urlsafe_b64encode(Vault.load(settings).seal(said, f"form:{feed_id}")).decode()


async def everything(sessions: Sessions, table: Any) -> list[Any]:
    async with sessions() as session:
        return list(await session.scalars(select(table)))


async def test_a_message_becomes_an_item_and_its_writer_gets_a_reference(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    page = await visitor.get(f"/forms/{feed_id}")
    assert "Write to Brand" in page.text
    assert "<script" not in page.text
    sent = await visitor.post(f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id)})
    assert sent.headers["location"] == f"/forms/{feed_id}/receipts/ABCD-EFGH-IJKL"
    assert "ABCD-EFGH-IJKL" in (await visitor.get(sent.headers["location"])).text
    [post] = await everything(sessions, Post)
    assert (post.text, post.visibility, post.ref["to"]) == ("My tent is torn.\nHelp!", "direct", "ann@cust.test")
    assert post.payload["consent"] == "I agree to be answered."
    assert len(await everything(sessions, Item)) == 1
    assert not visitor.cookies


async def test_a_receipt_goes_out_in_fixed_words_once_an_hour(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    for name in ("ABCD-EFGH-IJKL", "MNOP-QRST-UVWX"):
        await visitor.post(f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id, name=name)})
    [receipt] = await everything(sessions, Reply)
    assert (receipt.agent_id, receipt.state) == (None, ReplyState.HELD)
    assert "ABCD-EFGH-IJKL" in receipt.text
    assert "tent" not in receipt.text


@pytest.mark.parametrize("more", [{"receipt": False}, {"account": False}], ids=str)
async def test_no_receipt_is_sent_where_none_is_wanted_or_possible(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings, more: dict[str, Any]
) -> None:
    feed_id = await form_of(sessions, settings, **more)
    await visitor.post(f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id)})
    assert not await everything(sessions, Reply)
    assert len(await everything(sessions, Item)) == 1


async def test_a_page_that_is_sent_twice_is_one_message(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    once = SAID | {"token": token(settings, feed_id)}
    answers = [await visitor.post(f"/forms/{feed_id}", data=once) for _ in range(2)]
    assert {one.headers["location"] for one in answers} == {f"/forms/{feed_id}/receipts/ABCD-EFGH-IJKL"}
    assert len(await everything(sessions, Post)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": " "}, "Write your message first"),
        ({"text": "x" * 10_001}, "too long"),
        ({"address": ""}, "Give your e-mail address"),
        ({"address": "ann"}, "Check your e-mail address"),
        ({"address": "a@b.test\nBcc: c@d.test"}, "Check your e-mail address"),
        ({"consent": ""}, "Tick the box"),
        ({"website": "https://spam.test"}, "for machines"),
        ({"token": "nonsense"}, "open for long"),
    ],
)
async def test_what_is_wrong_stands_in_the_form_and_nothing_typed_is_lost(
    visitor: httpx.AsyncClient,
    sessions: Sessions,
    settings: Settings,
    change: dict[str, str],
    said: str,
) -> None:
    feed_id = await form_of(sessions, settings)
    answer = await visitor.post(f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id)} | change)
    assert answer.status_code == 422
    assert said in answer.text
    assert ("My tent is torn." in answer.text) == ("text" not in change)
    assert not await everything(sessions, Post)


@pytest.mark.parametrize(("age", "said"), [(timedelta(seconds=1), "very quick"), (timedelta(days=2), "open for long")])
async def test_too_quick_and_too_late_are_asked_to_send_once_more(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings, age: timedelta, said: str
) -> None:
    feed_id = await form_of(sessions, settings)
    answer = await visitor.post(f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id, age)})
    assert said in answer.text
    fresh = re.findall(r'name="token" value="([^"]+)"', answer.text)
    assert fresh


async def test_a_token_of_another_form_is_worth_nothing(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    answer = await visitor.post(f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id + 1)})
    assert answer.status_code == 422


async def test_many_messages_from_one_place_have_to_wait(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    letters = "ABCDEFG"
    answers = [
        await visitor.post(
            f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id, name=f"{c * 4}-AAAA-AAAA")}
        )
        for c in letters
    ]
    assert [one.status_code for one in answers] == [303] * 5 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 60
    assert "My tent is torn." in answers[-1].text


async def test_only_the_sites_that_were_named_may_show_it_in_a_frame(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    shown = await visitor.get(f"/forms/{await form_of(sessions, settings)}?embed=1")
    assert "frame-ancestors https://www.brand.test" in shown.headers["content-security-policy"]
    assert "x-frame-options" not in shown.headers
    closed = await visitor.get(f"/forms/{await form_of(sessions, settings, sites=[])}")
    assert "frame-ancestors 'none'" in closed.headers["content-security-policy"]


async def test_it_speaks_the_readers_language_and_keeps_the_companys_words(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    page = await visitor.get(f"/forms/{feed_id}", headers={"accept-language": "ar"})
    assert '<html lang="ar" dir="rtl">' in page.text
    assert "I agree to be answered." in page.text


@pytest.mark.parametrize("path", ["/forms/999999", "/forms/{id}/receipts/<b>", "/forms/{other}"])
async def test_there_is_nothing_elsewhere(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings, path: str
) -> None:
    feed_id = await form_of(sessions, settings)
    async with sessions.begin() as session:
        other = Feed(name="Blog", channel="rss", settings={}, cursor={})
        session.add(other)
        await session.flush()
        path = path.format(id=feed_id, other=other.id)
    assert (await visitor.get(path)).status_code == 404


async def test_another_site_cannot_send_it_for_a_visitor(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    answer = await visitor.post(
        f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id)}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403


async def test_deliveries_by_program_are_not_taken(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    assert (await visitor.post(f"/hooks/{feed_id}", content=b"{}")).status_code == 404


async def test_an_answer_to_our_mail_goes_on_in_the_forms_conversation_and_an_outsiders_does_not(
    visitor: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    feed_id = await form_of(sessions, settings)
    await visitor.post(f"/forms/{feed_id}", data=SAID | {"token": token(settings, feed_id)})
    async with sessions.begin() as session:
        receipt = (await session.scalars(select(Reply))).one()
        receipt.state, receipt.external_id = ReplyState.SENT, "ours"
        mailbox = Feed(name="Mailbox", channel="email", settings={}, cursor={}, synced_at=datetime.now(UTC))
        session.add(mailbox)
        await session.flush()
        await ingest(session, mailbox, [mail(1, above=("ours",)), mail(2, by="mal@evil.test", above=("ours",))])
    async with sessions() as session:
        posts = select(Conversation.channel, func.count()).join(Post).group_by(Conversation.channel)
        assert dict(row for row in await session.execute(posts)) == {"form": 2, "email": 1}


async def test_the_admin_finds_the_address_and_the_frame_on_the_feeds_page(
    sign_in: SignIn, sessions: Sessions, settings: Settings
) -> None:
    admin = await sign_in("admin")
    feed_id = await form_of(sessions, settings)
    page = await admin.get(f"/admin/feeds/{feed_id}")
    assert f"{HOST}/forms/{feed_id}" in page.text
    assert "&lt;iframe" in page.text
    assert "/hooks/" not in page.text
