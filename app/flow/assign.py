"""Assign: a supervisor gives an item to an agent of their choice, as an offer or straight into their hands.

Locks: the item, then the presences of who has it and who gets it, in order of agent.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid
from app.flow import hold, offer
from app.flow.notices import tell
from app.flow.visibility import visible_item
from app.i18n import N_, _
from app.models.agent import Agent, Presence, PresenceState, Role, TeamMember
from app.models.assignment import Offer
from app.models.item import Item, State, Verb, agent_actor, move
from app.models.offering import offer_items
from app.models.queue import Queue, QueueMember
from app.models.sight import visible_queues
from app.models.together import NoticeKind

AWAKE = {"parked_until": None, "parked_for": None, "closes_at": None}


async def assign(session: AsyncSession, supervisor: Agent, item_id: int, agent_id: int, *, force: bool) -> Item:
    """Give an item to an agent: with `force` it is theirs at once, whatever their load; else they are offered it.

    Whoever is offered it now loses that offer. From another agent's hands it goes with `force` only; what they began
    to write stays theirs.

    Raises:
        NotFound: not for the supervisor's eyes.
        Forbidden: they do not supervise the item's queue.
        Invalid: the agent is switched off, or has nothing to do with the queue.
        Conflict: the agent has it already, cannot be asked now, or the item is held or has ended.
    """
    item = await _supervised(session, supervisor, item_id)
    agent = await receiver_of(session, item, agent_id)
    if item.agent_id == agent.id and (not force or item.state == State.ACTIVE):
        raise Conflict(_("%(agent)s has item %(item)s already.") % {"agent": agent.name, "item": item.id})
    presences = await presences_of(session, item.agent_id, agent.id)
    if force:
        return await put(session, supervisor, item, agent)
    return await ask(session, supervisor, item, agent, presences[agent.id])


def receivers(item: Item) -> Select[Agent, Presence]:
    """Who may be given the item: active people of its queue's team, and the queue's members."""
    return select(Agent, Presence).join(Presence, Presence.agent_id == Agent.id).where(Agent.active, _concerned(item))


def _concerned(item: Item) -> ColumnElement[bool]:
    team = select(Queue.team_id).where(Queue.id == item.queue_id).scalar_subquery()
    of_team = select(TeamMember.agent_id).where(TeamMember.team_id == team)
    members = select(QueueMember.agent_id).where(QueueMember.queue_id == item.queue_id)
    return or_(Agent.id.in_(of_team), Agent.id.in_(members))


async def _supervised(session: AsyncSession, supervisor: Agent, item_id: int) -> Item:
    item = await visible_item(session, supervisor, item_id)
    if not await supervises(session, supervisor, item):
        raise Forbidden(_("Only supervisors of the item's team may give it to somebody. Ask one of them."))
    return await locked(session, item_id)


async def locked(session: AsyncSession, item_id: int) -> Item:
    """The item, which nobody else changes until this transaction ends."""
    found = select(Item).where(Item.id == item_id).with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(found)).one()


async def supervises(session: AsyncSession, agent: Agent, item: Item) -> bool:
    """Whether the agent may give the item to others."""
    if not agent.is_at_least(Role.SUPERVISOR):
        return False
    theirs = visible_queues(agent).where(Queue.id == item.queue_id)
    return await session.scalar(theirs) is not None


async def receiver_of(session: AsyncSession, item: Item, agent_id: int) -> Agent:
    """Who is given the item. Raises Invalid when they have nothing to do with its queue, or are switched off."""
    agent = await session.scalar(select(Agent).where(Agent.id == agent_id, Agent.active, _concerned(item)))
    if agent is None:
        raise Invalid(_("Choose somebody of the queue's team, or a member of the queue, whose account is on."), "agent")
    return agent


async def presences_of(session: AsyncSession, *agent_ids: int | None) -> dict[int, Presence]:
    """The agents' presences, locked in order; their item is locked already."""
    ids = [one for one in agent_ids if one is not None]
    mine = select(Presence).where(Presence.agent_id.in_(ids)).order_by(Presence.agent_id).with_for_update()
    found = await session.scalars(mine.execution_options(populate_existing=True))
    return {presence.agent_id: presence for presence in found}


