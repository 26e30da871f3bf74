"""What the search's index is asked, and what everything that asks it has in common.

The index knows words, and marks (channel, language, author, queue ...) beside them: see app/flow/enter_search.py.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import driver
from app.listening import tokens
from app.models.agent import Agent
from app.models.queue import Queue
from app.models.sight import visible_queues

FEW = 2_000  # entries that are gathered and put in order; of more, a page is found by walking along
SEEN = "(i.queue_id = ANY(%(queues)s) OR i.agent_id = %(me)s)"
_NOBODY = "a:0"  # a mark that nothing has

_FEW_OF = """
    SELECT id FROM search_entry WHERE words @@ %(loose)s::tsquery AND conversation_id IS NOT NULL AND {window}
    LIMIT %(few)s
"""
# The planner believes that common words stand together as often as chance would have it, and would read on and on.
_ONLY_BITMAPS = text(
    "SELECT set_config(name, :others, true) FROM unnest(ARRAY['enable_seqscan', 'enable_indexscan']) AS g(name)"
)


async def ids(session: AsyncSession, query: str, values: Mapping[str, Any]) -> list[int]:
    """The first column of what a query finds."""
    connection = await driver(session)
    return [row[0] async for row in await connection.execute(query, values)]


async def few(
    session: AsyncSession, loose: str, most: int = FEW, *, window: str = "true", values: Mapping[str, Any] | None = None
) -> list[int] | None:
    """The ids of all entries that a text query finds, or None when they are more than `most`.

    `window` is a condition on their time, with its `values`.
    """
    await session.execute(_ONLY_BITMAPS, {"others": "off"})
    found = await ids(session, _FEW_OF.format(window=window), {**(values or {}), "loose": loose, "few": most + 1})
    await session.execute(_ONLY_BITMAPS, {"others": "on"})
    return found if len(found) <= most else None


async def visible(session: AsyncSession, me: Agent) -> dict[int, str]:
    """The queues for the reader's eyes, by name."""
    found = await session.execute(
        select(Queue.id, Queue.name).where(Queue.id.in_(visible_queues(me))).order_by(Queue.name)
    )
    return {row[0]: row[1] for row in found}


def any_mark(marks: list[str]) -> str:
    """The text query for what has one of these marks; that which finds nothing for none."""
    return f"({' | '.join(tokens.quoted(tokens.MARK + mark) for mark in marks or [_NOBODY])})"
