"""Budgets: what is left of our allowance with one credential. Replies come before polls."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Budget as Told
from app.flow.pace import RESERVE
from app.models.account import Budget


async def wait_for(session: AsyncSession, key: str, *, replying: bool) -> timedelta | None:
    """How long to wait before the next call with this credential; None: go ahead."""
    budget = await session.get(Budget, key, populate_existing=True)
    if budget is None:
        return None
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    until = [budget.wait_until]
    if budget.remaining is not None and budget.remaining <= (0 if replying else RESERVE * (budget.allowance or 0)):
        until.append(budget.resets_at)
    waits = [moment - now for moment in until if moment is not None and moment > now]
    return max(waits, default=None)


async def keep_told(session: AsyncSession, key: str, told: Told | None) -> None:
    """Keep what the channel said is left."""
    if told is not None:
        values = {"remaining": told.remaining, "allowance": told.limit, "resets_at": told.resets_at}
        await _upsert(session, key, **values)


async def keep_wait(session: AsyncSession, key: str, wait: timedelta) -> None:
    """Keep the channel's Retry-After: nothing is called with this credential before."""
    await _upsert(session, key, wait_until=func.now() + wait)


async def _upsert(session: AsyncSession, key: str, **values: object) -> None:
    statement = insert(Budget).values(key=key, updated_at=func.now(), **values)
    update = {**values, "updated_at": func.now()}
    await session.execute(statement.on_conflict_do_update(index_elements=[Budget.key], set_=update))
