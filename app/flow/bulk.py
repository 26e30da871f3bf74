"""Bulk: one thing done to many items, each by its ordinary verb in a savepoint of its own, and told one by one."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Invalid, Misuse, NotFound
from app.flow.claim import claim
from app.flow.close import close
from app.flow.discard import discard
from app.flow.park import park
from app.flow.prioritise import PRIORITIES, prioritise
from app.flow.release import release
from app.flow.tag import tag, tag_of, untag
from app.flow.transfer import to_line
from app.i18n import _
from app.models.agent import Agent, Presence, Role
from app.models.bulk import BulkRun
from app.models.item import OPEN_STATES, TRANSITIONS, Disposition, Item, ParkReason, State, Verb
from app.models.sight import visible_queues

MOST = 200  # items at once: they stay locked until all is done


class Deed(StrEnum):
    """What can be done to many items."""

    CLAIM = "claim"
    RELEASE = "release"
    CLOSE = "close"
    PARK = "park"
    TRANSFER = "transfer"
    DISCARD = "discard"
    TAG = "tag"
    UNTAG = "untag"
    PRIORITISE = "prioritise"


VERBS: Mapping[Deed, Verb] = {  # of those that move an item to another state
    Deed.CLAIM: Verb.CLAIM,
    Deed.RELEASE: Verb.RELEASE,
    Deed.CLOSE: Verb.CLOSE,
    Deed.PARK: Verb.PARK,
    Deed.TRANSFER: Verb.TRANSFER,
    Deed.DISCARD: Verb.DISCARD,
}
OF_THE_HOLDER = frozenset({Deed.RELEASE, Deed.PARK})  # nobody else's, but supervisors'
OF_ALL = frozenset({Deed.TAG, Deed.UNTAG})  # whoever sees an item tags it, whatever its state


@dataclass(frozen=True, slots=True)
class How:
    """What a deed needs to know. Fields that it does not need are left out."""

    disposition: Disposition | None = None
    until: datetime | None = None
    reason: ParkReason = ParkReason.SNOOZE
    queue_id: int | None = None
    tag: str = ""
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An item as it was seen when it was decided what to do."""

    item_id: int
    version: int


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one item: done, or why not."""

    item_id: int
    done: bool
    words: str = ""


def refusal(me: Agent, deed: Deed, state: State, holder: tuple[int, str] | None) -> str:
    """Why the deed will be refused for an item in this state and these hands; empty when it will not."""
    mine = holder is not None and holder[0] == me.id
    if deed in OF_ALL or (deed == Deed.CLAIM and mine and state == State.ACTIVE):
        return ""
    if holder is not None and not mine and (deed == Deed.CLAIM or not me.is_at_least(Role.SUPERVISOR)):
        return _("%s has it.") % holder[1]
    possible = state in OPEN_STATES if deed == Deed.PRIORITISE else VERBS[deed] in TRANSITIONS[state]
    if not possible:
        return _fitting(state)
    if deed in OF_THE_HOLDER and holder is None:
        return _("Nobody holds it.")
    return ""


def _fitting(state: State) -> str:
    words = {
        State.QUEUED: _("It waits in its queue."),
        State.OFFERED: _("It is offered to somebody now."),
        State.ACTIVE: _("It is being worked on."),
        State.PARKED: _("It is parked."),
        State.CLOSED: _("It is closed."),
        State.DISCARDED: _("It is discarded."),
    }
    return words[state]


async def seen_items(session: AsyncSession, me: Agent, ids: Collection[int]) -> list[Item]:
    """Those of the items that the agent may see, in order of id."""
    mine = Item.queue_id.in_(visible_queues(me)) | (Item.agent_id == me.id)
    return list(await session.scalars(select(Item).where(Item.id.in_(ids), mine).order_by(Item.id)))


async def carry_out(
    session: AsyncSession, me: Agent, key: UUID, *, deed: Deed, items: Sequence[Seen], how: How
) -> BulkRun:
    """Do it to each item as it was seen; the same key a second time only tells what came of the first.

    An item that somebody changed since it was seen is left alone.

    Raises:
        Invalid: there are too many or none, or the deed lacks what it needs to know.
        NotFound: the key is a colleague's.
    """
    if not 0 < len(items) <= MOST:
        raise Invalid(_("Choose at least one item, and at most %d.") % MOST, "item")
    do = _verb(deed, how)
    fresh = insert(BulkRun).values(key=key, agent_id=me.id, deed=deed).on_conflict_do_nothing().returning(BulkRun.key)
    if await session.scalar(fresh) is None:
        return await run_of(session, me, key)
    versions = {one.item_id: one.version for one in items}
    there = await _locked(session, me, versions)
    told = [await _one(session, me, Seen(*one), there.get(one[0]), do) for one in sorted(versions.items())]
    _announce(session, [there[one.item_id] for one in told if one.done])
    kept = update(BulkRun).where(BulkRun.key == key).values(told=[asdict(one) for one in told])
    await session.execute(kept.execution_options(synchronize_session=False))
    return await run_of(session, me, key)


async def run_of(session: AsyncSession, me: Agent, key: UUID) -> BulkRun:
    """What was done under a key. Raises NotFound when nothing was, or by somebody else."""
    found = await session.get(BulkRun, key, populate_existing=True)
    if found is None or found.agent_id != me.id:
        raise NotFound(_("Nothing was done under this address, or it is too long ago. Look at your list."))
    return found


@dataclass(frozen=True, slots=True)
class _Before:
    """Where an item was before it was touched, for who is to be told."""

    item: Item
    version: int
    queue_id: int
    agent_id: int | None


async def _locked(session: AsyncSession, me: Agent, ids: Collection[int]) -> dict[int, _Before]:
    """All the items first, then the presences of all whom it touches, each in order: nothing can deadlock."""
    visible = [item.id for item in await seen_items(session, me, ids)]
    rows = select(Item).where(Item.id.in_(visible)).order_by(Item.id).with_for_update()
    items = list(await session.scalars(rows.execution_options(populate_existing=True)))
    people = {me.id, *(item.agent_id for item in items if item.agent_id is not None)}
    await session.execute(
        select(Presence.agent_id).where(Presence.agent_id.in_(people)).order_by(Presence.agent_id).with_for_update()
    )
    return {item.id: _Before(item, item.version, item.queue_id, item.agent_id) for item in items}


Do = Callable[[AsyncSession, Agent, int], Awaitable[object]]


async def _one(session: AsyncSession, me: Agent, seen: Seen, before: _Before | None, do: Do) -> Told:
    if before is None:
        return Told(seen.item_id, done=False, words=_("It is not in a queue of your teams."))
    if before.version != seen.version:
        return Told(seen.item_id, done=False, words=_("Somebody changed it since you looked. Look at it again."))
    try:
        async with session.begin_nested():
            await do(session, me, seen.item_id)
    except Misuse as error:
        return Told(seen.item_id, done=False, words=error.message)
    return Told(seen.item_id, done=True)


def _announce(session: AsyncSession, done: Sequence[_Before]) -> None:
    """What a refused item's savepoint took back with it: that the others changed."""
    announce(session, "items", [one.item.id for one in done])
    announce(session, "queues", [queue for one in done for queue in (one.queue_id, one.item.queue_id)])
    announce(session, "agents", [who for one in done for who in (one.agent_id, one.item.agent_id) if who is not None])


