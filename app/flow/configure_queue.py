"""Configure queues: waiting lines with their target, order and members."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.db import announce
from app.errors import Invalid, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh, naming
from app.models.agent import Agent
from app.models.item import OPEN_STATES, Item
from app.models.queue import Order, Queue, QueueMember
from app.models.rule import Rule
from app.routing.hours import read_date, read_zone
from app.routing.hours_text import EXAMPLE, parse_hours, show_hours

_DAY = 86_400


def checked_hours(text: str) -> str:
    """The hours in the one way they are shown. Raises ValueError, naming the part that makes no sense."""
    try:
        return show_hours(parse_hours(text))
    except Invalid as error:
        raise ValueError(error.message) from None


def checked_zone(name: str) -> str:
    """The name, if there is such a time zone. Raises ValueError."""
    try:
        return read_zone(name).key
    except Invalid as error:
        raise ValueError(error.message) from None


def checked_dates(days: tuple[str, ...]) -> tuple[str, ...]:
    """The dates in order, each once. Raises ValueError for what is none."""
    try:
        return tuple(sorted({str(read_date(day)) for day in days}))
    except Invalid as error:
        raise ValueError(error.message) from None


def unix_lines(text: str) -> str:
    """Line ends as LF: a form sends CR LF, which a channel would count twice."""
    return text.replace("\r\n", "\n")


Message = Annotated[str, AfterValidator(unix_lines), Field(max_length=2000)]


class QueueShape(SettingsModel):
    """What an admin sets of a queue, besides its team. Times in seconds, boosts in minutes."""

    name: str = Field(title="Name", min_length=1, max_length=80, examples=["Billing"])
    target: int = Field(3600, title="Answer within", description="Seconds from arrival.", ge=1, le=30 * _DAY)
    target_share: int = Field(80, title="Goal", description="Per cent to be answered in time.", ge=1, le=100)
    served_by: Order = Field(
        Order.RANK, title="Served by", description="Rank: time of waiting and priority. Due: whose time is up first."
    )
    boosts: tuple[int, int, int, int, int] = Field(
        (240, 60, 0, -60, -240),
        title="What a priority is worth",
        description="Minutes of waiting for priorities 1 to 5. The longest that an item can be overtaken is the span.",
    )
    weight: int = Field(1, title="Weight", description="How much one item counts in an agent's capacity.", ge=1, le=100)
    offer_seconds: int = Field(30, title="Offer lasts", description="Seconds to accept an offer.", ge=5, le=600)
    reoffer_after: int = Field(
        300, title="Offer again after", description="Seconds before the same agent is offered the item again.", ge=0
    )
    misses_limit: int = Field(
        2, title="Missed offers", description="So many in a row set the agent to not ready.", ge=1, le=100
    )
    undo_seconds: int = Field(10, title="Undo window", description="Seconds a reply is held.", ge=0, le=600)
    reopen_within: int = Field(
        7 * _DAY, title="Reopen within", description="Seconds in which a new post reopens a closed item.", ge=0
    )
    hours: Annotated[str, AfterValidator(checked_hours)] = Field(
        "", title="Open hours", description="Time outside does not count. Empty: always open.", examples=[EXAMPLE]
    )
    timezone: Annotated[str, AfterValidator(checked_zone)] = Field(
        "UTC", title="Time zone", description="Of the open hours.", examples=["Europe/Berlin"]
    )
    holidays: Annotated[tuple[str, ...], AfterValidator(checked_dates)] = Field(
        (), title="Holidays", description="Dates on which it is closed, one a line.", examples=["2027-01-01"]
    )
    closed_reply: Message = Field(
        "",
        title="Reply when closed",
        description="Sent once a conversation that begins outside the open hours. Empty: none.",
    )
    wrap_up: int = Field(
        0, title="Wrap-up", description="Seconds for the after-work of a closed item. 0: none.", ge=0, le=3600
    )
    wrap_up_most: int = Field(
        600, title="Longest wrap-up", description="Seconds, with all extensions.", ge=0, le=4 * 3600
    )
    return_after: int = Field(
        900,
        title="Take back after",
        description="Seconds after which the items of an agent whose desk is gone go back to the queue.",
        ge=60,
        le=7 * _DAY,
    )
    park_close_after: int | None = Field(
        None,
        title="Close parked items after",
        description="Seconds without an answer of the customer that an item is parked for. Empty: never.",
        ge=60,
        le=90 * _DAY,
    )
    park_close_reply: Message = Field(
        "", title="Last message", description="Sent before such an item closes. Empty: none."
    )
    active: bool = Field(True, title="Active", description="Rules may send items here.")


class QueueSettings(QueueShape):
    """A queue's shape and the team it belongs to."""

    team_id: int = Field(title="Team", description="Whose agents and supervisors see this queue.")


