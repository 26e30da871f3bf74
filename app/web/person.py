"""The customer's pane: each part loads, and fails, by itself."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import CarelineError
from app.flow.person import SHOWN_FOR
from app.models.agent import Agent
from app.models.item import Item
from app.models.sight import visible_queues
from app.queries import person

log = structlog.get_logger(__name__)
Part: TypeAlias = Callable[[], Awaitable[Any]]


async def pane(db: AsyncSession, me: Agent, item: Item) -> dict[str, Any]:
    """What the pane's parts are drawn from; None for a part that could not be loaded."""
    customer_id = item.customer_id
    if customer_id is None:
        return {"identities": [], "tags": [], "notes": [], "open": [], "history": ([], None)}
    queues = visible_queues(me)
    parts: dict[str, Part] = {
        "identities": lambda: person.identities(db, me, customer_id, SHOWN_FOR),
        "tags": lambda: person.tags(db, customer_id),
        "notes": lambda: person.notes(db, customer_id),
        "open": lambda: person.open_items(db, me, customer_id, queues),
        "history": lambda: person.history(db, me, customer_id, queues, most=person.NEWEST),
    }
    try:
        async with db.begin_nested():
            return {name: await load() for name, load in parts.items()}
    except (DBAPIError, CarelineError):  # one of them: the others load without it
        return {name: await _apart(db, load) for name, load in parts.items()}


async def _apart(db: AsyncSession, load: Part) -> Any:
    """Load a part inside a savepoint, so that its trouble stays its own."""
    try:
        async with db.begin_nested():
            return await load()
    except (DBAPIError, CarelineError) as error:
        log.warning("part_failed", cause=type(error).__name__)
        return None