def _verb(deed: Deed, how: How) -> Do:
    """The verb with what it needs to know. Raises Invalid when that is missing."""
    if deed == Deed.CLOSE:
        disposition = how.disposition
        if disposition is None:
            raise Invalid(_("Say how they ended: choose one from the menu."), "disposition")
        return lambda session, me, item_id: close(session, me, item_id, disposition)
    if deed == Deed.PARK:
        return lambda session, me, item_id: park(session, me, item_id, how.until, how.reason)
    if deed == Deed.TRANSFER:
        queue_id = how.queue_id
        if queue_id is None:
            raise Invalid(_("Choose the queue they go to."), "queue")
        return lambda session, me, item_id: to_line(session, me, item_id, queue_id=queue_id)
    if deed == Deed.PRIORITISE:
        priority = how.priority
        if priority is None or priority not in PRIORITIES:
            raise Invalid(_("Choose a priority."), "priority")
        return lambda session, me, item_id: prioritise(session, me, item_id, priority)
    if deed in OF_ALL:
        name, do = tag_of(how.tag), tag if deed == Deed.TAG else untag
        return lambda session, me, item_id: do(session, me, item_id, name)
    plain: Mapping[Deed, Do] = {Deed.CLAIM: claim, Deed.RELEASE: release, Deed.DISCARD: discard}
    return plain[deed]
