"""The hot queries stay on their partial indexes with realistic numbers of rows, the planner free to do otherwise."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow import mirror
from app.flow.offer import expire_offers
from app.flow.poll import due_feeds
from app.flow.wake import wake_due
from app.jobs import Lane
from app.models.agent import Agent, Role
from app.models.sight import visible_queues
from app.queries import programs
from app.queries.filters import decoded
from app.workers.sweep import _due_replies
from tests.plans.explain import explained, first_statement


@pytest.mark.parametrize("reading", [mirror._ITEMS, mirror._PASTS])
async def test_the_router_reads_items_that_changed_by_their_keys(busy: AsyncSession, reading: str) -> None:
    plans = await explained(busy, reading + mirror._THESE, [list(range(1, 40))])
    assert not plans.reads_all_of() & {"item", "offer"}


async def test_what_may_be_claimed_is_read_in_order_of_rank(busy: AsyncSession) -> None:
    query = "SELECT * FROM item WHERE state = 'queued' AND queue_id = 2 ORDER BY rank, id LIMIT 50"
    plans = await explained(busy, query, None)
    assert plans.uses("ix_item_waiting")
    assert {node["Node Type"] for node in plans.nodes} == {"Limit", "Index Scan"}


async def test_due_replies_are_found_by_their_index(busy: AsyncSession) -> None:
    plans = await first_statement(busy, _due_replies)
    assert plans.uses("ix_reply_due")
    assert not plans.reads_all_of()


@pytest.mark.parametrize("lane", Lane)
async def test_due_feeds_are_found_by_their_index(busy: AsyncSession, lane: Lane) -> None:
    plans = await first_statement(busy, partial(due_feeds, lane=lane))
    assert plans.uses("ix_feed_due")
    assert not plans.reads_all_of()


async def test_offers_that_ran_out_are_found_by_their_index(busy: AsyncSession) -> None:
    plans = await first_statement(busy, expire_offers)
    assert plans.uses("ix_offer_expiry")
    assert not plans.reads_all_of() & {"item", "offer"}


async def test_parked_items_whose_time_has_come_are_found_by_their_index(busy: AsyncSession) -> None:
    plans = await first_statement(busy, wake_due)
    assert plans.uses("ix_item_wake")
    assert not plans.reads_all_of()


ANSWERS_OF_THE_API: dict[str, Callable[[AsyncSession, Agent], Awaitable[object]]] = {
    "the newest items": lambda session, me: programs.items(session, me, visible_queues(me)),
    "a later page": lambda session, me: programs.items(session, me, visible_queues(me), after=9_000),
    "a state": lambda session, me: programs.items(session, me, visible_queues(me), state="queued"),
    "one item": lambda session, me: programs.items(session, me, visible_queues(me), item=77),
    "words": lambda session, me: programs.items(session, me, visible_queues(me), wanted=decoded("text=hello")),
    "who holds it": lambda session, me: programs.items(session, me, visible_queues(me), holder=7),
    "the newest posts": lambda session, me: programs.posts(session, me, visible_queues(me)),
    "a conversation's posts": lambda session, me: programs.posts(session, me, visible_queues(me), conversation=70),
    "one post": lambda session, me: programs.posts(session, me, visible_queues(me), post=70),
    "replies": lambda session, _me: programs.replies(session, 77),
    "notes": lambda session, _me: programs.notes(session, 77),
}


@pytest.mark.parametrize("asked", ANSWERS_OF_THE_API)
async def test_what_programs_list_is_read_without_looking_at_every_item_or_post(busy: AsyncSession, asked: str) -> None:
    me = Agent(id=1, role=Role.ADMIN)
    plans = await first_statement(busy, lambda session: ANSWERS_OF_THE_API[asked](session, me))
    assert not plans.reads_all_of() & {"item", "post", "reply", "conversation"}
