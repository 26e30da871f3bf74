"""Rehearsing a file against a stretch of the past: what is read, that nothing is written, what comes out."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.connectors.base import IncomingAuthor
from app.db import sessionmaker
from app.errors import Conflict, Invalid
from app.flow.claim import claim
from app.flow.close import close
from app.flow.config_file import export
from app.flow.ingest import ingest
from app.flow.offer import Proposal, accept, decline, make_offer
from app.flow.park import park
from app.flow.rehearsals import end_rehearsal, publish_rehearsal, start_rehearsal, take_rehearsal
from app.flow.rehearse import Prepared, Roster, Stretch, compare, prepare
from app.flow.rehearse_past import came, stood
from app.flow.wake import wake_by_hand
from app.models.history import habits, handling_times, presences
from app.models.item import Disposition
from app.models.queue import Queue
from app.models.rehearsal import Rehearsal, RehearsalState
from app.models.rule import Rule
from app.settings import Settings
from app.vault import Vault
from app.workers.rehearse import rehearse_job
from app.workers.runtime import runtime
from tests.company import Company, items, make_company, post

MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
STRETCH = Stretch(since=MONDAY, until=MONDAY + timedelta(hours=8), accept_seconds=5)
BIGGER_TEAM = """
agents:
  - {name: Ayumi, email: ayumi@northwind.example, capacity: 1, teams: [Care], queues: [General]}
  - {name: Finn, email: finn@northwind.example, capacity: 1, teams: [Care], queues: [General]}
"""
SPLIT = """
skills: [Billing]
queues: [{name: Money, team: Care, target: 900}]
rules:
  - {name: Spam, when: {contains: [casino]}, discard: true}
  - {name: Invoices, when: {contains: [invoice]}, queue: Money, needs: {Billing: 2}}
  - {name: Everything else, queue: General}
"""


async def at(session: AsyncSession, item_id: int, *moments: float) -> None:
    """Put an item's events at these minutes past nine on Monday, in their order: time travel, so the guard looks away."""
    await session.execute(text("ALTER TABLE event DISABLE TRIGGER event_append_only"))
    ids = list(await session.scalars(text("SELECT id FROM event WHERE item_id = :id ORDER BY id"), {"id": item_id}))
    for event_id, minutes in zip(ids, moments, strict=True):
        when = {"id": event_id, "at": MONDAY + timedelta(minutes=minutes)}
        await session.execute(text("UPDATE event SET at = :at WHERE id = :id"), when)
    await session.execute(text("ALTER TABLE event ENABLE TRIGGER event_append_only"))
    opened = {"id": item_id, "at": MONDAY + timedelta(minutes=moments[0])}
    await session.execute(text("UPDATE item SET opened_at = :at WHERE id = :id"), opened)


async def a_morning(session: AsyncSession) -> Company:
    """Ayumi alone, who takes one at a time: three items at 09:00, 09:10 and 09:20, each of half an hour."""
    company = await make_company(session, target=3600)
    for agent in company.agents:
        agent.capacity = 1
    said = ["My tent is torn.", "The invoice is wrong.", "Play at our casino!"]
    await ingest(session, company.feed, [post(n, words) for n, words in enumerate(said)])
    for number, item in enumerate(await items(session)):
        await claim(session, company.ayumi, item.id)
        await close(session, company.ayumi, item.id, Disposition.ANSWERED)
        start = 30 * number
        await at(session, item.id, 10 * number, start, start + 30)
    return company


async def rehearsed(session: AsyncSession, document: str, stretch: Stretch = STRETCH) -> Prepared:
    return await prepare(session, document, stretch)


async def test_a_stretch_is_read_from_posts_and_events(session: AsyncSession) -> None:
    company = await a_morning(session)

    posts = await came(session, STRETCH.since, STRETCH.until, 100)

    assert [one.post.text for one in posts] == ["My tent is torn.", "The invoice is wrong.", "Play at our casino!"]
    assert [one.at - MONDAY for one in posts] == [timedelta(minutes=m) for m in (0, 10, 20)]
    assert posts[0].post.author == IncomingAuthor("author-0", "author-0", "Author-0")
    assert {one.feed_id for one in posts} == {company.feed.id}
    assert await handling_times(session, STRETCH.since, STRETCH.until) == {company.queue.id: [1800.0] * 3}
    spans = await presences(session, STRETCH.since, STRETCH.until)
    assert spans == {company.ayumi.id: ((MONDAY, MONDAY + timedelta(minutes=100)),)}
    assert await came(session, STRETCH.until, STRETCH.until + timedelta(days=1), 100) == []


