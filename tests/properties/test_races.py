import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.db import create_engine, sessionmaker
from app.errors import Misuse
from app.flow import item_request, route
from app.flow.assign import assign
from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.flow.offer import Proposal, accept, decline, expire_offers, extend, make_offer
from app.flow.park import park
from app.flow.presence import hand_back, set_presence
from app.flow.release import release
from app.flow.take_over import take_over
from app.flow.transfer import to_agent, to_line
from app.flow.wake import wake_due
from app.models.agent import Agent, NotReadyReason, PresenceState, Role
from app.models.assignment import Offer
from app.models.item import Disposition, Item, ParkReason, State, agent_actor
from app.models.rule import Rule
from app.models.together import ItemRequest
from app.workers.router import Router
from tests.company import Company, add_agent, add_skill, make_company, post
from tests.properties.invariants import broken, untold

AGENTS, ITEMS, STEPS = 20, 300, 25
RACES = 8
CAPACITY = 3

Sessions = async_sessionmaker[AsyncSession]


async def big_company(sessions: Sessions) -> Company:
    """Twenty agents, half of whom know about billing, and items of two lanes."""
    async with sessions.begin() as session:
        names = tuple(f"Agent{n}" for n in range(AGENTS))
        company = await make_company(
            session, agents=names, offer_seconds=3600, reoffer_after=0, misses_limit=100, take_over_after=0
        )
        billing = company.skills["Billing"]
        needs = {str(billing.id): 3}
        conditions = {"contains": ["charged"]}
        session.add(
            Rule(position=1, name="Money", conditions=conditions, queue_id=company.queue.id, requirements=needs)
        )
        await session.flush()
        for agent in company.agents[::2]:
            await add_skill(session, agent, billing, 4)
        await session.execute(update(Agent).values(capacity=CAPACITY))
        for start in range(0, ITEMS, 100):
            posts = [post(n, "charged twice" if n % 3 == 0 else "hello") for n in range(start, start + 100)]
            await ingest(session, company.feed, posts)
    return company


# Claims may go over an agent's capacity, offers may not: looked at whenever one is made.
WATCH = """
CREATE FUNCTION offer_overfills() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM presence p JOIN agent a ON a.id = p.agent_id
               WHERE p.agent_id = NEW.agent_id AND p.load > a.capacity) THEN
        RAISE EXCEPTION 'agent % was filled over by an offer', NEW.agent_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER offer_overfills AFTER INSERT ON offer FOR EACH ROW EXECUTE FUNCTION offer_overfills();
"""


class Desk:
    """One agent, who does one thing after the other, each in a transaction of its own."""

    def __init__(self, sessions: Sessions, company: Company, agent: Agent, seed: int) -> None:
        self.sessions, self.company, self.agent = sessions, company, agent
        self.random = Random(seed)
        self.did: Counter[str] = Counter()

    async def work(self) -> None:
        verbs: list[tuple[int, Callable[[AsyncSession], Awaitable[object]]]] = [
            (5, self.accept), (2, self.decline), (3, self.claim), (3, self.close), (2, self.release), (2, self.park),
            (1, self.away), (1, self.back), (1, self.leave), (1, self.extend), (2, self.hand_on), (2, self.send_back),
            (1, self.take_over),
        ]  # fmt: skip
        weights, doings = zip(*verbs, strict=True)
        for _ in range(STEPS):
            [do] = self.random.choices(doings, weights)
            try:
                async with self.sessions.begin() as session:
                    await do(session)
                self.did[do.__name__] += 1
            except Misuse:
                self.did["refused"] += 1
            await asyncio.sleep(0)

    async def _some(self, session: AsyncSession, *states: State, mine: bool = True) -> int:
        found = select(Item.id).where(Item.state.in_(states))
        found = found.where(Item.agent_id == self.agent.id) if mine else found.order_by(Item.rank).limit(5)
        ids = list(await session.scalars(found))
        return self.random.choice(ids) if ids else 0

    async def accept(self, session: AsyncSession) -> None:
        await accept(session, self.agent, await self._some(session, State.OFFERED))

    async def decline(self, session: AsyncSession) -> None:
        await decline(session, self.agent, await self._some(session, State.OFFERED), "not now")

    async def extend(self, session: AsyncSession) -> None:
        await extend(session, self.agent, await self._some(session, State.OFFERED))

    async def claim(self, session: AsyncSession) -> None:
        await claim(session, self.agent, await self._some(session, State.QUEUED, mine=False))

    async def close(self, session: AsyncSession) -> None:
        await close(session, self.agent, await self._some(session, State.ACTIVE), Disposition.ANSWERED)

    async def release(self, session: AsyncSession) -> None:
        await release(session, self.agent, await self._some(session, State.ACTIVE))

    async def park(self, session: AsyncSession) -> None:
        now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        item_id = await self._some(session, State.ACTIVE)
        await park(session, self.agent, item_id, now + timedelta(milliseconds=50), ParkReason.CUSTOMER)

    async def hand_on(self, session: AsyncSession) -> None:
        to = self.random.choice(self.company.agents).id
        straight = self.random.random() < 0.5
        await to_agent(
            session, self.agent, await self._some(session, State.ACTIVE), to, straight=straight, overrule=True
        )

    async def send_back(self, session: AsyncSession) -> None:
        await to_line(session, self.agent, await self._some(session, State.ACTIVE), needs={}, note="Not mine.")

    async def take_over(self, session: AsyncSession) -> None:
        await take_over(session, self.agent, await self._some(session, State.ACTIVE, State.PARKED, mine=False))

    async def away(self, session: AsyncSession) -> None:
        await set_presence(session, self.agent, PresenceState.NOT_READY, NotReadyReason.BREAK)

    async def back(self, session: AsyncSession) -> None:
        await set_presence(session, self.agent, PresenceState.READY)

    async def leave(self, session: AsyncSession) -> None:
        await hand_back(session, self.agent.id, agent_actor(self.agent.id), because="the shift ended")