async def put(session: AsyncSession, giver: Agent, item: Item, agent: Agent, **told: Any) -> Item:
    """Into the agent's hands, from wherever it is; they are told, and so is who had it. `told` goes into the event.

    The item is locked, and so are the presences of both.
    """
    kind = NoticeKind.GIVEN if told.get("asked") else NoticeKind.TRANSFER
    await tell(session, [agent.id], kind, item.id, by=giver.id, said=told.get("note", ""))
    if item.agent_id not in {None, agent.id} and item.state != State.OFFERED:
        await tell(session, [item.agent_id], NoticeKind.TAKEN, item.id, by=giver.id)
    actor = agent_actor(giver.id)
    why = {
        "because": N_("%(giver)s gave it to %(agent)s") % {"giver": giver.name, "agent": agent.name},
        "from": item.agent_id,
        **told,
    }
    if item.state == State.ACTIVE:
        moved = await move(session, item, Verb.TRANSFER, State.ACTIVE, actor, why=why, agent_id=agent.id)
        await hold.end(session, moved, Verb.TRANSFER)
        await hold.begin(session, moved, agent.id, Verb.TRANSFER)
        return moved
    if item.state == State.OFFERED:
        item = await _taken_back(session, giver, item)
    if item.state == State.PARKED:
        item = await move(session, item, Verb.WAKE, State.QUEUED, actor, why=why, agent_id=None, **AWAKE)
        await hold.end(session, item, Verb.WAKE)
    moved = await move(session, item, Verb.ASSIGN, State.ACTIVE, actor, why=why, agent_id=agent.id)
    await hold.begin(session, moved, agent.id, Verb.ASSIGN)
    return moved


async def ask(
    session: AsyncSession, giver: Agent, item: Item, agent: Agent, presence: Presence, *, note: str = ""
) -> Item:
    """As an offer, which the agent may decline; `note` stands on it. The item and the presence are locked."""
    if presence.state == PresenceState.OFFLINE:
        raise Conflict(
            _("%(agent)s is not signed in, so nothing can be offered to them. Give it to them directly.")
            % {"agent": agent.name}
        )
    if item.state == State.OFFERED:
        item = await _taken_back(session, giver, item)
    if item.state != State.QUEUED:
        raise Conflict(
            _("Item %(item)s is %(state)s: only what waits can be offered. Give it to them directly.")
            % {"item": item.id, "state": State(item.state).words}
        )
    why = {"by": giver.id, "by_name": giver.name, **({"note": note} if note else {})}
    row = {"item_id": item.id, "version": item.version, "agent_id": agent.id, "over": item.emergency, "why": why}
    if not await offer_items(session, [row], by=giver.id):
        raise Conflict(await _unaskable(session, item, agent, presence))
    return await session.get_one(Item, item.id, populate_existing=True)


async def _unaskable(session: AsyncSession, item: Item, agent: Agent, presence: Presence) -> str:
    asked = select(Offer.id).where(Offer.agent_id == agent.id, Offer.outcome.is_(None)).limit(1)
    if await session.scalar(asked) is not None:
        return _("%(agent)s is being asked about another item. Try again in a moment, or give it to them directly.") % {
            "agent": agent.name
        }
    told = {"agent": agent.name, "item": item.id, "load": presence.load, "capacity": agent.capacity}
    return (
        _(
            "%(agent)s has no room for item %(item)s: they carry %(load)s of %(capacity)s. Choose somebody else, or give it to them directly."
        )
        % told
    )


async def _taken_back(session: AsyncSession, giver: Agent, item: Item) -> Item:
    because = N_("%(giver)s gave it to somebody else") % {"giver": giver.name}
    return await offer.revoke(session, item, agent_actor(giver.id), because)
