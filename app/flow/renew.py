"""Renew: one at a time refreshes an account's credentials, over all processes, without a transaction held open.

A refresh token that rotates works once; used twice it ends the whole grant (RFC 9700, 4.14.2).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.base import SettingsModel
from app.errors import Unauthorized
from app.flow.sealed import sealed_for
from app.i18n import N_
from app.models.account import Account
from app.vault import Vault

TURN = timedelta(seconds=60)  # who takes longer is thought dead
LOOK_AGAIN = 0.2  # seconds between two looks whether the turn has come

Turn = Callable[[], AbstractAsyncContextManager[SettingsModel]]


def turns(
    account_id: int, model: type[SettingsModel], vault: Vault, sessions: async_sessionmaker[AsyncSession]
) -> Turn:
    """What `Link.take_turn` is for this account."""

    @asynccontextmanager
    async def turn() -> AsyncIterator[SettingsModel]:
        mine = await _wait(account_id, sessions)
        try:
            async with sessions.begin() as session:
                sealed = await session.scalar(select(Account.sealed).where(Account.id == account_id))
            if sealed is None:
                raise Unauthorized(N_("The account has no credentials any more. Enter them on its page."))
            yield model.model_validate(json.loads(vault.open(sealed, sealed_for(account_id))))
        finally:
            async with sessions.begin() as session:
                held = (Account.id == account_id, Account.renewing_until == mine)
                await session.execute(update(Account).where(*held).values(renewing_until=None))

    return turn


async def _wait(account_id: int, sessions: async_sessionmaker[AsyncSession]) -> datetime:
    """Wait for the turn, take it, and return its end, which tells it from every other. Raises Unauthorized."""
    while True:
        async with sessions.begin() as session:
            taken = await _take(session, account_id)
            if taken is None and await session.get(Account, account_id) is None:
                raise Unauthorized(N_("The account is gone. Connect the feed with another one."))
        if taken is not None:
            return taken
        await asyncio.sleep(LOOK_AGAIN)


async def _take(session: AsyncSession, account_id: int) -> datetime | None:
    free = or_(Account.renewing_until.is_(None), Account.renewing_until <= func.clock_timestamp())
    taken = update(Account).where(Account.id == account_id, free).values(renewing_until=func.clock_timestamp() + TURN)
    return (await session.execute(taken.returning(Account.renewing_until))).scalar_one_or_none()