class Supervisor:
    """Somebody who gives what waits, is offered or is held to whomever they like, as an offer or at once."""

    def __init__(self, sessions: Sessions, company: Company, supervisor: Agent) -> None:
        self.sessions, self.company, self.supervisor = sessions, company, supervisor
        self.random = Random(7)
        self.did: Counter[str] = Counter()

    async def work(self) -> None:
        for _ in range(2 * STEPS):
            force = self.random.random() < 0.5
            state = self.random.choice((State.QUEUED, State.OFFERED, State.ACTIVE, State.PARKED))
            try:
                async with self.sessions.begin() as session:
                    ids = list(
                        await session.scalars(select(Item.id).where(Item.state == state).order_by(Item.id).limit(9))
                    )
                    item_id, whom = self.random.choice(ids or [0]), self.random.choice(self.company.agents)
                    await assign(session, self.supervisor, item_id, whom.id, force=force)
                self.did[f"{'put' if force else 'asked'} {state}"] += 1
            except Misuse:
                self.did["refused"] += 1
            await asyncio.sleep(0)


async def until_done(done: asyncio.Event, do: Callable[[], Awaitable[object]]) -> None:
    while not done.is_set():
        await do()
        await asyncio.sleep(0)


async def unfenced_round(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await expire_offers(session)
    async with sessions.begin() as session:  # each locks presences in order of agent: in one, they would not be
        await route.make_offers(session, await route.decide(session))


async def test_two_routers_and_twenty_agents_never_assign_twice_nor_overfill(fresh_database: str) -> None:
    engine = create_engine(fresh_database, pool_size=24)
    sessions = sessionmaker(engine)
    try:
        company = await big_company(sessions)
        async with sessions.begin() as session:
            await session.execute(text(WATCH))
        windows = [*company.agents, *company.agents[:5]]  # five of them work in two windows at once
        desks = [Desk(sessions, company, agent, seed) for seed, agent in enumerate(windows)]
        async with sessions.begin() as session:
            boss = Supervisor(sessions, company, await add_agent(session, company.team, "Marta", role=Role.SUPERVISOR))
        done = asyncio.Event()
        first, second = Router(engine), Router(engine)

        async def customers() -> None:
            for number in range(40):
                async with sessions.begin() as session:
                    await ingest(session, company.feed, [post(1000 + number, thread_id=f"thread-{number}")])

        async def impatience() -> None:
            async with sessions.begin() as session:
                some = select(Offer.id).where(Offer.outcome.is_(None)).limit(2).with_for_update(skip_locked=True)
                await session.execute(update(Offer).where(Offer.id.in_(some)).values(expires_at=func.now()))

        async def alarm_clock() -> None:
            async with sessions.begin() as session:
                await wake_due(session)

        around = [
            asyncio.create_task(until_done(done, do))
            for do in (
                first.tick, second.tick, lambda: unfenced_round(sessions), lambda: unfenced_round(sessions),
                impatience, alarm_clock,
            )
        ]  # fmt: skip
        async with asyncio.timeout(240):  # ends a standstill; it says nothing about speed
            await asyncio.gather(customers(), boss.work(), *(desk.work() for desk in desks))
            done.set()
            await asyncio.gather(*around)
        did = sum((desk.did for desk in desks), Counter[str]())
        verbs = ("accept", "decline", "claim", "close", "park", "release", "leave")
        assert min(did[verb] for verb in verbs) > 0, did
        assert sum(boss.did.values()) > boss.did["refused"], boss.did
        async with sessions() as session:
            assert await broken(session) == []
            assert await untold(session) == []
    finally:
        await engine.dispose()


async def test_ending_a_shift_in_one_window_while_closing_in_another_ends_in_no_deadlock(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company = await make_company(session)
        await ingest(session, company.feed, [post(1), post(2)])
        first, second = list(await session.scalars(select(Item.id).order_by(Item.id)))
        for item_id in (first, second):
            await claim(session, company.ayumi, item_id)

    async def end_the_shift() -> int:
        async with sessions.begin() as session:
            return await hand_back(session, company.ayumi.id, agent_actor(company.ayumi.id), because="the shift ended")

    async with sessions.begin() as session:
        await session.execute(select(Item.id).where(Item.id == second).with_for_update())
        ending = asyncio.create_task(end_the_shift())
        await until_somebody_waits(engine)
        await close(session, company.ayumi, second, Disposition.ANSWERED)
    assert await ending == 1
    async with sessions() as session:
        assert await broken(session) == []


async def at_once(*doings: Awaitable[object]) -> list[object]:
    """All at the same time; what each came to, a refusal in words too."""
    async with asyncio.timeout(30):
        return list(await asyncio.gather(*doings, return_exceptions=True))


@pytest.mark.parametrize("force", [True, False], ids=["put", "asked"])
@pytest.mark.parametrize("rival", ["claim", "accept", "decline", "expire", "extend"])
async def test_a_supervisor_who_gives_an_item_and_its_agent_never_both_win(
    engine: AsyncEngine, rival: str, force: bool
) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company = await make_company(session, agents=("Ayumi", "Ben"), misses_limit=100)
        boss = await add_agent(session, company.team, "Marta", role=Role.SUPERVISOR)
        await ingest(session, company.feed, [post(n) for n in range(RACES)])
        ids = list(await session.scalars(select(Item.id).order_by(Item.id)))
    ayumi, ben = company.agents

    async def ends(session: AsyncSession, item_id: int) -> object:
        if rival == "expire":
            return await expire_offers(session)
        return await {"claim": claim, "accept": accept, "decline": decline, "extend": extend}[rival](
            session, ayumi, item_id
        )

    async def agent_does(item_id: int) -> object:
        async with sessions.begin() as session:
            return await ends(session, item_id)

    async def boss_does(item_id: int) -> object:
        async with sessions.begin() as session:
            return await assign(session, boss, item_id, ben.id, force=force)

    for item_id in ids:
        async with sessions.begin() as session:
            item = await session.get_one(Item, item_id)
            if rival != "claim":
                assert await make_offer(session, Proposal(item.id, item.version, ayumi.id, {}))
            if rival == "expire":
                await session.execute(update(Offer).values(expires_at=func.now()))
        both = await at_once(agent_does(item_id), boss_does(item_id))
        assert all(isinstance(one, Misuse) or not isinstance(one, Exception) for one in both), both
        async with sessions.begin() as session:
            assert await broken(session) == []
            item = await session.get_one(Item, item_id)
            assert (item.state, item.agent_id) in {
                (State.ACTIVE, ayumi.id), (State.ACTIVE, ben.id), (State.OFFERED, ben.id), (State.OFFERED, ayumi.id),
                (State.QUEUED, None),
            }  # fmt: skip
            if not isinstance(both[1], Misuse):
                assert item.agent_id in ({ben.id} if force or rival != "accept" else {ayumi.id, ben.id})
            await hand_back(session, ayumi.id, agent_actor(ayumi.id), because="the next race")
            await hand_back(session, ben.id, agent_actor(ben.id), because="the next race")
            await claim(session, boss, item_id)


async def test_of_two_who_take_it_over_at_once_one_has_it_and_the_other_is_told(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company = await make_company(session, agents=("Ayumi", "Finn", "Diego"), take_over_after=0)
        await ingest(session, company.feed, [post(1)])
        [item] = list(await session.scalars(select(Item.id)))
        await claim(session, company.ayumi, item)

    async def take(agent: Agent) -> str:
        try:
            async with sessions.begin() as session:
                await take_over(session, agent, item, company.ayumi.id)
        except Misuse as error:
            return type(error).__name__
        return "has it"

    assert sorted(await asyncio.gather(take(company.finn), take(company.agents[2]))) == ["Conflict", "has it"]
    async with sessions() as session:
        assert [*await broken(session), *await untold(session)] == []


async def test_what_is_given_and_taken_at_once_ends_in_one_pair_of_hands(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company = await make_company(session, agents=("Ayumi", "Finn", "Diego"), take_over_after=0)
        await ingest(session, company.feed, [post(1)])
        [item] = list(await session.scalars(select(Item.id)))
        await claim(session, company.ayumi, item)
        await item_request.ask_for(session, company.finn, item)
        asked = (await session.scalars(select(ItemRequest.id))).one()

    async def tried(do: Callable[[AsyncSession], Awaitable[object]]) -> bool:
        try:
            async with sessions.begin() as session:
                await do(session)
        except Misuse:
            return False
        return True

    won = await asyncio.gather(
        tried(lambda session: item_request.give(session, company.ayumi, item, asked)),
        tried(lambda session: take_over(session, company.agents[2], item, company.ayumi.id)),
    )
    assert sorted(won) == [False, True]
    async with sessions() as session:
        assert [*await broken(session), *await untold(session)] == []


async def until_somebody_waits(engine: AsyncEngine) -> None:
    """Another connection to this database waits for a lock of ours."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30), engine.connect() as connection:
        while not await connection.scalar(waiting):
            await connection.rollback()
            await asyncio.sleep(0.01)
