"""Transfer: an item goes to a colleague, to another queue, or back to the line for somebody with a skill.

A note goes with it, written first. Its rank is kept, so in any line it stands where its waiting put it. Locks: the item,
then the presences of who has it and who gets it, in order of agent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid
from app.flow import hold, offer
from app.flow.assign import AWAKE, ask, locked, presences_of, put, receiver_of, supervises
from app.flow.draft import NOTE, clear_draft, hand_over_draft, load_draft
from app.flow.mention import mention
from app.flow.note import write
from app.flow.notices import excerpt
from app.flow.visibility import visible_item
from app.i18n import N_, _
from app.models.agent import Agent, AgentSkill, Presence, PresenceState, Skill
from app.models.item import OPEN_STATES, Item, State, Verb, agent_actor, lane_of, move
from app.models.queue import Queue


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why somebody may not be the right one. A hard one only supervisors may overrule."""

    code: str  # offline | full | away | skill
    hard: bool
    skill: str = ""
    level: int = 0


async def to_agent(
    session: AsyncSession,
    sender: Agent,
    item_id: int,
    receiver_id: int,
    *,
    straight: bool,
    overrule: bool = False,
    note: str = "",
) -> Item:
    """Give an item to a colleague: as an offer, or `straight` into their hands.

    Straight asks for skills, room and somebody who is there; `overrule` goes past a missing skill or a break, for
    supervisors past all of it. What its holder has begun to write goes with it: as a draft when it goes straight, else
    as a note.

    Raises:
        NotFound: not for the sender's eyes.
        Forbidden: a colleague holds it, or it waits and only a supervisor may put it into somebody's hands.
        Invalid: the receiver is switched off, or has nothing to do with the queue.
        Conflict: the receiver has it, cannot be asked now, or there is a doubt that was not overruled.
    """
    item = await _sendable(session, sender, item_id)
    receiver = await receiver_of(session, item, receiver_id)
    if item.agent_id == receiver.id and item.state != State.PARKED:
        raise Conflict(_("%(name)s has item %(item)s already.") % {"name": receiver.name, "item": item.id})
    leads = await supervises(session, sender, item)
    if straight and item.agent_id != sender.id and not leads:
        raise Forbidden(_("Claim the item first, or offer it: only supervisors put what waits into somebody's hands."))
    holder = item.agent_id
    said = await _said(session, sender, item, note)
    presences = await presences_of(session, holder, receiver.id)
    if not straight:
        await _leave_draft(session, sender, item)
        item = await _to_line(
            session,
            sender,
            item,
            {},
            {
                "because": N_("%(sender)s offers it to %(receiver)s")
                % {"sender": sender.name, "receiver": receiver.name}
            },
        )
        return await ask(session, sender, item, receiver, presences[receiver.id], note=said)
    _settle_doubts(receiver, await doubts(session, item, receiver, presences[receiver.id]), overrule, leads)
    given = await put(session, sender, item, receiver, **({"note": said} if said else {}))
    if holder is not None:
        await hand_over_draft(session, item.id, holder, receiver.id)
    return given


async def to_line(
    session: AsyncSession,
    sender: Agent,
    item_id: int,
    *,
    queue_id: int | None = None,
    needs: Mapping[int, int] | None = None,
    note: str = "",
) -> Item:
    """Send an item to the line of a queue (None: its own), where it keeps its rank.

    `needs` (skill -> lowest level) replaces what it asks for; None keeps that.

    Raises:
        NotFound: not for the sender's eyes.
        Forbidden: a colleague holds it.
        Invalid: there is no such queue or skill, or a level is not 1 to 5.
        Conflict: it has ended, or it waits there already for the same.
    """
    item = await _sendable(session, sender, item_id)
    queue = await _active_queue(session, queue_id or item.queue_id)
    asked = await _named_needs(session, needs)
    wanted = item.requirements if needs is None else {str(skill): level for skill, level in needs.items()}
    if item.state == State.QUEUED and (queue.id, wanted) == (item.queue_id, item.requirements):
        raise Conflict(
            _("Item %(item)s waits in %(queue)s already, for the same skills.") % {"item": item.id, "queue": queue.name}
        )
    said = await _said(session, sender, item, note)
    await _leave_draft(session, sender, item)
    changes: dict[str, Any] = {"queue_id": queue.id, "lane": lane_of(queue.id, wanted)}
    if needs is not None:
        changes |= {"requirements": wanted, "steps": [step for step in item.steps if str(step["skill"]) in wanted]}
    if item.preferred_agent_id == sender.id:  # they gave it away: it must not wait for them
        changes["preferred_agent_id"] = None
    why = {
        "because": N_("sent to %(queue)s") % {"queue": queue.name},
        "from_queue": item.queue_id,
        "to": queue.id,
        "queue": queue.name,
    }
    why |= {"needs": asked} if asked else {}
    return await _to_line(session, sender, item, changes, why | ({"note": said} if said else {}))


