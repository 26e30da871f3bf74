"""Any sequence of verbs, by several agents, feeds and the router, leaves the invariants true."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Link, Sent
from app.db import create_engine
from app.errors import MaybeSent, Misuse, Refused
from app.flow import consult, item_request, outbox
from app.flow.claim import claim
from app.flow.close import close
from app.flow.discard import discard
from app.flow.ingest import ingest
from app.flow.offer import accept, decline, expire_offers
from app.flow.park import park
from app.flow.presence import hand_back, set_presence
from app.flow.release import release
from app.flow.reopen import reopen
from app.flow.reply import arrived, reply, retry, send_now, undo
from app.flow.route import decide, make_offers
from app.flow.take_over import take_over
from app.flow.transfer import to_agent, to_line
from app.flow.wake import wake, wake_by_hand
from app.models.agent import Agent, NotReadyReason, Presence, PresenceState
from app.models.assignment import Offer
from app.models.item import SYSTEM, Disposition, Item, State, agent_actor
from app.models.queue import Queue
from app.models.reply import Reply, ReplyState
from app.models.rule import Rule
from app.models.together import Consult, ConsultExpert, ItemRequest
from tests.company import Company, add_skill, make_company, post
from tests.properties.invariants import broken, untold

T = TypeVar("T")
AGENTS = 3
NOWHERE = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
agents = st.integers(0, AGENTS - 1)
which = st.integers(0, 7)


class Floor(RuleBasedStateMachine):
    """A care floor on one connection: each step is a savepoint, the whole run is rolled back."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.posts = 0
        self.company: Company
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.engine = create_engine(self.url, pool_size=1)
        self.connection = await self.engine.connect()
        self.outer = await self.connection.begin()

    def teardown(self) -> None:
        self.runner.run(self._end())
        self.runner.close()

    async def _end(self) -> None:
        await self.outer.rollback()
        await self.connection.close()
        await self.engine.dispose()

    def step(self, do: Callable[[AsyncSession], Awaitable[T]]) -> T | None:
        """One transaction; a refusal is as good an outcome as any other."""

        async def run() -> T | None:
            options: dict[str, Any] = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
            try:
                async with AsyncSession(self.connection, **options) as session, session.begin():
                    return await do(session)
            except Misuse:
                return None

        return self.runner.run(run())

    def on_item(self, nth: int, do: Callable[[AsyncSession, int], Awaitable[object]]) -> None:
        async def run(session: AsyncSession) -> None:
            ids = list(await session.scalars(select(Item.id).order_by(Item.id)))
            if ids:
                await do(session, ids[nth % len(ids)])

        self.step(run)

    def on_reply(self, nth: int, do: Callable[[AsyncSession, int], Awaitable[object]]) -> None:
        async def run(session: AsyncSession) -> None:
            ids = list(await session.scalars(select(Reply.id).order_by(Reply.id)))
            if ids:
                await do(session, ids[nth % len(ids)])

        self.step(run)

    def who(self, nth: int) -> Agent:
        return self.company.agents[nth]

    # -- what happens

    @initialize(capacity=st.integers(1, 3), weight=st.integers(1, 2))
    def open_the_floor(self, capacity: int, weight: int) -> None:
        async def run(session: AsyncSession) -> Company:
            names = tuple(f"Agent{n}" for n in range(AGENTS))
            company = await make_company(
                session, agents=names, weight=weight, misses_limit=2, reoffer_after=0, take_over_after=0
            )
            billing = company.skills["Billing"]
            needs = {"conditions": {"contains": ["charged"]}, "requirements": {str(billing.id): 3}}
            session.add(Rule(position=1, name="Money", queue_id=company.queue.id, priority=1, **needs))
            elsewhere = Queue(name="Elsewhere", team_id=company.team.id)  # nobody is offered what waits there
            session.add(elsewhere)
            await session.flush()
            aside = {"conditions": {"contains": ["press"]}, "queue_id": elsewhere.id}
            session.add(Rule(position=2, name="Press", **aside))
            await add_skill(session, company.agents[0], billing, 2)
            await add_skill(session, company.agents[1], billing, 3)
            await session.execute(update(Agent).values(capacity=capacity))
            return company

        made = self.step(run)
        assert made is not None
        self.company = made

    @rule(thread=st.integers(1, 4), said=st.sampled_from(["hello", "charged twice", "press"]), quiet=st.booleans())
    def a_post_comes(self, thread: int, said: str, quiet: bool) -> None:
        self.posts += 1
        new = post(self.posts, said, thread_id=f"t{thread}", author=f"author-{thread}")
        self.step(lambda session: ingest(session, self.company.feed, [new], quiet=quiet and thread == 4))

    @rule(agent=agents, nth=which)
    def somebody_claims(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: claim(session, self.who(agent), item))

    @rule(agent=agents, nth=which)
    def somebody_accepts(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: accept(session, self.who(agent), item))

    @rule(agent=agents, nth=which)
    def somebody_declines(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: decline(session, self.who(agent), item, "not now"))

    @rule(agent=agents, nth=which)
    def somebody_releases(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: release(session, self.who(agent), item))

    @rule(agent=agents, nth=which)
    def somebody_parks(self, agent: int, nth: int) -> None:
        async def until_later(session: AsyncSession, item: int) -> None:
            now = (await session.execute(select(func.now()))).scalar_one()
            await park(session, self.who(agent), item, now + timedelta(hours=1))

        self.on_item(nth, until_later)

    @rule(agent=agents, nth=which)
    def somebody_goes_on_with_it(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: wake_by_hand(session, self.who(agent), item))

    @rule(agent=agents, nth=which, how=st.sampled_from([Disposition.ANSWERED, Disposition.NO_REPLY]))
    def somebody_closes(self, agent: int, nth: int, how: Disposition) -> None:
        self.on_item(nth, lambda session, item: close(session, self.who(agent), item, how))

    @rule(agent=agents, nth=which)
    def somebody_discards(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: discard(session, self.who(agent), item))

    @rule(agent=agents, nth=which)
    def somebody_reopens(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: reopen(session, self.who(agent), item))

    @rule(agent=agents, nth=which, to=agents, straight=st.booleans())
    def somebody_gives_it_to_a_colleague(self, agent: int, nth: int, to: int, *, straight: bool) -> None:
        def give(session: AsyncSession, item: int) -> Awaitable[object]:
            return to_agent(
                session, self.who(agent), item, self.who(to).id, straight=straight, overrule=True, note="Hi"
            )

        self.on_item(nth, give)

    @rule(agent=agents, nth=which, elsewhere=st.booleans(), level=st.sampled_from([None, 2, 5]))
    def somebody_sends_it_to_a_line(self, agent: int, nth: int, *, elsewhere: bool, level: int | None) -> None:
        async def send(session: AsyncSession, item: int) -> None:
            queue = await session.scalar(select(Queue.id).where(Queue.name == "Elsewhere")) if elsewhere else None
            needs = None if level is None else {self.company.skills["Billing"].id: level}
            await to_line(session, self.who(agent), item, queue_id=queue, needs=needs)

        self.on_item(nth, send)

    @rule(agent=agents, nth=which)
    def somebody_takes_it_over(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: take_over(session, self.who(agent), item))

    @rule(agent=agents, nth=which)
    def somebody_asks_for_it(self, agent: int, nth: int) -> None:
        self.on_item(nth, lambda session, item: item_request.ask_for(session, self.who(agent), item))

    @rule(nth=which, verb=st.sampled_from([item_request.give, item_request.keep]))
    def its_holder_gives_or_keeps_it(self, nth: int, verb: Callable[..., Awaitable[object]]) -> None:
        async def answer_it(session: AsyncSession, item: int) -> None:
            asked = await session.scalar(select(ItemRequest).where(ItemRequest.item_id == item).limit(1))
            if asked is not None:
                await verb(session, await session.get_one(Agent, asked.holder_id), item, asked.id)

        self.on_item(nth, answer_it)

    @rule(agent=agents, nth=which, expert=agents, park_it=st.booleans())
    def somebody_asks_an_expert(self, agent: int, nth: int, expert: int, *, park_it: bool) -> None:
        whom = consult.Whom("agent", self.who(expert).id)
        self.on_item(nth, lambda s, item: consult.consult(s, self.who(agent), item, whom, "So?", park=park_it))

    @rule(nth=which)
    def an_expert_answers(self, nth: int) -> None:
        async def say(session: AsyncSession, item: int) -> None:
            open_one = select(Consult, ConsultExpert.agent_id).join(
                ConsultExpert, ConsultExpert.consult_id == Consult.id
            )
            row = (await session.execute(open_one.where(Consult.item_id == item).limit(1))).first()
            if row is not None:
                await consult.answer(session, await session.get_one(Agent, row[1]), item, row[0].id, "Yes.")

        self.on_item(nth, say)

    @rule(agent=agents, state=st.sampled_from(PresenceState))
    def somebody_comes_or_goes(self, agent: int, state: PresenceState) -> None:
        reason = NotReadyReason.BREAK if state == PresenceState.NOT_READY else None
        self.step(lambda session: set_presence(session, self.who(agent), state, reason))

    @rule(agent=agents)
    def somebody_ends_the_shift(self, agent: int) -> None:
        actor = agent_actor(self.who(agent).id)
        self.step(lambda session: hand_back(session, self.who(agent).id, actor, because="the shift ended"))

    @rule(agent=agents, nth=which, ending=st.sampled_from([None, Disposition.ANSWERED]))
    def somebody_replies(self, agent: int, nth: int, ending: Disposition | None) -> None:
        self.on_item(nth, lambda s, item: reply(s, self.who(agent), item, "On its way.", "public", then_close=ending))

    @rule(agent=agents, nth=which, verb=st.sampled_from([undo, send_now, retry, arrived]))
    def somebody_minds_a_reply(self, agent: int, nth: int, verb: Callable[..., Awaitable[object]]) -> None:
        self.on_reply(nth, lambda session, reply_id: verb(session, self.who(agent), reply_id))

    @rule(nth=which, end=st.sampled_from(["sent", "refused", "doubtful", "left to a person"]))
    def a_reply_goes_out(self, nth: int, end: str) -> None:
        async def goes(session: AsyncSession, reply_id: int) -> None:
            await session.execute(
                update(Reply).where(Reply.id == reply_id, Reply.due_at.is_not(None)).values(due_at=func.now())
            )
            errand = await outbox.errand(session, reply_id)
            if errand is None:
                return
            if errand.reply.state == ReplyState.HELD:
                await outbox.enqueue(session, errand, registry.get("webhook"), await _link(session))
            number = await outbox.take(session, errand.reply)
            if end == "sent":
                await outbox.succeed(session, reply_id, number, Sent(external_id=f"r{reply_id}"))
            elif end == "left to a person":
                await outbox.leave_to_person(session, reply_id, number, "Nobody can tell.")
            else:
                error = Refused("The post is gone.") if end == "refused" else MaybeSent("It broke off.")
                await outbox.fail(session, reply_id, number, error)

        self.on_reply(nth, goes)

    @rule()
    def the_router_looks(self) -> None:
        async def run(session: AsyncSession) -> None:
            before = await session.scalar(select(func.coalesce(func.max(Offer.id), 0)))
            await make_offers(session, await decide(session))
            over = (
                select(Offer.id)
                .join(Presence, Presence.agent_id == Offer.agent_id)
                .join(Agent, Agent.id == Offer.agent_id)
                .where(Offer.id > before, Presence.load > Agent.capacity)
            )
            assert list(await session.scalars(over)) == []

        self.step(run)

    @rule()
    def offers_run_out(self) -> None:
        async def run(session: AsyncSession) -> None:
            past = func.now() - timedelta(seconds=1)
            await session.execute(update(Offer).where(Offer.outcome.is_(None)).values(expires_at=past))
            await expire_offers(session)

        self.step(run)

    @rule()
    def parked_items_wake(self) -> None:
        async def run(session: AsyncSession) -> None:
            parked = await session.scalars(
                select(Item).where(Item.state == State.PARKED).order_by(Item.agent_id, Item.id)
            )
            for item in parked.all():
                await wake(session, item, SYSTEM, because="its time has come")

        self.step(run)

    @invariant()
    def everything_holds(self) -> None:
        async def look(session: AsyncSession) -> list[str]:
            return [*await broken(session), *await untold(session)]

        assert self.step(look) == []


async def _link(session: AsyncSession) -> Link:
    async def keep(_: object) -> None:
        """Nothing is refreshed here."""

    now = (await session.execute(select(func.now()))).scalar_one()
    return Link(settings=None, credentials=None, http=NOWHERE, now=now, keep=keep)


def test_any_sequence_of_verbs_leaves_the_invariants_true(database_url: str) -> None:
    floor = type("FloorHere", (Floor,), {"url": database_url})
    run_state_machine_as_test(floor, settings=settings(max_examples=30, stateful_step_count=35, deadline=None))
