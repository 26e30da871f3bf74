"""What must be true of items, offers, assignments and loads after every step, whoever did it."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.event import Event
from app.models.item import TRACKED, Item, jsonable, replay

BROKEN = {
    "two open items in one conversation": """
        SELECT conversation_id FROM item WHERE state NOT IN ('closed', 'discarded')
        GROUP BY conversation_id HAVING count(*) > 1""",
    "two live assignments of one item": "SELECT item_id FROM assignment WHERE until IS NULL GROUP BY 1 HAVING count(*) > 1",
    "two open offers of one item": "SELECT item_id FROM offer WHERE outcome IS NULL GROUP BY 1 HAVING count(*) > 1",
    "an agent is asked two things at once": """
        SELECT agent_id FROM offer WHERE outcome IS NULL GROUP BY 1 HAVING count(*) > 1""",
    "an open offer whose item is not offered to its agent": """
        SELECT o.id FROM offer o JOIN item i ON i.id = o.item_id
        WHERE o.outcome IS NULL AND (i.state, i.agent_id) IS DISTINCT FROM ('offered', o.agent_id)""",
    "an offered item without its offer": """
        SELECT id FROM item i WHERE state = 'offered'
        AND NOT EXISTS (SELECT 1 FROM offer o WHERE o.item_id = i.id AND o.agent_id = i.agent_id AND outcome IS NULL)""",
    "a held item without its assignment": """
        SELECT id FROM item i WHERE state IN ('active', 'parked') AND NOT EXISTS
        (SELECT 1 FROM assignment a WHERE a.item_id = i.id AND a.agent_id = i.agent_id AND a.until IS NULL)""",
    "a live assignment of an item that nobody holds": """
        SELECT a.id FROM assignment a JOIN item i ON i.id = a.item_id
        WHERE a.until IS NULL AND i.state NOT IN ('active', 'parked')""",
    "a load that is not the sum of what is carried": """
        SELECT p.agent_id FROM presence p LEFT JOIN item i ON i.agent_id = p.agent_id AND i.state IN ('offered', 'active')
        GROUP BY p.agent_id, p.load HAVING p.load <> coalesce(sum(i.weight), 0)""",
    "a holder without an item in hand, or the other way round": """
        SELECT id FROM item WHERE (agent_id IS NOT NULL) <> (state IN ('offered', 'active', 'parked'))""",
    "an offer to who is not ready, or one of a supervisor to who is not signed in": """
        SELECT o.id FROM offer o JOIN presence p USING (agent_id) WHERE o.outcome IS NULL
        AND (p.state = 'offline' OR (p.state <> 'ready' AND NOT o.why ? 'by'))""",
    "an offer of the router to who is no member of the queue": """
        SELECT o.id FROM offer o JOIN item i ON i.id = o.item_id WHERE NOT o.why ? 'by' AND o.outcome IS NULL AND NOT EXISTS
        (SELECT 1 FROM queue_member m WHERE m.queue_id = i.queue_id AND m.agent_id = o.agent_id)""",
    "an offer of the router to who lacks a skill": """
        SELECT o.id FROM offer o JOIN item i ON i.id = o.item_id CROSS JOIN jsonb_each_text(i.requirements) AS need
        WHERE NOT o.why ? 'by' AND o.outcome IS NULL AND NOT EXISTS (SELECT 1 FROM agent_skill s WHERE s.agent_id = o.agent_id
                          AND s.skill_id = need.key::bigint AND s.level >= need.value::int)""",
    "an ended item without its end, or an open one with it": """
        SELECT id FROM item WHERE (ended_at IS NOT NULL) <> (state IN ('closed', 'discarded'))""",
    "a rank that moved although nothing opened or reopened": """
        SELECT id FROM event WHERE verb NOT IN ('open', 'reopen') AND changes ? 'rank'""",
    "a version that did not grow by one with each event": """
        SELECT item_id FROM (SELECT item_id, (changes->>'version')::int AS version,
                                    row_number() OVER (PARTITION BY item_id ORDER BY id) AS nth FROM event) told
        WHERE version <> nth""",
}
_ALL = text(
    " UNION ALL ".join(f"SELECT '{name}' AS broken, count(*) FROM ({query}) q" for name, query in BROKEN.items())
)


async def broken(session: AsyncSession) -> list[str]:
    """The invariants that do not hold now."""
    return [name for name, count in await session.execute(_ALL) if count]


async def untold(session: AsyncSession, item_ids: list[int] | None = None) -> list[str]:
    """Items whose events, replayed, do not give their row."""
    which = Item.id.in_(item_ids) if item_ids is not None else Item.id.is_not(None)
    items = (await session.scalars(select(Item).where(which).execution_options(populate_existing=True))).all()
    events: dict[int, list[Event]] = {item.id: [] for item in items}
    for event in await session.scalars(select(Event).where(Event.item_id.in_(events)).order_by(Event.id)):
        events[event.item_id].append(event)
    return [wrong for item in items if (wrong := _difference(item, replay(events[item.id])))]


def _difference(item: Item, told: dict[str, Any]) -> str:
    wrong = [c for c in TRACKED if _plain(told[c]) != _plain(jsonable(getattr(item, c)))]
    return f"item {item.id}: its events tell otherwise of {', '.join(wrong)}" if wrong else ""


def _plain(value: Any) -> Any:
    """A value whose way of writing does not matter (times as Postgres and as Python write them)."""
    if isinstance(value, str) and value[:2] == "20" and value[10:11] == "T":
        return datetime.fromisoformat(value)
    return value
