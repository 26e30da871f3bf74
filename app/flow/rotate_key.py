"""Rotate: seal every credential anew with the newest key."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.sealed import sealed_for
from app.models.account import Account
from app.vault import Vault


async def rotate(session: AsyncSession, vault: Vault) -> int:
    """Open what was sealed with an older key and seal it with the newest; returns how many. Old keys can go then.

    Raises:
        SealError: one does not open; nothing was changed.
    """
    sealed = select(Account).where(Account.sealed.is_not(None)).order_by(Account.id).with_for_update()
    rotated = 0
    for account in (await session.scalars(sealed)).all():
        if account.sealed is not None and vault.needs_rotation(account.sealed):
            context = sealed_for(account.id)
            account.sealed = vault.seal(vault.open(account.sealed, context), context)
            rotated += 1
    return rotated
