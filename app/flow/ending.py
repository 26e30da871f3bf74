"""Ending: admins are told some days before the credentials of an account end, once for each end."""

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.flow.notices import HEARD
from app.models.account import SOON, Account, ends
from app.models.agent import Agent, Role
from app.models.together import AccountNotice


async def tell_ending(session: AsyncSession) -> list[int]:
    """Tell every active admin of accounts whose credentials end soon or have ended; returns the accounts."""
    untold = or_(Account.end_told.is_(None), Account.end_told != ends())
    due = update(Account).where(ends() <= func.now() + SOON, untold).values(end_told=ends()).returning(Account.id)
    accounts = sorted(await session.scalars(due.execution_options(synchronize_session=False)))
    if not accounts:
        return []
    admins = list(await session.scalars(select(Agent.id).where(Agent.active, Agent.role == Role.ADMIN)))
    rows = [{"agent_id": who, "account_id": one} for one in accounts for who in admins]
    if rows:
        await session.execute(insert(AccountNotice), rows)
        announce(session, HEARD, admins)
    return accounts
