"""Configure queues: waiting lines with their target, order and members."""

from collections.abc import Iterable

from pydantic import Field
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Invalid, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh, naming
from app.flow.counts import check_channels, write_counts
from app.flow.queue_shape import DAY, QueueShape, read_raises, read_weights
from app.i18n import N_, _, ngettext
from app.models.agent import Agent
from app.models.item import OPEN_STATES, Item
from app.models.queue import Queue, QueueMember
from app.models.rule import Rule
from app.routing.hours_text import parse_hours, show_hours
from app.routing.raises import read, stored, write


class QueueSettings(QueueShape):
    """A queue's shape, the team it belongs to and the queue it overflows to."""

    team_id: int = Field(title=N_("Team"), description=N_("Whose agents and supervisors see this queue."))
    overflow_queue_id: int | None = Field(
        None, title=N_("Overflow to"), description=N_("Where items go on to. An item never returns to a queue it left.")
    )


def queue_settings(queue: Queue) -> QueueSettings:
    """The settings of a stored queue."""
    values = {name: getattr(queue, name) for name in QueueSettings.model_fields}
    return QueueSettings.model_validate(
        values
        | {
            "boosts": tuple(queue.boosts),
            "hours": show_hours(queue.hours),
            "holidays": tuple(queue.holidays),
            "channel_weights": write_counts(queue.channel_weights),
            "raises": tuple(write(one) for one in read(queue.raises)),
        }
    )


async def create_queue(session: AsyncSession, settings: QueueSettings, members: Iterable[int] = ()) -> Queue:
    """Make a queue. Raises Invalid (the name is taken, no such team, no such member)."""
    await _check(session, settings)
    queue = Queue(**_columns(settings))
    async with naming(session, _refusals(settings)):
        session.add(queue)
    await set_members(session, queue.id, members)
    return queue


async def change_queue(
    session: AsyncSession,
    queue_id: int,
    settings: QueueSettings,
    members: Iterable[int] | None = None,
    seen: str | None = None,
) -> Queue:
    """Change a queue; items that wait keep their rank. `members` None leaves them as they are.

    Raises:
        NotFound: there is no such queue.
        Conflict: somebody else changed it meanwhile.
        Invalid: the name is taken, the team is gone, or it cannot be set inactive yet.
    """
    queue = await session.get(Queue, queue_id, with_for_update=UPDATE_LOCK)
    if queue is None:
        raise NotFound(_("There is no such queue."))
    must_be_fresh(queue_settings(queue), seen, queue.name)
    await _check(session, settings, queue)
    if queue.active and not settings.active:
        await _check_idle(session, queue)
    async with naming(session, _refusals(settings)):
        for name, value in _columns(settings).items():
            setattr(queue, name, value)
    if members is not None:
        await set_members(session, queue_id, members)
    announce(session, "queues", [queue_id])
    return queue


async def set_members(session: AsyncSession, queue_id: int, members: Iterable[int]) -> None:
    """Make exactly these agents the members, to whom the router may offer. Raises Invalid for an unknown agent."""
    wanted = set(members)
    known = set((await session.scalars(select(Agent.id).where(Agent.id.in_(wanted), Agent.active))).all())
    if wanted - known:
        raise Invalid(_("One of the members has left or does not exist. Look at the list again."), "members")
    await session.execute(delete(QueueMember).where(QueueMember.queue_id == queue_id))
    if wanted:
        rows = [{"queue_id": queue_id, "agent_id": agent_id} for agent_id in sorted(wanted)]
        await session.execute(insert(QueueMember), rows)
    announce(session, "queues", [queue_id])
    announce(session, "agents", wanted)