def queue_settings(queue: Queue) -> QueueSettings:
    """The settings of a stored queue."""
    values = {name: getattr(queue, name) for name in QueueSettings.model_fields}
    return QueueSettings.model_validate(
        values | {"boosts": tuple(queue.boosts), "hours": show_hours(queue.hours), "holidays": tuple(queue.holidays)}
    )


async def create_queue(session: AsyncSession, settings: QueueSettings, members: Iterable[int] = ()) -> Queue:
    """Make a queue. Raises Invalid (the name is taken, no such team, no such member)."""
    _check_order(settings)
    _check_times(settings)
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
        raise NotFound("There is no such queue.")
    must_be_fresh(queue_settings(queue), seen, f"the queue {queue.name}")
    _check_order(settings)
    _check_times(settings)
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
        raise Invalid("One of the members has left or does not exist. Look at the list again.", "members")
    await session.execute(delete(QueueMember).where(QueueMember.queue_id == queue_id))
    if wanted:
        rows = [{"queue_id": queue_id, "agent_id": agent_id} for agent_id in sorted(wanted)]
        await session.execute(insert(QueueMember), rows)
    announce(session, "queues", [queue_id])
    announce(session, "agents", wanted)


async def _check_idle(session: AsyncSession, queue: Queue) -> None:
    rule = await session.scalar(select(Rule.name).where(Rule.queue_id == queue.id, Rule.enabled).limit(1))
    if rule is not None:
        raise Invalid(f"The rule {rule} sends items to {queue.name}. Change the rule first.", "active")
    waiting = await session.scalar(select(func.count()).where(Item.queue_id == queue.id, Item.state.in_(OPEN_STATES)))
    if waiting:
        raise Invalid(f"{queue.name} has {waiting} open items. Close or move them first.", "active")


def _check_order(settings: QueueSettings) -> None:
    if list(settings.boosts) != sorted(settings.boosts, reverse=True):
        raise Invalid(
            "A higher priority cannot be worth less than a lower one. Order the five from most to least.", "boosts"
        )
    if max(map(abs, settings.boosts)) * 60 > 365 * _DAY:
        raise Invalid("A priority is worth a year of waiting at most.", "boosts")


def _check_times(settings: QueueSettings) -> None:
    if settings.wrap_up_most < settings.wrap_up:
        raise Invalid("The longest wrap-up cannot be shorter than the wrap-up itself.", "wrap_up_most")
    if settings.closed_reply and not (settings.hours or settings.holidays):
        raise Invalid("This queue never closes. Give open hours or holidays, or take the reply out.", "closed_reply")
    if settings.park_close_reply and settings.park_close_after is None:
        raise Invalid("Say after how long a parked item closes, or take the last message out.", "park_close_after")


def _columns(settings: QueueSettings) -> dict[str, object]:
    return settings.model_dump() | {
        "boosts": list(settings.boosts),
        "served_by": settings.served_by.value,
        "hours": parse_hours(settings.hours),
        "holidays": list(settings.holidays),
    }


def _refusals(settings: QueueSettings) -> dict[str, tuple[str, str]]:
    return {
        "uq_queue_name": ("name", f"There is a queue named {settings.name} already. Choose another name."),
        "fk_queue_team_id": ("team_id", "That team does not exist any more. Choose another one."),
    }
