"""What an agent has in hand that still needs an answer, and whether offers come to them by themselves."""

from functools import lru_cache

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Presence, PresenceState
from app.models.assignment import RouterLease
from app.models.item import Item, State
from app.models.post import Post

MOST = 200


async def to_answer(session: AsyncSession, agent_id: int) -> tuple[int, ...]:
    """The ids of what they hold and have not answered since its newest post, the most urgent first."""
    return tuple(await session.scalars(_unanswered(agent_id)))


@lru_cache(maxsize=2_000)
def _unanswered(agent_id: int) -> Select[int]:
    """Kept, since building it costs more than running it."""
    return (
        select(Item.id)
        .join(Post, Post.id == Item.post_id)
        .where(
            Item.agent_id == agent_id,
            Item.state == State.ACTIVE,
            or_(Item.answered_at.is_(None), Item.answered_at < Post.received_at),
        )
        .order_by(Item.due_at, Item.id)
        .limit(MOST)
    )


def following(ids: tuple[int, ...], here: int | None) -> int | None:
    """The one after `here`, round and round; the first when `here` is none of them. Never `here` itself."""
    at = ids.index(here) + 1 if here in ids else 0
    return next((one for one in (*ids[at:], *ids[:at]) if one != here), None)


async def offers_come(session: AsyncSession, agent_id: int) -> bool:
    """Whether a router leads and the agent is ready for its offers, or will be after their wrap-up."""
    leads = select(RouterLease.id).where(RouterLease.expires_at > func.clock_timestamp()).exists()
    there = select(Presence.agent_id).where(
        Presence.agent_id == agent_id, Presence.state.in_((PresenceState.READY, PresenceState.WRAP_UP)), leads
    )
    return await session.scalar(there) is not None