async def _check_idle(session: AsyncSession, queue: Queue) -> None:
    rule = await session.scalar(select(Rule.name).where(Rule.queue_id == queue.id, Rule.enabled).limit(1))
    if rule is not None:
        raise Invalid(
            _("The rule %(rule)s sends items to %(queue)s. Change the rule first.")
            % {"rule": rule, "queue": queue.name},
            "active",
        )
    waiting = await session.scalar(select(func.count()).where(Item.queue_id == queue.id, Item.state.in_(OPEN_STATES)))
    if waiting:
        raise Invalid(
            ngettext(
                "%(queue)s has %(n)d open item. Close or move it first.",
                "%(queue)s has %(n)d open items. Close or move them first.",
                waiting,
            )
            % {"queue": queue.name, "n": waiting},
            "active",
        )
    source = await session.scalar(
        select(Queue.name).where(Queue.overflow_queue_id == queue.id, Queue.active).order_by(Queue.id).limit(1)
    )
    if source is not None:
        raise Invalid(
            _("%(source)s overflows to %(queue)s. Change %(source)s first.") % {"source": source, "queue": queue.name},
            "active",
        )


async def _check(session: AsyncSession, settings: QueueSettings, queue: Queue | None = None) -> None:
    """Refuse what makes no sense together. Raises Invalid, naming the field."""
    _check_order(settings)
    _check_times(settings)
    check_channels(settings.channel_weights, "channel_weights")
    await _check_overflow(session, settings, queue)


async def _check_overflow(session: AsyncSession, settings: QueueSettings, queue: Queue | None) -> None:
    target = settings.overflow_queue_id
    leaves = settings.overflow_after is not None or settings.overflow_when_nobody
    if target is None:
        if leaves:
            raise Invalid(_("Choose the queue that items overflow to, or take the overflow out."), "overflow_queue_id")
        return
    if queue is not None and target == queue.id:
        raise Invalid(_("A queue cannot overflow to itself. Choose another one."), "overflow_queue_id")
    if not leaves:
        raise Invalid(_("Say when items overflow: after how long, or when nobody is in."), "overflow_after")
    active = await session.scalar(
        select(Queue.active).where(Queue.id == target).with_for_update(read=True, key_share=True)
    )
    if settings.active and not active:
        raise Invalid(
            _("The queue that items overflow to is not active (any more). Choose another one."), "overflow_queue_id"
        )


def _check_order(settings: QueueSettings) -> None:
    if list(settings.boosts) != sorted(settings.boosts, reverse=True):
        raise Invalid(
            _("A higher priority cannot be worth less than a lower one. Order the five from most to least."), "boosts"
        )
    if max(map(abs, settings.boosts)) * 60 > 365 * DAY:
        raise Invalid(_("A priority is worth a year of waiting at most."), "boosts")


def _check_times(settings: QueueSettings) -> None:
    if settings.wrap_up_most < settings.wrap_up:
        raise Invalid(_("The longest wrap-up cannot be shorter than the wrap-up itself."), "wrap_up_most")
    if settings.closed_reply and not (settings.hours or settings.holidays):
        raise Invalid(_("This queue never closes. Give open hours or holidays, or take the reply out."), "closed_reply")
    if settings.park_close_reply and settings.park_close_after is None:
        raise Invalid(_("Say after how long a parked item closes, or take the last message out."), "park_close_after")


def _columns(settings: QueueSettings) -> dict[str, object]:
    return settings.model_dump() | {
        "boosts": list(settings.boosts),
        "served_by": settings.served_by.value,
        "hours": parse_hours(settings.hours),
        "holidays": list(settings.holidays),
        "policy": settings.policy.value,
        "channel_weights": read_weights(settings.channel_weights),
        "raises": [stored(one) for one in read_raises(settings.raises)],
    }


def _refusals(settings: QueueSettings) -> dict[str, tuple[str, str]]:
    return {
        "uq_queue_name": (
            "name",
            _("There is a queue named %(name)s already. Choose another name.") % {"name": settings.name},
        ),
        "fk_queue_team_id": ("team_id", _("That team does not exist any more. Choose another one.")),
    }
