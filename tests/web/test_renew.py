"""One at a time refreshes an account's credentials, and a dead one's turn ends."""

import asyncio
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.mastodon_app import MastodonCredentials
from app.flow.configure_account import AccountSettings, create_account, hold
from app.flow.renew import Turn, turns
from app.models.account import Account
from app.settings import Settings
from app.vault import Vault

Sessions = async_sessionmaker[AsyncSession]
HELD = MastodonCredentials(server="https://town.example", client_id="app", refresh_token=SecretStr("rt-0"))


async def _account(sessions: Sessions, vault: Vault) -> tuple[int, Turn]:
    async with sessions.begin() as session:
        account = await create_account(session, vault, "mastodon", AccountSettings(name="@northwind"), HELD)
    return account.id, turns(account.id, MastodonCredentials, vault, sessions)


async def test_each_turn_sees_what_the_one_before_kept(sessions: Sessions, settings: Settings) -> None:
    vault = Vault.load(settings)
    account_id, turn = await _account(sessions, vault)
    seen: list[str] = []

    async def refresh(number: int) -> None:
        async with turn() as stored:
            assert isinstance(stored, MastodonCredentials)
            seen.append(stored.refresh_token.get_secret_value())
            async with sessions.begin() as session:
                row = await session.get_one(Account, account_id)
                hold(vault, row, stored.model_copy(update={"refresh_token": SecretStr(f"rt-{number}")}))

    await asyncio.gather(*(refresh(number) for number in (1, 2, 3)))

    assert (seen[0], len(set(seen))) == ("rt-0", 3)
    async with sessions() as session:
        assert (await session.get_one(Account, account_id)).renewing_until is None


async def test_the_turn_of_who_died_ends_by_itself(sessions: Sessions, settings: Settings) -> None:
    account_id, turn = await _account(sessions, Vault.load(settings))
    async with sessions.begin() as session:
        past = func.clock_timestamp() - timedelta(seconds=1)
        await session.execute(update(Account).where(Account.id == account_id).values(renewing_until=past))

    async with turn(), sessions() as session:
        until = await session.scalar(select(Account.renewing_until).where(Account.id == account_id))

    assert until is not None
