"""The supervisor board: what is counted, by which formula, and who sees what."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.models.agent import Agent, Presence, PresenceState
from app.models.event import Event
from app.models.feed import Feed
from app.models.item import Disposition, Item
from app.models.post import Post
from app.models.queue import Queue
from app.models.sight import visible_queues
from app.queries import measures
from app.queries.board import Board, board, watched_queues
from app.queries.measures import Figures
from tests.company import post
from tests.web.conftest import Browser, House

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]
BACKDATING = text("SET LOCAL session_replication_role = replica")  # events are append-only but for this test
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
async def work(sessions: Sessions, house: House) -> dict[str, int]:
    """In Billing: one item waits, one is late, one is in hand. In Orders, of the other team: one waits."""
    async with sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=func.now())
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await session.execute(update(Presence).values(state=PresenceState.READY))
        ids = []
        for number in range(4):
            posted = datetime.now(UTC) - timedelta(minutes=10)
            await ingest(session, feed, [post(number, posted_at=posted)])
            ids.append((await session.scalars(select(func.max(Item.id)))).one() or 0)
        agent = await session.get_one(Agent, house.ids["agent"])
        await claim(session, agent, ids[2])
        await session.execute(BACKDATING)
        past = func.now() - timedelta(minutes=5)
        await session.execute(update(Item).where(Item.id == ids[1]).values(due_at=past, ready_at=past))
        await session.execute(
            text("UPDATE event SET changes = jsonb_set(changes, '{due_at}', to_jsonb(now() - interval '5 min')) "
                 "WHERE item_id = :id AND verb = 'open'"), {"id": ids[1]},
        )  # fmt: skip
        await session.execute(
            update(Item).where(Item.id == ids[3]).values(queue_id=house.orders, lane=str(house.orders))
        )
    return dict(zip(("waits", "late", "held", "other"), ids, strict=True))


async def _board(session: AsyncSession, house: House, who: str) -> tuple[Board, dict[int, Figures]]:
    reader = await session.get_one(Agent, house.ids[who])
    queues = await watched_queues(session, visible_queues(reader))
    return await board(session, reader, queues), await measures.figures(session, queues, YESTERDAY)


async def test_a_queue_is_counted_by_state_and_by_time(sessions: Sessions, house: House, work: dict[str, int]) -> None:
    async with sessions() as session:
        now, _ = await _board(session, house, "supervisor")

    (billing,) = now.queues
    assert (billing.waiting, billing.active, billing.offered, billing.parked) == (2, 1, 0, 0)
    assert (billing.late, billing.soon, billing.ready, billing.members) == (1, 0, 1, 1)
    assert billing.oldest is not None
    assert timedelta(minutes=4) < now.now - billing.oldest < timedelta(minutes=6)
    assert now.late[0].item_id == work["late"]


async def test_a_person_shows_what_they_are_on(sessions: Sessions, house: House, work: dict[str, int]) -> None:
    async with sessions() as session:
        now, _ = await _board(session, house, "supervisor")

    agent = next(person for person in now.people if person.id == house.ids["agent"])
    assert (agent.state, agent.load, agent.capacity) == ("ready", 1, 5)
    assert [(one.item_id, one.queue) for one in agent.holdings] == [(work["held"], "Billing")]


async def test_a_supervisor_sees_their_teams_and_an_admin_everything(
    sessions: Sessions, house: House, work: dict[str, int]
) -> None:
    async with sessions() as session:
        mine, _ = await _board(session, house, "supervisor")
        all_, _ = await _board(session, house, "admin")

    assert [queue.name for queue in mine.queues] == ["Billing"]
    assert {person.name for person in mine.people} == {"Agent", "Supervisor"}
    assert work["other"] not in {one.item_id for one in mine.late}
    assert [queue.name for queue in all_.queues] == ["Billing", "Orders"]
    assert len(all_.people) == 4


async def test_the_figures_of_the_day_follow_their_formulas(
    sessions: Sessions, house: House, work: dict[str, int]
) -> None:
    """Held: answered in time, 20 min after its post. Late: overdue. Waiting: has time, so it does not count."""
    async with sessions.begin() as session:
        item = await session.get_one(Item, work["held"])
        posted = (await session.get_one(Post, item.post_id)).posted_at
        answered = posted + timedelta(minutes=20)
        await session.execute(update(Item).where(Item.id == item.id).values(answered_at=answered))
        await session.execute(BACKDATING)
        await session.execute(
            update(Event)
            .where(Event.item_id == item.id, Event.verb == "claim")
            .values(at=item.opened_at + timedelta(minutes=3))
        )
        await close(session, await session.get_one(Agent, house.ids["agent"]), item.id, Disposition.ANSWERED)
        _, figures = await _board(session, house, "supervisor")

    today = figures[house.billing]
    assert (today.arrived, today.answered, today.in_time, today.overdue, today.closed) == (3, 1, 1, 1, 1)
    assert measures.service_level(today) == 50
    assert measures.average_speed_of_answer(today) == timedelta(minutes=3)
    assert measures.first_response_time(today) == timedelta(minutes=20)


async def test_what_a_first_sync_imported_does_not_count(sessions: Sessions, house: House) -> None:
    async with sessions.begin() as session:
        feed = Feed(name="Old", channel="webhook")
        session.add(feed)
        await session.flush()
        await ingest(session, feed, [post(n) for n in range(3)], quiet=True)
        _, figures = await _board(session, house, "supervisor")

    assert figures == {}
    assert measures.service_level(Figures()) is None


def test_each_formula_is_the_help_on_screen() -> None:
    for name in measures.MEASURES:
        assert len(measures.formula(name)) > 80


async def test_the_board_is_for_supervisors_and_admins(sign_in: SignIn, work: dict[str, int]) -> None:
    assert (await (await sign_in("agent")).get("/board")).status_code == 403
    assert (await (await sign_in("")).get("/board")).status_code == 303
    page = await (await sign_in("supervisor")).get("/board")
    assert page.status_code == 200
    assert "Billing" in page.text
    assert "Orders" not in page.text
    assert "Answered in time" in page.text  # the formula
    assert "Orders" in (await (await sign_in("admin")).get("/board")).text


async def test_a_supervisor_without_queues_is_told_what_to_do(sign_in: SignIn, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Queue).values(active=False))

    page = await (await sign_in("supervisor")).get("/board")

    assert "There is no queue to watch" in page.text


async def test_waiting_items_are_counted_by_their_index(sessions: Sessions, house: House) -> None:
    """With the planner free to choose, 20,000 closed items around 50 waiting ones are never read."""
    async with sessions.begin() as session:
        await _crowd(session, house)
        await session.execute(text("ANALYZE item"))
        plan = await session.scalars(
            text("EXPLAIN SELECT ready_at, due_at FROM item WHERE queue_id = :q AND state = 'queued' "
                 "ORDER BY rank, id LIMIT 10000"), {"q": house.billing},
        )  # fmt: skip
        told = "\n".join(plan)
    assert "Index Scan" in told
    assert "Seq Scan" not in told


async def _crowd(session: AsyncSession, house: House) -> None:
    await session.execute(text("INSERT INTO customer (name) VALUES ('C')"))
    await session.execute(
        text(
            "INSERT INTO author (channel, external_id, customer_id, handle) SELECT 'x', 'a', min(id), 'a' FROM customer"
        )
    )
    await session.execute(
        text("INSERT INTO conversation (channel, external_id) SELECT 'x', n::text FROM generate_series(1, 20050) n")
    )
    await session.execute(
        text("INSERT INTO post (channel, external_id, conversation_id, author_id, kind, visibility, text, posted_at) "
             "SELECT 'x', c.external_id, c.id, (SELECT min(id) FROM author), 'post', 'public', 't', now() "
             "FROM conversation c")
    )  # fmt: skip
    await session.execute(
        text("INSERT INTO item (conversation_id, author_id, channel, state, queue_id, priority, lane, rank, ready_at, "
             "due_at, post_id) SELECT p.conversation_id, p.author_id, 'x', "
             "CASE WHEN p.id % 400 = 0 THEN 'queued' ELSE 'closed' END, :q, 3, '1', now(), now(), now(), p.id FROM post p"),
        {"q": house.billing},
    )  # fmt: skip
