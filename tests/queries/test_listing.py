"""Lists: each filter and order, stable pages while items come and go, and nothing that is not for the reader's eyes."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Media, PostChange
from app.errors import Invalid
from app.flow.change import keep_changes
from app.flow.claim import claim
from app.flow.close import close
from app.flow.enter_search import enter_search
from app.flow.ingest import ingest
from app.flow.note import note
from app.models.agent import Agent, Team, TeamMember
from app.models.item import Disposition, Item, State
from app.models.post import Author, Customer
from app.models.queue import Queue
from app.models.sight import visible_queues
from app.queries import desk, listing, worded
from app.queries.filters import Filter, Sort, decoded
from tests.company import NOW, Company, add_agent, items, make_company, post


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    return await make_company(session)


async def arrive(session: AsyncSession, company: Company, *numbers: int, **values: Any) -> list[int]:
    await ingest(session, company.feed, [post(n, **values) for n in numbers])
    return [item.id for item in await items(session)]


async def found(session: AsyncSession, me: Agent, text: str = "", sort: Sort = Sort.DUE) -> list[int]:
    page = await listing.listed(session, me, decoded(text), sort)
    assert await listing.count(session, me, decoded(text)) == len(page.rows)
    return [row.item_id for row in page.rows]


async def second_queue(session: AsyncSession, company: Company, team: Team | None = None) -> Queue:
    queue = Queue(name="Second", team_id=(team or company.team).id)
    session.add(queue)
    await session.flush()
    return queue


async def put(session: AsyncSession, item_id: int, **values: Any) -> None:
    await session.execute(update(Item).where(Item.id == item_id).values(**values))


async def test_each_filter_lets_through_what_it_says(session: AsyncSession, company: Company) -> None:
    one, two, three, four = await arrive(session, company, 1, 2, 3, 4)
    second = await second_queue(session, company)
    await put(session, one, language="de-AT", tags=["refund", "angry"], priority=1)
    await put(session, two, channel="mastodon", ready_at=Item.ready_at - timedelta(hours=5))
    await put(session, three, queue_id=second.id)
    author = await session.get_one(Author, (await session.get_one(Item, four)).author_id)
    await session.execute(update(Customer).where(Customer.id == author.customer_id).values(tier="gold"))
    await claim(session, company.finn, four)
    me = company.ayumi
    for text, wanted in (
        ("language=de", [one]), ("tag=refund", [one]), ("priority=1", [one]), ("channel=mastodon", [two]),
        (f"queue={second.id}", [three]), ("tier=gold", [four]), ("holder=nobody", [one, two, three]),
        (f"holder={company.finn.id}", [four]), ("holder=me", []), ("state=active", [four]),
        ("state=queued&state=active", [one, two, three, four]), ("tag=refund&tag=angry&priority=2", []), ("has=media", []),
    ):  # fmt: skip
        assert sorted(await found(session, me, text)) == wanted, text
    assert two in await found(session, me, "age=4h")


async def test_a_row_says_what_its_post_says_now(session: AsyncSession, company: Company) -> None:
    await arrive(session, company, 1)
    await keep_changes(session, company.feed, [PostChange("post-1", NOW, text="My boots arrived torn.")])
    [row] = (await listing.listed(session, company.ayumi, Filter(), Sort.DUE)).rows
    assert row.text == "My boots arrived torn."


async def test_media_are_looked_for_in_every_post_of_the_conversation(session: AsyncSession, company: Company) -> None:
    [item] = await arrive(session, company, 1)
    assert await found(session, company.ayumi, "has=media") == []
    picture = Media("image", url="https://example.com/tent.jpg")
    await ingest(session, company.feed, [post("b", thread_id="thread-1", media=(picture,))])
    assert await found(session, company.ayumi, "has=media") == [item]


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
async def test_words_are_looked_for_in_all_that_was_said_in_the_conversation(
    session: AsyncSession, company: Company, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    if many:
        monkeypatch.setattr(worded, "FEW", 0)
    said = {
        1: "My tent arrived torn.",
        2: "Das Zelt kam zerrissen an.",
        3: "The tent is fine.",
        4: "返金をお願いします",
    }
    await ingest(session, company.feed, [post(n, text) for n, text in said.items()])
    one, two, three, four = [item.id for item in await items(session)]
    await ingest(session, company.feed, [post("b", "The receipt is lost.", thread_id="thread-1", author="author-1")])
    await note(session, company.ayumi, two, "Called the warehouse.")
    while await enter_search(session):
        pass
    for text, wanted in (
        ("tent", [one, three]), ("tent torn", [one]), ('"tent is"', [three]), ("tent -torn", [three]), ("-tent", [two, four]),
        ("receipt", [one]), ("tent receipt", []), ("TENT -receipt", [three]), ("warehouse", [two]), ("from:ayumi", [two]),
        ("from:author-4", [four]), ("from:author-1 receipt", [one]), ("返金", [four]), ("nothing", []),
    ):  # fmt: skip
        asked = Filter(text=text).encoded()
        assert sorted(await found(session, company.ayumi, asked)) == wanted, text
        for sort in Sort:
            assert sorted(await found(session, company.ayumi, f"{asked}&state=queued", sort)) == wanted, (text, sort)
        [(count, _more)] = await listing.counts(session, company.ayumi, [Filter(text=text)])
        assert count == len(wanted)
    await claim(session, company.finn, three)
    assert await found(session, company.ayumi, "text=tent&state=active") == [three]
    shop = Team(name="Shop")
    session.add(shop)
    await session.flush()
    stranger = await add_agent(session, shop, "Stranger")
    assert await found(session, stranger, "text=tent") == []


async def test_each_order_is_what_it_says(session: AsyncSession, company: Company) -> None:
    one, two, three = await arrive(session, company, 1, 2, 3)
    base = (await session.get_one(Item, one)).ready_at
    for item_id, due, rank, ready, followers in ((one, 3, 1, 2, 10), (two, 1, 2, 3, None), (three, 2, 3, 1, 500)):
        at = {"due_at": due, "rank": rank, "ready_at": ready, "opened_at": ready}
        await put(session, item_id, **{key: base + timedelta(minutes=value) for key, value in at.items()})
        author = select(Item.author_id).where(Item.id == item_id).scalar_subquery()
        await session.execute(update(Author).where(Author.id == author).values(followers=followers))
    for sort, wanted in (
        (Sort.DUE, [two, three, one]), (Sort.RANK, [one, two, three]), (Sort.WAIT, [three, one, two]),
        (Sort.REACH, [three, one, two]), (Sort.NEW, [two, one, three]),
    ):  # fmt: skip
        assert await found(session, company.ayumi, "", sort) == wanted, sort


@pytest.mark.parametrize("sort", list(Sort))
async def test_pages_neither_skip_nor_repeat_while_items_come_and_go(
    session: AsyncSession, company: Company, sort: Sort
) -> None:
    there = await arrive(session, company, *range(10))
    second = await second_queue(session, company)
    for item_id in there[::2]:
        await put(session, item_id, queue_id=second.id)
    seen: list[int] = []
    gone = set()
    after = None
    for number in range(20):
        page = await listing.listed(session, company.ayumi, Filter(), sort, after=after, most=3)
        seen += [row.item_id for row in page.rows]
        if page.after is None:
            break
        after = listing.place_of(page.after.named(), sort)
        await arrive(session, company, 100 + number)  # somewhere before or after
        last = seen[-1]
        await claim(session, company.finn, last)
        await close(session, company.finn, last, Disposition.NO_REPLY)
        gone.add(last)
    assert len(seen) == len(set(seen))
    assert set(there) <= set(seen)
    assert gone <= set(seen)


async def test_ended_items_are_listed_when_their_state_is_named(session: AsyncSession, company: Company) -> None:
    one, two = await arrive(session, company, 1, 2)
    await close(session, company.ayumi, one, Disposition.SPAM)
    assert await found(session, company.ayumi) == [two]
    assert await found(session, company.ayumi, "state=closed", Sort.NEW) == [one]
    assert sorted(await found(session, company.ayumi, "state=closed&state=queued")) == [one, two]


async def test_nothing_of_another_team_is_listed_or_counted(session: AsyncSession, company: Company) -> None:
    one, two = await arrive(session, company, 1, 2)
    shop = Team(name="Shop")
    session.add(shop)
    await session.flush()
    other = await second_queue(session, company, shop)
    stranger = await add_agent(session, shop, "Stranger")
    await put(session, two, queue_id=other.id)
    assert await found(session, company.ayumi) == [one]
    assert await found(session, stranger) == [two]
    for text in (f"queue={other.id}", f"queue={other.id}&state=queued", "holder=nobody"):
        assert two not in await found(session, company.ayumi, text), text
    rail = await desk.rail(session, company.ayumi.id, visible_queues(company.ayumi))
    assert (rail.open, rail.waiting) == (1, 1)


async def test_what_one_holds_oneself_is_listed_even_from_a_queue_one_no_longer_sees(
    session: AsyncSession, company: Company
) -> None:
    [one] = await arrive(session, company, 1)
    await claim(session, company.finn, one)
    team = await session.get_one(TeamMember, (company.team.id, company.finn.id))
    await session.delete(team)
    await session.flush()
    assert await found(session, company.finn) == [one]
    assert await found(session, company.finn, "state=active&holder=me") == [one]


async def test_a_count_stops_at_its_bound(session: AsyncSession, company: Company) -> None:
    await arrive(session, company, *range(5))
    assert await listing.count(session, company.ayumi, Filter(), most=3) == 3


async def test_the_rail_tells_how_many_of_those_who_wait_are_still_in_time(
    session: AsyncSession, company: Company
) -> None:
    one, *_others = await arrive(session, company, 1, 2, 3, 4)
    await session.execute(update(Item).values(due_at=Item.due_at + timedelta(days=400)))
    await put(session, one, due_at=Item.opened_at - timedelta(hours=1))
    [line] = (await desk.rail(session, company.ayumi.id, visible_queues(company.ayumi))).lines
    assert (line.waiting, line.in_time, line.share) == (4, 3, 75)


@pytest.mark.parametrize("named", ["x", "2026-11-22T09:00:00~1", "~", "5~", "2026-11-22T09:00:00+00:00~" + "9" * 30])
def test_a_place_that_makes_no_sense_is_refused(named: str) -> None:
    with pytest.raises(Invalid):
        listing.place_of(named, Sort.DUE)


def test_states_are_split_into_open_and_ended() -> None:
    assert decoded("state=closed&state=active").open_states == {State.ACTIVE}
    assert decoded("state=closed&state=active").ended_states == {State.CLOSED}
