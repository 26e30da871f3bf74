"""Simulated colleagues: they take offers, answer and close, so that queues move and the board lives.

They do what a person at the desk does, by the same verbs, and leave everything in their hands after a while of work.
"""

import asyncio
import random
from datetime import timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.errors import Misuse
from app.flow.answerable import answerable
from app.flow.close import close
from app.flow.consult import answer
from app.flow.gone import seen
from app.flow.item_request import give
from app.flow.offer import accept
from app.flow.presence import set_presence
from app.flow.reply import reply
from app.flow.viewing import look
from app.models.agent import Agent, Presence, PresenceState
from app.models.assignment import Assignment, Offer
from app.models.item import OPEN_STATES, Disposition, Item, State
from app.models.together import Consult, ConsultExpert, ItemRequest
from app.northwind.company import colleagues

log = structlog.get_logger(__name__)

LOOK_EVERY = 3.0  # seconds
READS_FOR = timedelta(seconds=6)  # before an offer is accepted
WORKS_FOR = timedelta(seconds=75)  # before an item is answered

TYPES = 0.4  # how much of their time goes into writing
KNOWS = "Yes, that is right: I looked it up. Tell them it is on its way, and put my name on it if they doubt it."

ANSWERS = {
    "en": "Thanks for telling us, and sorry for the trouble. I have put it right on our side; you will get a mail within the hour.",
    "de": "Danke für die Nachricht, und entschuldige die Umstände. Ich habe es bei uns in Ordnung gebracht; die Mail dazu kommt gleich.",
    "es": "Gracias por avisarnos y perdona las molestias. Ya lo he arreglado por nuestra parte; te llegará un correo enseguida.",
    "fr": "Merci de nous avoir prévenus, et désolés pour le souci. C'est réglé de notre côté ; un courriel arrive dans l'heure.",
    "it": "Grazie per averci scritto e scusa per il disagio. Ho sistemato tutto; a breve ricevi una mail.",
    "pt": "Obrigado por avisar, e desculpe o transtorno. Já resolvi do nosso lado; você recebe um e-mail em breve.",
    "ja": "ご連絡ありがとうございます。ご不便をおかけして申し訳ございません。こちらで対応いたしました。まもなくメールをお送りします。",
    "ar": "شكرًا لإخبارنا ونعتذر عن الإزعاج. عالجنا الأمر من جهتنا وستصلك رسالة قريبًا.",
}


async def work(sessions: async_sessionmaker[AsyncSession], stop: asyncio.Event) -> None:
    """Let the colleagues work until `stop`, then send them home."""
    async with sessions.begin() as session:
        team = await colleagues(session)
        for agent in team:
            await set_presence(session, agent, PresenceState.READY)
    while not stop.is_set():
        for agent in team:
            await _turn(sessions, agent)
        try:
            await asyncio.wait_for(stop.wait(), LOOK_EVERY)
        except TimeoutError:
            continue
    async with sessions.begin() as session:
        for agent in team:
            await set_presence(session, agent, PresenceState.OFFLINE)


async def _turn(sessions: async_sessionmaker[AsyncSession], agent: Agent) -> None:
    try:
        async with sessions.begin() as session:
            await seen(session, agent.id)
        async with sessions.begin() as session:
            await _look_at_offers(session, agent)
        async with sessions.begin() as session:
            await _answer(session, agent)
        async with sessions.begin() as session:
            await _oblige(session, agent)
        async with sessions.begin() as session:
            await _look_at_work(session, agent)
    except (Misuse, DBAPIError) as error:
        # The visitor was quicker, or the database is on its way down; the next turn sees what is left.
        log.info("colleague_lost_a_turn", agent=agent.id, cause=type(error).__name__)


async def _look_at_offers(session: AsyncSession, agent: Agent) -> None:
    presence = await session.get_one(Presence, agent.id, populate_existing=True)
    if presence.state not in {PresenceState.READY, PresenceState.WRAP_UP}:
        await set_presence(session, agent, PresenceState.READY)
    read = select(Offer.item_id).where(
        Offer.agent_id == agent.id, Offer.outcome.is_(None), Offer.made_at < func.now() - READS_FOR
    )
    for item_id in (await session.scalars(read)).all():
        await accept(session, agent, item_id)


async def _oblige(session: AsyncSession, agent: Agent) -> None:
    """Answer what the visitor asks as of an expert, and give what they ask for."""
    asked = (
        select(Consult)
        .join(ConsultExpert, ConsultExpert.consult_id == Consult.id)
        .join(Item, Item.id == Consult.item_id)
        .where(ConsultExpert.agent_id == agent.id, Consult.answered_at.is_(None), Consult.withdrawn_at.is_(None))
        .where(Consult.asked_at < func.now() - READS_FOR, Item.state.in_(OPEN_STATES))
        .limit(1)
    )
    question = await session.scalar(asked)
    if question is not None:
        await answer(session, agent, question.item_id, question.id, KNOWS)
        return
    wanted = (
        select(ItemRequest)
        .join(Item, (Item.id == ItemRequest.item_id) & (Item.agent_id == agent.id))
        .where(ItemRequest.holder_id == agent.id, ItemRequest.outcome.is_(None))
        .where(ItemRequest.asked_at < func.now() - READS_FOR)
        .limit(1)
    )
    request = await session.scalar(wanted)
    if request is not None:
        await give(session, agent, request.item_id, request.id)


async def _look_at_work(session: AsyncSession, agent: Agent) -> None:
    """Have the item before their eyes that they answer next, and write on it now and then."""
    newest = select(Item.id).where(Item.agent_id == agent.id, Item.state == State.ACTIVE).order_by(Item.id).limit(1)
    item_id = await session.scalar(newest)
    if item_id is not None:
        await look(session, agent, item_id, typing=random.random() < TYPES)  # noqa: S311 - simulated people


async def _answer(session: AsyncSession, agent: Agent) -> None:
    """Answer the item that has been in hand longest, once enough time went into it."""
    worked = WORKS_FOR * random.uniform(0.6, 1.6)  # noqa: S311 - the rhythm of simulated people
    oldest = (
        select(Item)
        .join(Assignment, (Assignment.item_id == Item.id) & Assignment.until.is_(None))
        .where(Item.agent_id == agent.id, Item.state == State.ACTIVE, Assignment.since < func.now() - worked)
        .order_by(Assignment.since)
        .limit(1)
    )
    item = await session.scalar(oldest)
    if item is None:
        return
    try:
        way = await answerable(session, item)
    except Misuse:
        await close(session, agent, item.id, Disposition.NO_REPLY)
        return
    said = ANSWERS.get((item.language or "en").split("-")[0], ANSWERS["en"])
    await reply(session, agent, item.id, said, way.visibilities[-1], then_close=Disposition.ANSWERED)
