"""Routing: committed offers a second, one by one and in batches of 100, against job queues that fetch and a bare claim.

Ours is `app.flow.route.offer_at_once` of the kernel's decisions, as the router makes them, under its lease and with its
commit: the item with its agent and version, the offer with why, the event, the holder's load, the hint. Once more as
queues that accept by themselves make them, with the assignment and the second event. The kernel decides beforehand;
`routing_kernel` measures that. After each turn, unmeasured, what was offered is swept away.

The twins fetch from as long a line on the same server, a commit a fetch, and write nothing else: procrastinate job by
job (it knows no other way); pgqueuer job by job and a hundred at a time, through psycopg (as ours) and asyncpg, of
which the faster counts; and a bare `UPDATE ... SKIP LOCKED` of the same items in a copy of their table with the same
indexes. The floor is no goal, but tells what the rows of an offer cost: the leanest statement that writes the same four
rows into the same tables, and neither looks at anything nor locks it first. One connection each, with the server's own
settings for durability, all by turns in the same seconds. The write-ahead log of each is printed too.

The last line's ratio is the least of what was reached of each goal; at least 1 meets them all.
"""

import json
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from app.db import create_engine, plain, sessionmaker
from app.flow.mirror import clock, load_all
from app.flow.route import lead, offer_at_once, told
from app.models.offering import Fence
from app.routing.decisions import Match
from bench.harness import Result, connect, make_company, settle, spread
from bench.routing_twins import Place, Runner, Turn, bare, pgqueuer, procrastinate, timed
from bench.seed import queue_items

BATCH = 100
HOLDER = "bench"
KEEP_LEADING = "UPDATE router_lease SET expires_at = now() + interval '1 hour'"
GOALS = {  # of ours over theirs
    (ours + by, theirs): goal
    for ours in ("ours", "ours accepted")
    for by, theirs, goal in (
        ("", "pgqueuer", 1.0),
        ("", "procrastinate", 5.0),
        ("", "bare", 0.7),
        (f" by {BATCH}", f"pgqueuer by {BATCH}", 1.0),
        (f" by {BATCH}", "procrastinate", 5.0),
    )
}
PGQUEUERS = ("psycopg", "asyncpg")
FLOOR = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%s::jsonb) AS g(item_id bigint, agent_id bigint, why jsonb)
    ), moved AS (
        UPDATE item i SET state = 'offered', agent_id = g.agent_id, version = i.version + 1
        FROM given g WHERE i.id = g.item_id
        RETURNING i.id, i.version, i.agent_id, g.why
    ), loaded AS (
        UPDATE presence p SET load = p.load + 1, available_since = now() FROM moved m WHERE p.agent_id = m.agent_id
    ), made AS (
        INSERT INTO offer (item_id, agent_id, expires_at, why)
        SELECT id, agent_id, now() + interval '30 seconds', why FROM moved
    ), recorded AS (
        INSERT INTO event (item_id, verb, actor, changes, why)
        SELECT id, 'offer', 'router',
               jsonb_build_object('state', 'offered', 'version', version, 'agent_id', agent_id),
               why - '{candidates,parts,rejected}'::text[]
        FROM moved
    )
    SELECT id FROM moved
"""
ACCEPT = "UPDATE queue SET auto_accept = %s"

# What is offered or held is closed and everybody is free again, as if it had been answered in between.
SWEEP = """
    WITH ended AS (
        UPDATE item SET state = 'closed', agent_id = NULL, ended_at = now(), disposition = 'answered'
        WHERE state IN ('offered', 'active') RETURNING id
    ), offers AS (
        UPDATE offer SET outcome = 'accepted', ended_at = now() FROM ended WHERE item_id = ended.id AND outcome IS NULL
    ), assignments AS (
        UPDATE assignment SET until = now(), ended_by = 'close' FROM ended WHERE item_id = ended.id AND until IS NULL
    )
    UPDATE presence SET load = 0 WHERE load > 0
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    waiting: int = 100_000
    agents: int = 2_000
    fetches: int = 300  # one by one, in a turn
    batches: int = 10  # of 100, in a turn
    batch: int = BATCH
    rounds: int = 9
    pgqueuers: Sequence[str] = PGQUEUERS


TINY = Size(waiting=200, agents=12, fetches=3, batches=2, batch=4, rounds=2, pgqueuers=())


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    rounds: list[dict[str, Turn]] = []
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(_place(url, size))
        runners = {"ours": _ours(place), "ours accepted": _ours(place, accepted=True)}
        runners |= {"bare": bare(place), "floor": _floor(place)}
        runners["procrastinate"] = await stack.enter_async_context(procrastinate(place))
        for driver in size.pgqueuers:
            runners[f"pgqueuer/{driver}"] = await stack.enter_async_context(pgqueuer(place, driver))
        await _round(runners, size, 0)  # opens, prepares, warms
        for number in range(size.rounds):
            await place.raw.execute("VACUUM item, presence, offer, assignment, twin")
            rounds.append(await _round(runners, size, number))
    return _told(rounds)


