"""Viewing: who has an item before their eyes, and who writes on it. Known for a few seconds only.

An open desk gives a sign every few seconds; it is told to the others when it changes something for them. The table is
not logged, so a sign costs no write to disk, and a crash forgets them all.
"""

from sqlalchemy import delete, func, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.flow.visibility import readable_item
from app.models.agent import Agent
from app.models.together import SEEN, TYPED, Viewer

HEARD = "viewers"  # the kind of hint: ids of items

_SIGN = text(
    """
    WITH before AS (
        SELECT seen_at > now() - :seen AS here, coalesce(typing_at > now() - :typed, false) AS typing
        FROM viewer WHERE item_id = :item AND agent_id = :agent
    ), sign AS (
        INSERT INTO viewer (item_id, agent_id, seen_at, typing_at)
        VALUES (:item, :agent, now(), CASE WHEN :typing THEN now() END)
        ON CONFLICT (item_id, agent_id) DO UPDATE SET seen_at = now(), typing_at = excluded.typing_at
    )
    SELECT coalesce((SELECT here AND typing = :typing FROM before), false) AS known
    """
)


async def look(session: AsyncSession, agent: Agent, item_id: int, *, typing: bool) -> None:
    """The agent has the item before their eyes now. Raises NotFound: not for their eyes."""
    await readable_item(session, agent, item_id)
    given = {"item": item_id, "agent": agent.id, "typing": typing, "seen": SEEN, "typed": TYPED}
    if not await session.scalar(_SIGN, given):
        announce(session, HEARD, [item_id])


async def look_away(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """They have gone elsewhere."""
    gone = delete(Viewer).where(Viewer.item_id == item_id, Viewer.agent_id == agent.id).returning(Viewer.item_id)
    if await session.scalar(gone) is not None:
        announce(session, HEARD, [item_id])


async def drop_gone(session: AsyncSession) -> None:
    """Forget who has long gone."""
    await session.execute(
        delete(Viewer).where(Viewer.seen_at < func.now() - 4 * SEEN).execution_options(synchronize_session=False)
    )
