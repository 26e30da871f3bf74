"""What the configuration as it stands implies for items: how far one can be overtaken, and what is in danger."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.rehearse_scene import Line, Scene
from app.flow.triage import Prepared
from app.models.agent import Skill
from app.models.feed import Feed
from app.models.queue import Order
from app.routing.bounds import Concern, Danger, Demand, Overtaking, QueueOrder, overtaking, warnings
from app.routing.inputs import Item
from app.routing.raises import most

WORST_FIRST = (Danger.DEADLOCK, Danger.STARVATION, Danger.DELAY)


@dataclass(frozen=True, slots=True)
class Bound:
    """A queue, and for its priorities 1 to 5 the minutes within which what comes later can overtake an item."""

    queue_id: int
    name: str
    priorities: tuple[Overtaking, ...]
    raised: float  # minutes that its own signals add
    closes: bool  # served by due time, which stands still while it is closed


@dataclass(frozen=True, slots=True)
class Implied:
    """The bounds of every active queue, by name, and the dangers, the worst first."""

    bounds: tuple[Bound, ...]
    concerns: tuple[Concern, ...]


async def implied(session: AsyncSession) -> Implied:
    """Compute it from the rules, queues and agents as they are in this transaction, whoever is signed in."""
    scene = await Scene.load(session)
    lines = {queue_id: line for queue_id, line in scene.lines.items() if line.row.active}
    roster = [person.agent for person in scene.people.values()]
    orders = [_order(line) for line in lines.values()]
    channels = tuple(await session.scalars(select(Feed.channel).where(Feed.enabled).distinct().order_by(Feed.channel)))
    concerns = warnings(
        orders,
        {queue_id: line.station.queue for queue_id, line in lines.items()},
        _demands(scene, lines, channels),
        roster,
        names={agent_id: person.name for agent_id, person in scene.people.items()},
        skills=dict(list(await session.execute(select(Skill.id, Skill.name)))),
    )
    once = dict.fromkeys(concerns)  # channels often have the same
    return Implied(
        _bounds(lines, orders, overtaking(orders, roster)),
        tuple(sorted(once, key=lambda concern: WORST_FIRST.index(concern.danger))),
    )


def _order(line: Line) -> QueueOrder:
    row = line.row
    by_due = row.served_by == Order.DUE
    boosts = (-row.target / 60,) * 5 if by_due else tuple(float(boost) for boost in row.boosts)
    return QueueOrder(row.id, row.name, boosts, most(row.raises))


def _bounds(lines: Mapping[int, Line], orders: list[QueueOrder], found: list[Overtaking]) -> tuple[Bound, ...]:
    made = []
    for order in orders:
        row = lines[order.queue_id].row
        closes = row.served_by == Order.DUE and bool(row.hours or row.holidays)
        own = tuple(one for one in found if one.queue_id == order.queue_id)
        made.append(Bound(order.queue_id, order.name, own, order.raised, closes))
    return tuple(sorted(made, key=lambda bound: bound.name.casefold()))


def _demands(scene: Scene, lines: Mapping[int, Line], channels: tuple[str, ...]) -> Iterator[Demand]:
    """What each rule sends, by channel: the weight, and how much of it an agent may carry, go by that."""
    for rule in scene.rules.prepared:
        queue_id = rule.decision.queue_id
        if rule.decision.discard or queue_id is None or queue_id not in lines:
            continue
        for channel in rule.conditions.channels or channels or ("",):
            yield Demand(rule.decision.rule, rule.decision.priority, _example(scene, rule, lines[queue_id], channel))


def _example(scene: Scene, rule: Prepared, line: Line, channel: str) -> Item:
    row, rule_id = line.row, rule.decision.rule_id
    emergency = rule_id in scene.emergencies
    weight = row.channel_weights.get(channel, row.weight)
    return Item(
        id=0,
        version=1,
        queue_id=row.id,
        rank=row.created_at,  # the times of an example mean nothing
        ready_at=row.created_at,
        channel=channel,
        requirements={int(skill): level for skill, level in rule.decision.requirements.items()},
        steps=scene.steps.get(rule_id, ()),
        weight=1 if emergency and row.emergency_over else weight,  # whoever has any capacity may take it, full or not
        emergency=emergency,
    )
