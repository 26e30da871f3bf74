"""Consult: a question about an item to a colleague, or to all who have a skill or are in a team.

Its asker keeps the item, and may park it until the answer comes. Who is asked may read that item and write notes on it,
while the question is open; who answered, for as long as the item is. The first answer ends the question.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.flow import watch
from app.flow.assign import locked
from app.flow.notices import tell
from app.flow.park import aside
from app.flow.visibility import readable_item, visible_item
from app.flow.wake import wake
from app.i18n import N_, _
from app.listening.clean import storable
from app.models.agent import Agent, AgentSkill, Skill, Team, TeamMember
from app.models.item import OPEN_STATES, Item, ParkReason, State, agent_actor
from app.models.together import Consult, ConsultExpert, NoticeKind

LONGEST = 10_000  # characters
MOST = 100  # people who are asked at once
PATIENCE = timedelta(days=3)  # a parked item comes back after so long without an answer


@dataclass(frozen=True, slots=True)
class Whom:
    """Who is asked: an agent, a skill or a team, by id."""

    kind: str  # agent | skill | team
    id: int


async def consult(
    session: AsyncSession, asker: Agent, item_id: int, whom: Whom, question: str, *, park: bool = False
) -> Consult:
    """Ask about an item; with `park` it is put aside until the answer comes (its holder may do that).

    Raises:
        NotFound: not for the asker's eyes.
        Invalid: nothing is asked, or nobody is there to be asked.
        Conflict: the item has ended, or cannot be parked.
    """
    await visible_item(session, asker, item_id)
    item = await locked(session, item_id)
    if item.state not in OPEN_STATES:
        raise Conflict(
            _("Item %(item)s is %(state)s. Reopen it first.") % {"item": item_id, "state": State(item.state).words}
        )
    name, people = await _experts(session, whom)
    people.discard(asker.id)
    if not people:
        raise Invalid(_("Nobody is there to be asked. Choose somebody else."), "whom")
    text = _checked(question, "question")
    asked = Consult(item_id=item.id, asker_id=asker.id, whom=name, question=text)
    session.add(asked)
    await session.flush()
    session.add_all([ConsultExpert(consult_id=asked.id, agent_id=one) for one in sorted(people)])
    await session.flush()
    await tell(session, people, NoticeKind.CONSULT, item.id, by=asker.id, said=text)
    if park:
        await _put_aside(session, asker, item)
    await watch.begin(session, item.id, [asker.id, *people] if len(people) == 1 else [asker.id])
    announce(session, "items", [item.id])
    return asked


async def answer(session: AsyncSession, expert: Agent, item_id: int, consult_id: int, text: str) -> Consult:
    """Answer a question that one is asked; an item that is parked for it wakes.

    Raises:
        NotFound: not for their eyes, or there is no such question.
        Forbidden: somebody else is asked.
        Invalid: it is empty or too long.
        Conflict: it was answered or taken back already.
    """
    await readable_item(session, expert, item_id)
    item = await locked(session, item_id)
    await _asked(session, expert, item_id, consult_id)
    said = _checked(text, "answer")
    values = {"answer": said, "answerer_id": expert.id, "answered_at": func.now()}
    answered = await session.scalar(
        update(Consult)
        .where(Consult.id == consult_id, Consult.answered_at.is_(None), Consult.withdrawn_at.is_(None))
        .values(values)
        .returning(Consult)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if answered is None:
        raise Conflict(_("Somebody answered first, or the question was taken back."))
    await watch.begin(session, item.id, [expert.id])
    await tell(session, {answered.asker_id}, NoticeKind.ANSWER, item.id, by=expert.id, said=said)
    if item.state == State.PARKED and item.parked_for == ParkReason.EXPERT and not await _open(session, item_id):
        await wake(session, item, agent_actor(expert.id), because=N_("%(expert)s answered") % {"expert": expert.name})
    announce(session, "items", [item.id])
    return answered


async def withdraw(session: AsyncSession, agent: Agent, item_id: int, consult_id: int) -> None:
    """Take a question back: who was asked does not see the item any more. Its asker and the item's holder may.

    Raises:
        NotFound: not for their eyes, or there is no such question.
        Forbidden: somebody else asked, and they do not hold the item.
        Conflict: it was answered already.
    """
    item = await visible_item(session, agent, item_id)
    asked = await session.scalar(select(Consult).where(Consult.id == consult_id, Consult.item_id == item_id))
    if asked is None:
        raise NotFound(_("There is no such question."))
    if agent.id not in {asked.asker_id, item.agent_id}:
        raise Forbidden(_("Only who asked, or holds the item, can take the question back."))
    back = (
        update(Consult)
        .where(Consult.id == consult_id, Consult.answered_at.is_(None))
        .values(withdrawn_at=func.coalesce(Consult.withdrawn_at, func.now()))
        .returning(Consult.id)
        .execution_options(synchronize_session=False)
    )
    if await session.scalar(back) is None:
        raise Conflict(_("It was answered already."))
    announce(session, "items", [item_id])


async def _put_aside(session: AsyncSession, asker: Agent, item: Item) -> None:
    if item.agent_id != asker.id or item.state != State.ACTIVE:
        raise Conflict(_("You do not hold item %(item)s, so you cannot park it.") % {"item": item.id})
    until = await session.scalar(select(func.now() + PATIENCE))
    await aside(session, item, agent_actor(asker.id), until, ParkReason.EXPERT)


async def _experts(session: AsyncSession, whom: Whom) -> tuple[str, set[int]]:
    """What they are called together, and who they are."""
    people = select(Agent.id).where(Agent.active).order_by(Agent.id).limit(MOST)
    name: str | None
    if whom.kind == "agent":
        name = await session.scalar(select(Agent.name).where(Agent.id == whom.id, Agent.active))
        people = people.where(Agent.id == whom.id)
    elif whom.kind == "skill":
        name = await session.scalar(select(Skill.name).where(Skill.id == whom.id))
        people = people.join(AgentSkill, AgentSkill.agent_id == Agent.id).where(AgentSkill.skill_id == whom.id)
    else:
        name = await session.scalar(select(Team.name).where(Team.id == whom.id))
        people = people.join(TeamMember, TeamMember.agent_id == Agent.id).where(TeamMember.team_id == whom.id)
    if name is None:
        raise Invalid(_("Choose whom to ask."), "whom")
    return name, set(await session.scalars(people))


async def _asked(session: AsyncSession, expert: Agent, item_id: int, consult_id: int) -> None:
    experts = (
        select(ConsultExpert.agent_id)
        .join(Consult, Consult.id == ConsultExpert.consult_id)
        .where(Consult.id == consult_id, Consult.item_id == item_id)
    )
    people = set(await session.scalars(experts))
    if not people:
        raise NotFound(_("There is no such question."))
    if expert.id not in people:
        raise Forbidden(_("Somebody else is asked. Write a note."))


async def _open(session: AsyncSession, item_id: int) -> bool:
    waiting = select(Consult.id).where(
        Consult.item_id == item_id, Consult.answered_at.is_(None), Consult.withdrawn_at.is_(None)
    )
    return await session.scalar(waiting.limit(1)) is not None


def _checked(text: str, name: str) -> str:
    kept = storable(text.strip(), LONGEST + 1)
    if not kept or len(kept) > LONGEST:
        raise Invalid(_("Write between 1 and %(most)s characters.") % {"most": LONGEST}, name)
    return kept