async def test_time_parked_is_no_handling_and_a_long_silence_is_absence(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1)])
    (item,) = await items(session)
    await claim(session, company.ayumi, item.id)
    await park(session, company.ayumi, item.id, datetime.now(UTC) + timedelta(days=1))
    await wake_by_hand(session, company.ayumi, item.id)
    await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    await at(session, item.id, 0, 1, 11, 120, 125)

    assert await handling_times(session, STRETCH.since, STRETCH.until) == {company.queue.id: [15 * 60.0]}
    minutes = [
        ((start - MONDAY) // timedelta(minutes=1), (end - MONDAY) // timedelta(minutes=1))
        for start, end in (await presences(session, STRETCH.since, STRETCH.until))[company.ayumi.id]
    ]
    assert minutes == [(1, 21), (120, 135)]


async def test_the_past_under_its_own_rules_is_what_it_was(session: AsyncSession) -> None:
    await a_morning(session)

    found = compare(await rehearsed(session, "careline: 1"))

    assert found["before"] == found["after"]
    assert found["lines"] == []
    general = found["before"]["queues"]["General"]
    # offered at 0, 30:05 and 60:10 minutes past nine, taken five seconds later, and done half an hour after that
    assert (general["arrived"], general["served"], general["in_time"]) == (3, 3, 2)
    assert (general["median"], general["longest"]) == (20 * 60 + 10, 40 * 60 + 15)
    assert general["service_level"] == pytest.approx(200 / 3)


async def test_another_colleague_who_is_new_shares_the_load(session: AsyncSession) -> None:
    company = await a_morning(session)
    new = BIGGER_TEAM.replace("finn@", "nele@").replace("Finn", "Nele")

    found = compare(await rehearsed(session, new))

    assert found["before"]["queues"]["General"]["in_time"] == 2
    assert found["after"]["queues"]["General"]["in_time"] == 3
    people = {one["name"]: one["got"] for one in found["after"]["agents"].values()}
    assert people == {"Ayumi": {"General": 2}, "Finn": {}, "Nele": {"General": 1}}
    assert found["before"]["agents"][str(company.finn.id)]["occupancy"] is None  # was not in that morning
    assert found["lines"][0] == "+ agent nele@northwind.example"


async def test_other_rules_send_the_same_posts_elsewhere_and_say_what_nobody_can_take(session: AsyncSession) -> None:
    await a_morning(session)

    after = compare(await rehearsed(session, SPLIT))["after"]

    assert after["discarded"] == 1
    assert after["queues"]["General"]["arrived"] == 1
    assert after["queues"]["Money"]["unserved"] == {"no_member": 1}


async def test_rehearsing_writes_nothing(session: AsyncSession) -> None:
    await a_morning(session)
    before = await export(session)

    await rehearsed(session, SPLIT)

    assert await export(session) == before
    assert await session.scalar(select(func.count()).select_from(Queue)) == 1
    assert list(await session.scalars(select(Rule.name))) == ["Everything else"]


async def test_a_simulated_day_draws_as_many_items_as_asked_and_the_same_ones_for_the_same_seed(
    session: AsyncSession,
) -> None:
    await a_morning(session)
    many = STRETCH.model_copy(update={"items": 200, "roster": Roster.OFFICE})

    once = compare(await rehearsed(session, SPLIT, many))
    again = compare(await rehearsed(session, SPLIT, many))
    other = compare(await rehearsed(session, SPLIT, many.model_copy(update={"seed": 2})))

    assert once == again
    assert once != other
    assert once["came"] == 200
    assert once["before"]["queues"]["General"]["arrived"] == 200
    ayumi, finn = (one for one in once["before"]["agents"].values())
    assert ayumi["occupancy"] > 95  # both are in from nine to five, as everybody is
    assert finn["occupancy"] > 95


async def test_queues_weigh_relax_and_wait_as_their_settings_say(session: AsyncSession) -> None:
    company = await a_morning(session)
    german = company.skills["German"].id
    company.queue.channel_weights, company.queue.hours = {"webhook": 2}, {"mon": [["09:30", "17:00"]]}
    rule = (await session.scalars(select(Rule))).one()
    rule.requirements, rule.emergency = {str(german): 3}, True
    rule.steps = [{"after": 60, "skill": german, "level": None}]
    await session.flush()

    prepared = await rehearsed(session, "careline: 1")

    scene = prepared.before
    decision = scene.rules.decide(prepared.came[0].post, "webhook", company.feed.id)
    arrival = scene.arrival(1, prepared.came[0], decision, 60)
    assert (arrival.item.weight, arrival.item.emergency) == (2, True)
    assert arrival.item.requirements == {german: 3}
    assert [(step.after_seconds, step.level) for step in arrival.item.steps] == [(60, None)]
    assert arrival.due_at == MONDAY + timedelta(minutes=90)  # an hour of open time, which begins at 09:30


@pytest.mark.parametrize(
    ("document", "stretch", "said"),
    [
        ("queues: [{name: X, team: Nowhere}]", STRETCH, "no team named 'Nowhere'"),
        ("quues: []", STRETCH, "no such setting"),
        ("careline: 1", Stretch(since=MONDAY - timedelta(days=9), until=MONDAY - timedelta(days=8)), "Nothing came in"),
    ],
)
async def test_what_cannot_be_rehearsed_is_refused(
    session: AsyncSession, document: str, stretch: Stretch, said: str
) -> None:
    await a_morning(session)

    with pytest.raises(Invalid, match=said):
        await rehearsed(session, document, stretch)


def test_a_stretch_has_a_length_and_an_end() -> None:
    for until in (MONDAY, MONDAY - timedelta(days=1), MONDAY + timedelta(days=60)):
        with pytest.raises(ValueError, match="must end after it begins"):
            Stretch(since=MONDAY, until=until)


async def test_one_rehearsal_at_a_time_and_a_lost_one_makes_room(session: AsyncSession) -> None:
    company = await a_morning(session)
    first = await start_rehearsal(session, company.ayumi, SPLIT, STRETCH)

    with pytest.raises(Conflict, match="Another rehearsal is running"):
        await start_rehearsal(session, company.ayumi, SPLIT, STRETCH)

    await session.execute(text("UPDATE rehearsal SET told_at = now() - interval '3 minutes'"))
    await start_rehearsal(session, company.ayumi, SPLIT, STRETCH)
    await session.refresh(first)
    assert (first.state, "gone" in first.error) == (RehearsalState.FAILED, True)


async def test_a_file_is_published_only_against_what_it_was_rehearsed_with(session: AsyncSession) -> None:
    company = await a_morning(session)
    asked = (await start_rehearsal(session, company.ayumi, SPLIT, STRETCH)).id
    with pytest.raises(Conflict, match="not done"):
        await publish_rehearsal(session, asked)
    await take_rehearsal(session, asked)
    await end_rehearsal(session, asked, compare(await rehearsed(session, SPLIT)))
    session.expire_all()

    await session.execute(text("UPDATE rule SET priority = 1"))
    with pytest.raises(Conflict, match="Rehearse it again"):
        await publish_rehearsal(session, asked)
    await session.execute(text("UPDATE rule SET priority = 3"))
    session.expire_all()
    await publish_rehearsal(session, asked)

    assert list(await session.scalars(select(Rule.name).order_by(Rule.position))) == [
        "Spam",
        "Invoices",
        "Everything else",
    ]


async def test_a_worker_does_it_and_says_what_came_out_or_what_is_wrong(
    engine: AsyncEngine, fresh_database: str, tmp_path: object
) -> None:
    sessions = sessionmaker(engine)
    settings = Settings.model_validate({"database_url": fresh_database, "data_dir": tmp_path})
    Vault.load(settings, create=True)
    async with sessions.begin() as session:
        company = await a_morning(session)
        done = (await start_rehearsal(session, company.ayumi, SPLIT, STRETCH)).id
    async with runtime(settings, "test") as run:
        await rehearse_job(run, done)
        await rehearse_job(run, done)  # a second nudge finds nothing to do
        async with sessions.begin() as session:
            long_ago = Stretch(since=MONDAY - timedelta(days=2), until=MONDAY - timedelta(days=1))
            failed = (await start_rehearsal(session, company.ayumi, SPLIT, long_ago)).id
        await rehearse_job(run, failed)
    async with sessions() as session:
        good, bad = await session.get_one(Rehearsal, done), await session.get_one(Rehearsal, failed)
        assert list(await session.scalars(select(Rule.name))) == ["Everything else"]
    assert (good.state, good.progress) == (RehearsalState.DONE, 100)
    assert good.result is not None
    assert good.result["after"]["discarded"] == 1
    assert (bad.state, bad.result) == (RehearsalState.FAILED, None)
    assert "Nothing came in" in bad.error


async def test_the_past_tells_how_offers_were_answered_what_was_parked_and_what_stood_there(
    session: AsyncSession,
) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1), post(2)])
    item, other = await items(session)
    for how in (decline, accept):
        await session.refresh(item)
        assert await make_offer(session, Proposal(item.id, item.version, company.ayumi.id, {}))
        await how(session, company.ayumi, item.id)
    await park(session, company.ayumi, item.id, datetime.now(UTC) + timedelta(days=1))
    await wake_by_hand(session, company.ayumi, item.id)
    await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    await at(session, item.id, 0, 1, 2, 3, 4, 5, 25, 30)
    await at(session, other.id, -30)

    found = (await habits(session, STRETCH.since, STRETCH.until))[company.queue.id]
    assert (found.items, found.offers, found.refused, found.parked) == (1, 2, [60.0], [1200.0])
    assert (found.refused_share, found.parked_share) == (0.5, 1.0)
    [there] = await stood(session, STRETCH.since, 10)
    assert (there.at, there.enters) == (MONDAY - timedelta(minutes=30), MONDAY)
    result = compare(await rehearsed(session, "{}"))
    assert result["modelled"] == {"stood": 1, "refused": 50.0, "parked": 100.0, "handled": 1}
