"""The staffing hint: from the same hours of the weeks before to the agents they take."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.models.agent import Presence, PresenceState
from app.models.item import Disposition
from app.models.queue import QueueMember
from app.queries.staffing import QUARTERS, staffing
from app.routing.staffing import Load, agents_needed
from tests.company import Company, add_agent, add_skill, items, make_company, post

NOW = datetime(2026, 11, 23, 9, 7, tzinfo=UTC)


async def a_past(session: AsyncSession, count: int = 6) -> Company:
    """Items of one week ago, 09:20, each closed after five minutes."""
    company = await make_company(session, target=900)
    await ingest(session, company.feed, [post(number) for number in range(count)])
    week_ago = NOW.replace(minute=20) - timedelta(days=7)
    await session.execute(text("ALTER TABLE event DISABLE TRIGGER event_append_only"))
    for item in await items(session):
        await claim(session, company.ayumi, item.id)
        await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    times = {"open": 0, "claim": 60, "close": 360}
    for verb, seconds in times.items():
        moved = {"verb": verb, "at": week_ago + timedelta(seconds=seconds)}
        await session.execute(text("UPDATE event SET at = :at WHERE verb = :verb"), moved)
    await session.execute(text("UPDATE item SET opened_at = :at"), {"at": week_ago})
    await session.execute(text("ALTER TABLE event ENABLE TRIGGER event_append_only"))
    return company


async def test_six_items_a_quarter_of_five_minutes_take_what_erlang_c_says(session: AsyncSession) -> None:
    company = await a_past(session)

    hint = await staffing(session, [company.queue.id], NOW)

    assert hint.weeks == 1
    assert hint.starts[0] == NOW.replace(minute=0)
    (lane,) = hint.lanes
    assert (lane.queue, lane.needs, lane.aht, lane.carried) == ("General", (), timedelta(minutes=5), 5)
    assert [place.arrivals for place in lane.places] == [0, 24] + [0] * (QUARTERS - 2)
    at_once = agents_needed(Load(24, 300), 600, 0.8)  # ten minutes of the fifteen are left to begin
    assert lane.places[1].need == -(-at_once // 5)  # each carries five
    assert (lane.able, lane.signed_in, lane.ready) == (2, 2, 2)


async def test_weeks_without_any_history_are_no_weeks_without_arrivals(session: AsyncSession) -> None:
    company = await a_past(session)

    later = await staffing(session, [company.queue.id], NOW + timedelta(days=7))
    sooner = await staffing(session, [company.queue.id], NOW - timedelta(days=7))

    assert later.weeks == 2  # nothing came in the week in between, and that counts
    assert later.lanes[0].places[1].arrivals == 12
    assert (sooner.weeks, sooner.lanes) == (0, ())


async def test_who_lacks_the_skill_or_is_offline_does_not_count(session: AsyncSession) -> None:
    company = await a_past(session)
    german = company.skills["German"]
    await session.execute(
        text("UPDATE item SET requirements = jsonb_build_object(CAST(:id AS text), 3)"), {"id": german.id}
    )
    nele = await add_agent(session, company.team, "Nele")
    session.add(QueueMember(queue_id=company.queue.id, agent_id=nele.id))
    for agent, level in ((company.ayumi, 3), (company.finn, 2), (nele, 5)):
        await add_skill(session, agent, german, level)
    (await session.get_one(Presence, nele.id)).state = PresenceState.OFFLINE
    await session.flush()

    (lane,) = (await staffing(session, [company.queue.id], NOW)).lanes

    assert lane.needs == (("German", 3),)
    assert (lane.able, lane.signed_in, lane.ready) == (2, 1, 1)


async def test_only_the_queues_asked_for_count(session: AsyncSession) -> None:
    await a_past(session)

    hint = await staffing(session, [], NOW)

    assert hint.lanes == ()


async def test_impatience_needs_fewer(session: AsyncSession) -> None:
    company = await a_past(session, 60)
    for agent in company.agents:
        agent.capacity = 1
    await session.flush()

    patient = await staffing(session, [company.queue.id], NOW)
    hasty = await staffing(session, [company.queue.id], NOW, timedelta(minutes=1))

    assert patient.lanes[0].most > hasty.lanes[0].most > 0


async def test_the_hour_of_the_wall_counts_over_a_clock_change(session: AsyncSession) -> None:
    company = await a_past(session)
    berlin = ZoneInfo("Europe/Berlin")

    hint = await staffing(session, [company.queue.id], datetime(2027, 3, 29, 10, 7, tzinfo=berlin))

    assert hint.weeks == 4
    assert hint.starts[0] == datetime(2027, 3, 29, 8, 0, tzinfo=UTC)  # summer time began the day before
