"""Patience: how often somebody may do something before they have to wait. Counted in the database, for all processes."""

from datetime import timedelta

from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Throttle


async def take_turn(session: AsyncSession, key: str, most: int, within: timedelta) -> timedelta | None:
    """Count one turn; None when it may be taken, else how long to wait. After `most` in a row one waits `within`.

    Turns that lie `within` apart are forgotten. The caller commits, whatever the answer.
    """
    seconds = func.extract("epoch", Throttle.blocked_until - func.now())
    waiting = select(seconds).where(Throttle.key == key, Throttle.blocked_until > func.now())
    left = await session.scalar(waiting)
    if left is not None:
        return timedelta(seconds=float(left))
    taken = case((Throttle.last_at < func.now() - within, 1), else_=Throttle.failures + 1)
    blocked = case((taken >= most, func.now() + within), else_=None)
    first = func.now() + within if most <= 1 else None
    await session.execute(
        insert(Throttle)
        .values(key=key, failures=1, blocked_until=first)
        .on_conflict_do_update(
            index_elements=[Throttle.key],
            set_={"failures": taken, "last_at": func.now(), "blocked_until": blocked},
        )
    )
    return None
