"""Which of our accounts answers: those that can are offered, the chosen one is frozen, and all of them are us."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors import registry
from app.connectors.base import IncomingAuthor
from app.errors import Invalid
from app.flow.answerable import answerable
from app.flow.draft import load_draft, save_draft
from app.flow.ingest import ingest
from app.flow.reply import undo
from app.flow.sealed import revealed, sealed_for
from app.models.account import Account, Budget
from app.models.item import Item
from app.models.post import Post
from app.models.reply import Reply, ReplyState
from app.vault import Vault
from tests.company import post
from tests.connectors.fakes.mastodon import HOST, FakeMastodon
from tests.postoffice import KEY, Office, post_office

OTHER = "@northwindcare"


@pytest.fixture
async def office(engine: AsyncEngine) -> AsyncIterator[Office]:
    async with post_office(engine, FakeMastodon(), "mastodon") as opened:
        async with opened.sessions.begin() as session:
            feed = await session.merge(opened.company.feed)
            us = await session.get_one(Account, feed.account_id)
            us.external_id, us.handle = f"https://{HOST}/@northwindhelp", f"northwindhelp@{HOST}"
        yield opened


async def second(office: Office, host: str = HOST, **more: object) -> int:
    """Another account of ours, on the same server unless told otherwise."""
    values = {"channel": "mastodon", "external_id": f"https://{host}/@care", "handle": f"care@{host}", **more}
    async with office.sessions.begin() as session:
        account = Account(name=OTHER, **values)
        session.add(account)
        await session.flush()
        account.sealed = Vault([KEY]).seal(revealed(office.fake.credentials()), sealed_for(account.id))
        return account.id


async def offered(office: Office, item: Item) -> list[str]:
    async with office.sessions() as session:
        return [one.name for one in (await answerable(session, item)).identities]


async def test_the_addressed_account_is_offered_first_and_one_on_the_same_server_too(office: Office) -> None:
    await second(office)
    assert await offered(office, await office.ask()) == ["@northwindhelp", OTHER]


@pytest.mark.parametrize(
    "more", [{"host": "elsewhere.example"}, {"channel": "bluesky"}, {"external_id": None}, {"needs_reconnect": True}]
)
async def test_an_account_that_cannot_use_the_post_is_not_offered(office: Office, more: dict[str, str]) -> None:
    await second(office, **more)
    assert await offered(office, await office.ask()) == ["@northwindhelp"]


async def test_what_was_written_to_one_account_alone_is_answered_by_it(office: Office) -> None:
    await second(office)
    assert await offered(office, await office.ask(direct=True)) == ["@northwindhelp"]


@pytest.mark.parametrize(("channel", "able"), [("bluesky", True), ("demo", True), ("rss", False), ("webhook", False)])
def test_a_channel_says_whether_one_account_can_answer_for_another(channel: str, able: bool) -> None:
    ours, asked = IncomingAuthor("did:plc:a", "a.example"), IncomingAuthor("did:plc:b", "b.example")
    assert registry.get(channel).stands_in(ours, asked) is able


async def test_the_chosen_account_sends_with_its_own_credentials_and_spends_its_own_allowance(office: Office) -> None:
    other = await second(office)
    held = await office.hold(await office.ask(), account_id=other)
    assert held.account_id == other
    async with office.sessions.begin() as session:
        await session.execute(update(Account).where(Account.id != other).values(sealed=None))
    sent = await office.go(held.id)
    assert (sent.state, sent.account_id) == (ReplyState.SENT, other)
    async with office.sessions() as session:
        assert await session.get(Budget, f"account:{other}") is not None


async def test_an_account_that_cannot_answer_is_refused_by_the_server(office: Office) -> None:
    other = await second(office, "elsewhere.example")
    with pytest.raises(Invalid, match="cannot answer this post") as refusal:
        await office.hold(await office.ask(), account_id=other)
    assert refusal.value.field == "account_id"
    async with office.sessions() as session:
        assert await session.scalar(select(Reply)) is None


async def test_the_choice_is_kept_with_the_draft_and_comes_back_with_an_undo(office: Office) -> None:
    other = await second(office)
    item, ayumi = await office.ask(), office.company.ayumi
    async with office.sessions.begin() as session:
        draft = await save_draft(session, ayumi, item.id, "We look", "public", account_id=other)
        kept = await save_draft(session, ayumi, item.id, "We look into it.", "public", seen=draft.version)
        assert kept.account_id == other
    held = await office.hold(item, "We look into it.", key=kept.key, account_id=other)
    async with office.sessions.begin() as session:
        await undo(session, ayumi, held.id)
        back = await load_draft(session, ayumi, item.id)
        assert back is not None
        assert back.account_id == other


async def test_a_draft_takes_no_account_of_another_channel(office: Office) -> None:
    other = await second(office, channel="bluesky")
    item = await office.ask()
    async with office.sessions() as session:
        with pytest.raises(Invalid, match="cannot answer this post"):
            await save_draft(session, office.company.ayumi, item.id, "We look", "public", account_id=other)


async def test_a_post_of_any_account_of_ours_is_our_own_and_never_queued(office: Office) -> None:
    await second(office)
    ours = post(1, "We are open on Sunday.", author=f"https://{HOST}/@care")
    async with office.sessions.begin() as session:
        await ingest(session, office.company.feed, [ours, post(2)])
    async with office.sessions() as session:
        stored = select(Post.external_id, Post.own).order_by(Post.external_id)
        assert (await session.execute(stored)).all() == [("post-1", True), ("post-2", False)]
        assert len((await session.scalars(select(Item))).all()) == 1