async def doubts(session: AsyncSession, item: Item, receiver: Agent, presence: Presence) -> list[Doubt]:
    """Why the agent may not be the right one for the item, the hardest first."""
    found = []
    if presence.state == PresenceState.OFFLINE:
        found.append(Doubt("offline", hard=True))
    if presence.load + item.weight > receiver.capacity:
        found.append(Doubt("full", hard=True))
    if presence.state == PresenceState.NOT_READY:
        found.append(Doubt("away", hard=False))
    levels = {
        str(row[0]): row[1]
        for row in await session.execute(
            select(AgentSkill.skill_id, AgentSkill.level).where(AgentSkill.agent_id == receiver.id)
        )
    }
    short = {skill: level for skill, level in item.requirements.items() if levels.get(skill, 0) < level}
    names = {row.id: row.name for row in await session.scalars(select(Skill).where(Skill.id.in_(map(int, short))))}
    found += [Doubt("skill", hard=False, skill=names.get(int(s), s), level=level) for s, level in short.items()]
    return found


def _settle_doubts(receiver: Agent, found: list[Doubt], overrule: bool, leads: bool) -> None:
    hard = [one for one in found if one.hard]
    if hard and not (overrule and leads):
        raise Conflict(_hard(hard[0], leads) % {"name": receiver.name})
    if found and not overrule:
        first = found[0]
        told = {"name": receiver.name, "skill": first.skill, "level": first.level}
        if first.code == "away":
            raise Conflict(_("%(name)s is not ready. Overrule that, or choose somebody else.") % told)
        raise Conflict(_("%(name)s lacks %(skill)s %(level)d. Overrule that, or choose somebody else.") % told)


def _hard(one: Doubt, leads: bool) -> str:
    if one.code == "offline":
        if leads:
            return _("%(name)s is not signed in. Overrule that, or choose somebody else.")
        return _("%(name)s is not signed in. Ask a supervisor, or choose somebody else.")
    if leads:
        return _("%(name)s has no room for it. Overrule that, or choose somebody else.")
    return _("%(name)s has no room for it. Ask a supervisor, or choose somebody else.")


async def _sendable(session: AsyncSession, sender: Agent, item_id: int) -> Item:
    """The item, locked, if the sender may send it on: it waits, or they hold or supervise it."""
    await visible_item(session, sender, item_id)
    item = await locked(session, item_id)
    if item.state not in OPEN_STATES:
        raise Conflict(
            _("Item %(item)s is %(state)s. Reopen it first.") % {"item": item_id, "state": State(item.state).words}
        )
    if item.state == State.OFFERED and item.agent_id == sender.id:
        raise Conflict(_("Item %(item)s is offered to you. Accept it first, or decline it.") % {"item": item_id})
    if item.agent_id not in {None, sender.id} and not await supervises(session, sender, item):
        raise Forbidden(_("A colleague has item %(item)s. Ask them for it first.") % {"item": item_id})
    return item


async def _to_line(
    session: AsyncSession, sender: Agent, item: Item, changes: Mapping[str, Any], why: Mapping[str, Any]
) -> Item:
    """Back to a line, from wherever it is. Nothing happens when it waits and nothing is to change."""
    actor = agent_actor(sender.id)
    if item.state == State.OFFERED:
        item = await offer.revoke(session, item, actor, str(why["because"]))
    if item.state == State.PARKED:
        item = await move(session, item, Verb.WAKE, State.QUEUED, actor, why=why, agent_id=None, **AWAKE)
        await hold.end(session, item, Verb.WAKE)
    if item.state == State.QUEUED and not changes:
        return item
    gone = {} if item.agent_id is None else {"agent_id": None}
    moved = await move(session, item, Verb.TRANSFER, State.QUEUED, actor, why=why, **gone, **changes)
    await hold.end(session, moved, Verb.TRANSFER)
    return moved


async def _said(session: AsyncSession, sender: Agent, item: Item, note: str) -> str:
    """Write the note that goes with the item; how it begins."""
    if not note.strip():
        return ""
    written = await write(session, sender, item, note)
    await mention(session, sender, item, written)
    return excerpt(written.text)


async def _leave_draft(session: AsyncSession, sender: Agent, item: Item) -> None:
    """Nobody knows yet who goes on, so the reply that its holder has begun stays with the item as a note of theirs."""
    draft = await load_draft(session, sender, item.id)
    if item.agent_id == sender.id and draft is not None and draft.visibility != NOTE and draft.text.strip():
        await write(session, sender, item, _("Begun reply, not sent:") + f"\n\n{draft.text}")
        await clear_draft(session, sender, item.id)


async def _active_queue(session: AsyncSession, queue_id: int) -> Queue:
    queue = await session.scalar(select(Queue).where(Queue.id == queue_id, Queue.active))
    if queue is None:
        raise Invalid(_("There is no such queue, or it is switched off. Choose another."), "to")
    return queue


async def _named_needs(session: AsyncSession, needs: Mapping[int, int] | None) -> str:
    """What is asked for, in words: `French 3`. Raises Invalid for what does not exist."""
    if not needs:
        return ""
    names = {row.id: row.name for row in await session.scalars(select(Skill).where(Skill.id.in_(needs)))}
    if len(names) < len(needs) or not all(1 <= level <= 5 for level in needs.values()):  # noqa: PLR2004 - levels, DESIGN section 1
        raise Invalid(_("Choose a skill that exists, and a level from 1 to 5."), "to")
    return ", ".join(f"{names[skill]} {level}" for skill, level in needs.items())
