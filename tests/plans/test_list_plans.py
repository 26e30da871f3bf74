"""Every list of the desk, and the search, at a hundred thousand items: no query reads a whole table, whatever is asked."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.models.agent import Agent, Role
from app.models.sight import visible_queues
from app.queries import desk, listing
from app.queries.asked import parse
from app.queries.filters import Filter, Sort, decoded
from app.queries.names import people
from app.queries.search import search
from tests.plans.explain import all_statements, reads_all_of

BIG = {"item", "post", "conversation", "event", "offer", "reply", "search_entry", "author"}


WORDED = ["text=tent", "text=quizzaciously", "text=tent+-torn&state=queued", "text=from:ada&queue=2", "text=-hello"]


@pytest.mark.parametrize("who", [1, 2], ids=["agent", "admin"])
@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize(
    "asked", ["", "state=queued", "queue=2&state=queued", "holder=me", "channel=rss&has=media", *WORDED]
)
async def test_no_list_reads_the_whole_table(busy: AsyncSession, asked: str, sort: Sort, who: int) -> None:
    me = await busy.get_one(Agent, who)
    assert me.is_at_least(Role.ADMIN) == (who == 2)
    key = 0 if sort == Sort.REACH else "2026-11-22T09:00:00+00:00"
    for after in (None, listing.place_of(f"{key}~500", sort)):

        async def page(session: AsyncSession, after: listing.Place | None = after) -> None:
            await listing.listed(session, me, decoded(asked), sort, after=after)

        assert not BIG & await reads_all_of(busy, page), (asked, sort, after)


@pytest.mark.parametrize("sort", [Sort.DUE, Sort.RANK, Sort.WAIT])
async def test_what_waits_is_read_from_an_index_in_the_order_asked_for(busy: AsyncSession, sort: Sort) -> None:
    me = await busy.get_one(Agent, 1)
    plans = (await all_statements(busy, lambda s: listing.listed(s, me, decoded("state=queued"), sort)))[0]
    index = {Sort.DUE: "ix_item_waiting_due", Sort.RANK: "ix_item_waiting", Sort.WAIT: "ix_item_waiting_since"}[sort]
    assert plans.uses(index)


async def test_the_rail_and_the_home_list_read_no_whole_table(busy: AsyncSession) -> None:
    me = await busy.get_one(Agent, 1)
    queues = visible_queues(me)
    assert not BIG & await reads_all_of(busy, lambda s: desk.rail(s, me.id, queues))
    assert not BIG & await reads_all_of(busy, lambda s: desk.next_up(s, queues))


SEARCHES = [
    "tent", "quizzaciously", '"torn tent"', "hello -tent", "-hello", "tent lang:de", "from:ada tent", "queue:small tent",
    "tent state:parked", "tent before:2020", "has:media", "n77", "zzzz yyyy", "channel:rss",
]  # fmt: skip


@pytest.mark.parametrize("who", [1, 2, 3], ids=["agent", "admin", "sees little"])
@pytest.mark.parametrize("typed", SEARCHES)
async def test_no_search_reads_a_whole_table(busy: AsyncSession, typed: str, who: int) -> None:
    me = await busy.get_one(Agent, who)
    first = None

    async def page(session: AsyncSession) -> None:
        nonlocal first
        if "queue:small" in typed and who == 1:
            with pytest.raises(Invalid):
                await search(session, me, parse(typed), first)
        else:
            first = (await search(session, me, parse(typed), first)).after

    for _page in ("first", "second"):
        assert not BIG & await reads_all_of(busy, page), (typed, who)


async def test_words_and_names_are_looked_up_in_their_indexes(busy: AsyncSession) -> None:
    me = await busy.get_one(Agent, 1)
    plans = await all_statements(busy, lambda s: search(s, me, parse("quizzaciously")))
    assert any(plan.uses("ix_search_entry_words") for plan in plans)
    plans = await all_statements(busy, lambda s: people(s, me, "c4ca4238"))
    assert any(plan.uses("ix_search_entry_name") for plan in plans)
    plans = await all_statements(busy, lambda s: listing.listed(s, me, decoded("text=quizzaciously"), Sort.DUE))
    assert any(plan.uses("ix_search_entry_words") for plan in plans)
    assert any(plan.uses("uq_item_open") or plan.uses("ix_item_conversation") for plan in plans)


@pytest.mark.parametrize("asked", ["", "state=queued", "priority=5", "holder=me", *WORDED])
async def test_a_count_stops_early(busy: AsyncSession, asked: str) -> None:
    me = await busy.get_one(Agent, 1)
    assert await listing.count(busy, me, decoded(asked)) <= listing.COUNTED


async def test_all_pages_of_a_hundred_thousand_are_there_once(busy: AsyncSession) -> None:
    me = await busy.get_one(Agent, 1)
    seen: list[int] = []
    after = None
    for _page in range(12):
        page = await listing.listed(busy, me, Filter(), Sort.DUE, after=after, most=200)
        seen += [row.item_id for row in page.rows]
        after = page.after
    assert len(set(seen)) == len(seen) == 2_400