async def _round(runners: Mapping[str, Runner], size: Size, number: int) -> dict[str, Turn]:
    """A turn of each; who begins changes from round to round."""
    turns: dict[str, Turn] = {}
    names = list(runners)
    for name in names[number % len(names) :] + names[: number % len(names)]:
        turns[name] = await runners[name](size.fetches, 1)
        if name != "procrastinate":
            turns[f"{name} by {BATCH}"] = await runners[name](size.batches, size.batch)
    return turns


def _told(rounds: Sequence[Mapping[str, Turn]]) -> Result:
    turns: dict[str, list[Turn]] = defaultdict(list)
    for one in rounds:
        for name, turn in {**one, **_faster(one)}.items():
            turns[name].append(turn)
    for name in sorted(turns):
        wal = statistics.median(turn.wal for turn in turns[name])
        print(f"routing: {name} {spread([turn.rate for turn in turns[name]], 0)} a second, {wal:.0f} bytes of log each")
    for by in ("", f" by {BATCH}"):
        print(f"routing: ours{by} over the floor{by} {spread(_ratios(turns, f'ours{by}', f'floor{by}'))}")
    reached = []
    for (ours, theirs), goal in GOALS.items():
        if theirs in turns:
            ratios = _ratios(turns, ours, theirs)
            reached.append(statistics.median(ratios) / goal)
            print(f"routing: {ours} over {theirs} {spread(ratios)}, goal {goal}")
    return Result("routing", min(reached), 1.0, at_least=True)


def _faster(one: Mapping[str, Turn]) -> dict[str, Turn]:
    """The better turn of pgqueuer turn, whichever driver made it."""
    found = {}
    for by in ("", f" by {BATCH}"):
        both = [one[f"pgqueuer/{driver}{by}"] for driver in PGQUEUERS if f"pgqueuer/{driver}{by}" in one]
        if both:
            found[f"pgqueuer{by}"] = max(both, key=lambda turn: turn.rate)
    return found


def _ratios(turns: Mapping[str, Sequence[Turn]], ours: str, theirs: str) -> list[float]:
    return [a.rate / b.rate for a, b in zip(turns[ours], turns[theirs], strict=True)]


@asynccontextmanager
async def _place(url: str, size: Size) -> AsyncIterator[Place]:
    engine = create_engine(url, pool_size=1)
    try:
        sessions = sessionmaker(engine)
        async with sessions() as session:
            company = await make_company(session, agents=size.agents)
        async with await connect(url) as raw:
            await queue_items(raw, company, size.waiting)
            await raw.execute("CREATE TABLE twin (LIKE item INCLUDING ALL)")
            await raw.execute("INSERT INTO twin OVERRIDING SYSTEM VALUE SELECT * FROM item")
            await settle(url)
            yield Place(url, size.waiting, company.queue_ids, company.agent_ids, raw, engine, sessions)
    finally:
        await engine.dispose()


def _ours(place: Place, *, accepted: bool = False) -> Runner:
    async def run(count: int, many: int) -> Turn:
        await place.raw.execute(ACCEPT, [accepted])
        decisions = await _decisions(place, count * many)
        async with place.sessions.begin() as session:
            fence = Fence(HOLDER, await lead(session, HOLDER) or 0)
        await place.raw.execute(KEEP_LEADING)
        async with plain(place.engine) as connection:

            async def offer(count: int, many: int) -> int:
                held = 0
                for start in range(0, count * many, many):
                    held += len(await offer_at_once(connection, fence, decisions[start : start + many]))
                return held

            turn = await timed(place, offer)(count, many)
        await place.raw.execute(SWEEP)
        return turn

    return run


def _floor(place: Place) -> Runner:
    async def run(count: int, many: int) -> Turn:
        decisions = await _decisions(place, count * many)

        async def write(count: int, many: int) -> int:
            came = 0
            for start in range(0, count * many, many):
                batch = decisions[start : start + many]
                given = [{"item_id": one.item.id, "agent_id": one.agent_id, "why": told(one)} for one in batch]
                cursor = await place.raw.execute(FLOOR, [json.dumps(given)], prepare=True)
                came += len(await cursor.fetchall())
            return came

        turn = await timed(place, write)(count, many)
        await place.raw.execute(SWEEP)
        return turn

    return run


async def _decisions(place: Place, count: int) -> list[Match]:
    """So many decisions of a kernel that was just told everything."""
    async with place.sessions() as session:
        mirror = await load_all(session)
        decisions = [one for one in mirror.kernel.run(await clock(session)) if isinstance(one, Match)]
    assert len(decisions) >= count, len(decisions)
    return decisions[:count]
