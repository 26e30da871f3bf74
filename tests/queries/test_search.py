"""Search over what was said: every script, every operator, newest first, and nothing that is not for one's eyes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor, Media, PostChange
from app.errors import Invalid
from app.flow.change import keep_changes
from app.flow.claim import claim
from app.flow.close import close
from app.flow.enter_search import enter_search, waiting
from app.flow.ingest import ingest
from app.flow.note import note
from app.models.agent import Agent, Team, TeamMember
from app.models.item import Disposition, Item
from app.models.post import Customer, Post
from app.models.queue import Queue
from app.models.reply import Reply, ReplyState
from app.queries import search as searching
from app.queries.asked import parse
from app.queries.search import Found, search
from tests.company import NOW, Company, add_agent, make_company, post

SAID = {
    "en": "My TENT arrived torn, nobody answers. Refund please!",
    "de": "Das Zelt für Frühjahr kam zerrissen an, bitte erstatten",
    "ja": "テントが破れて届きました。返金をお願いします",
    "th": "เต็นท์ขาดมาก ขอเงินคืน",
    "ar": "وصلت الخَيْمَة ممزقة وأريد استرداد المال",
    "ko": "텐트가 찢어진 채로 왔어요 환불해 주세요",
    "emoji": "still waiting 😡 order NW-4711",
}


BEGIN = NOW - timedelta(days=1)


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    made = await make_company(session)
    posts = [
        post(name, said, posted_at=BEGIN + timedelta(minutes=n), language=name if len(name) == 2 else "en")
        for n, (name, said) in enumerate(SAID.items())
    ]
    await ingest(session, made.feed, posts)
    await entered(session)
    return made


async def entered(session: AsyncSession) -> None:
    while await enter_search(session):
        pass


async def names(session: AsyncSession, me: Agent, typed: str) -> list[str]:
    """The names of the posts that are found: the part of the handle behind the dash."""
    return [hit.handle.partition("-")[2] or hit.kind for hit in (await search(session, me, parse(typed))).hits]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("tent", ["en"]), ("refund tent", ["en"]), ("TÉNT", ["en"]), ('"nobody answers"', ["en"]), ('"answers nobody"', []),
        ("zelt -zerrissen", []), ("fruhjahr", ["de"]), ("frühj", ["de"]), ("返金", ["ja"]), ("破れて届き", ["ja"]), ("金返", []),
        ("金", ["ja"]), ("เงินคืน", ["th"]), ("الخيمة", ["ar"]), ("환불", ["ko"]), ("😡", ["emoji"]), ("NW-4711", ["emoji"]),
        ('"4711 nw"', []), ("lang:ja", ["ja"]), ("lang:de bitte", ["de"]), ("-lang:ja 返金", []), ("from:author-ja", ["ja"]),
        ("channel:webhook tent", ["en"]), ("channel:rss tent", []), ("queue:general 返金", ["ja"]), ("state:queued zelt", ["de"]),
        ("state:closed zelt", []), ("-state:closed zelt", ["de"]), ("has:media", []), ("tag:x", []), ("before:2026-11-21", []),
        ("after:2026-11-21 zelt", ["de"]), ("from:nobodyatall", []),
    ],
)  # fmt: skip
async def test_what_was_said_is_found(session: AsyncSession, company: Company, typed: str, found: list[str]) -> None:
    assert await names(session, company.ayumi, typed) == found


async def test_the_newest_comes_first_and_pages_neither_skip_nor_repeat(
    session: AsyncSession, company: Company
) -> None:
    everything = await names(session, company.ayumi, "channel:webhook")
    assert everything == list(SAID)[::-1]
    seen: list[str] = []
    after = None
    for _page in range(9):
        page = await search(session, company.ayumi, parse("channel:webhook"), after, most=2)
        seen += [hit.handle.partition("-")[2] for hit in page.hits]
        after = page.after
        if after is None:
            break
        await ingest(session, company.feed, [post(f"late{len(seen)}", "new", posted_at=BEGIN + timedelta(hours=1))])
        await entered(session)
    assert seen == everything


async def test_a_walk_back_in_time_finds_the_same_as_the_index(
    session: AsyncSession, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["tent", "返金", '"nobody answers"', "-tent channel:webhook", "lang:ko", "from:author-th"]
    before = [await names(session, company.ayumi, one) for one in typed]
    monkeypatch.setattr(searching, "FEW", 0)
    assert [await names(session, company.ayumi, one) for one in typed] == before


async def test_a_walk_that_ends_says_how_far_it_looked_and_goes_on_from_there(
    session: AsyncSession, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "FEW", 0)
    monkeypatch.setattr(searching, "WALK", 3)
    first = await search(session, company.ayumi, parse("tent"))
    assert not first.hits
    assert first.looked_to == BEGIN + timedelta(minutes=4)
    after, found = first.after, []
    while after is not None:
        page = await search(session, company.ayumi, parse("tent"), after)
        found += list(page.hits)
        after = page.after
    assert [hit.handle for hit in found] == ["author-en"]


async def test_replies_and_notes_are_found_and_drafts_are_not(session: AsyncSession, company: Company) -> None:
    first = await item_of(session, "en")
    await claim(session, company.ayumi, first.id)
    await note(session, company.ayumi, first.id, "Called the warehouse about it.")
    values: dict[str, Any] = {
        "item_id": first.id, "conversation_id": first.conversation_id, "post_id": first.post_id, "channel": "webhook",
        "agent_id": company.ayumi.id, "visibility": "public",
    }  # fmt: skip
    reply = Reply(text="A new warehouse parcel is on its way.", state=ReplyState.SENT, **values)
    session.add_all([reply, Reply(text="warehouse, half a thought", state=ReplyState.DRAFT, **values)])
    await session.flush()
    await entered(session)
    assert sorted(await names(session, company.finn, "warehouse")) == ["note", "reply"]
    assert sorted(await names(session, company.finn, "warehouse from:ayumi")) == ["note", "reply"]
    assert await names(session, company.finn, "warehouse from:me") == []
    await session.delete(await session.scalar(select(Reply).where(Reply.state == ReplyState.DRAFT)))
    await session.flush()
    reply.state = ReplyState.DRAFT
    await session.flush()
    await entered(session)
    assert await names(session, company.finn, "warehouse") == ["note"]


async def test_what_was_edited_is_found_as_it_stands_and_what_was_wiped_is_not(
    session: AsyncSession, company: Company
) -> None:
    changes = [PostChange("post-en", NOW, text="My boots arrived torn")]
    await keep_changes(session, company.feed, changes)
    await entered(session)
    assert await names(session, company.ayumi, "boots") == ["en"]
    assert await names(session, company.ayumi, "tent") == []
    await session.execute(update(Post).where(Post.external_id == "post-de").values(text=""))
    await entered(session)
    assert await names(session, company.ayumi, "zelt") == []


async def test_media_tags_and_states_are_those_of_the_moment(session: AsyncSession, company: Company) -> None:
    picture = Media("image", url="https://example.com/tent.jpg")
    await ingest(session, company.feed, [post("pic", "look at this", media=(picture,))])
    await entered(session)
    assert await names(session, company.ayumi, "has:media") == ["pic"]
    first = await item_of(session, "en")
    await session.execute(update(Item).where(Item.id == first.id).values(tags=["Refund"]))
    assert await names(session, company.ayumi, "tag:refund") == ["en"]
    assert "en" not in await names(session, company.ayumi, "-tag:refund channel:webhook")
    await close(session, company.ayumi, first.id, Disposition.SPAM)
    assert await names(session, company.ayumi, "state:closed") == ["en"]
    assert "en" not in await names(session, company.ayumi, "state:open")


async def item_of(session: AsyncSession, name: str) -> Item:
    found = select(Item).join(Post, Post.id == Item.post_id).where(Post.external_id == f"post-{name}")
    return (await session.scalars(found.execution_options(populate_existing=True))).one()


async def other_team(session: AsyncSession) -> tuple[Queue, Agent]:
    shop = Team(name="Shop")
    session.add(shop)
    await session.flush()
    queue = Queue(name="Orders", team_id=shop.id)
    session.add(queue)
    await session.flush()
    return queue, await add_agent(session, shop, "Stranger")


TRIES = [
    "tent",
    '"nobody answers"',
    "from:author-en",
    "state:queued",
    "lang:en",
    "channel:webhook",
    "after:2020",
    "author-en",
    "athor-en",
    "-zelt",
]


@pytest.mark.parametrize("few", [True, False], ids=["by index", "by walking"])
@pytest.mark.parametrize("typed", TRIES)
async def test_an_agent_never_finds_what_they_may_not_see(
    session: AsyncSession, company: Company, monkeypatch: pytest.MonkeyPatch, typed: str, few: bool
) -> None:
    if not few:
        monkeypatch.setattr(searching, "FEW", 0)
    _queue, stranger = await other_team(session)
    found = await search(session, stranger, parse(typed))
    assert found == Found()


async def test_what_may_be_found_follows_the_item_to_its_new_queue_at_once(
    session: AsyncSession, company: Company
) -> None:
    queue, stranger = await other_team(session)
    first = await item_of(session, "en")
    await session.execute(update(Item).where(Item.id == first.id).values(queue_id=queue.id))
    assert await names(session, company.ayumi, "tent") == []  # before anything is entered again
    await entered(session)
    assert await names(session, company.ayumi, "tent") == []
    assert await names(session, stranger, "tent") == ["en"]
    with pytest.raises(Invalid, match="General"):
        await search(session, company.ayumi, parse("queue:orders tent"))


async def test_what_one_holds_is_found_from_a_queue_one_no_longer_sees(session: AsyncSession, company: Company) -> None:
    first = await item_of(session, "en")
    await claim(session, company.finn, first.id)
    await session.delete(await session.get_one(TeamMember, (company.team.id, company.finn.id)))
    await session.flush()
    assert await names(session, company.finn, "tent") == ["en"]
    assert await names(session, company.finn, "zelt") == []


async def test_people_are_found_by_names_that_are_a_little_wrong(session: AsyncSession, company: Company) -> None:
    await ingest(
        session,
        company.feed,
        [replace(post("p", "hello"), author=IncomingAuthor("lena", handle="@lena_b", name="Lena Brandt"))],
    )
    await entered(session)
    for typed in ("lena brandt", "lena brant", "Lenna Brandt", "brandt"):
        [person] = (await search(session, company.ayumi, parse(typed))).people[:1]
        assert person.name == "Lena Brandt", typed
    _queue, stranger = await other_team(session)
    assert not (await search(session, stranger, parse("lena brandt"))).people
    await session.execute(update(Customer).where(Customer.name == "Lena Brandt").values(name="Łena Ferrari"))
    await entered(session)
    assert [person.handle for person in (await search(session, company.ayumi, parse("ferari"))).people] == ["@lena_b"]


async def test_what_changes_is_listed_by_the_database_itself_and_entered_once(
    session: AsyncSession, company: Company
) -> None:
    assert await waiting(session) == 0
    await ingest(session, company.feed, [post("x", "one"), post("y", "two")])
    assert await waiting(session) == 4  # two posts, two people
    assert await enter_search(session, most=3) == 3
    assert await enter_search(session, most=3) == 1
    assert await waiting(session) == 0
    await ingest(session, company.feed, [post("x", "one")])
    assert await waiting(session) == 0
    assert await session.scalar(select(Post.text).where(Post.text == "one")) == "one"
