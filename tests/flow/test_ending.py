"""Admins are told before an account's credentials end, once for each end."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.ending import tell_ending
from app.flow.notices import mark_read
from app.models.account import Account
from app.models.agent import Agent, Role
from app.models.sight import visible_queues
from app.models.together import AccountNotice
from app.queries.together import notices, unread
from tests.company import add_agent, make_company


async def _house(session: AsyncSession, **values: object) -> tuple[Agent, Agent, Account]:
    company = await make_company(session)
    admin = await add_agent(session, company.team, "Ada", role=Role.ADMIN)
    account = Account(channel="mastodon", name="@northwind", **values)
    session.add(account)
    await session.flush()
    return admin, company.finn, account


async def test_every_admin_is_told_once_and_nobody_else(session: AsyncSession) -> None:
    admin, agent, account = await _house(session, ends_at=datetime.now(UTC) + timedelta(days=5))

    assert await tell_ending(session) == [account.id]
    assert await tell_ending(session) == []

    [told] = await notices(session, admin, visible_queues(admin), 10)
    assert (told.kind, told.account_id, told.account, told.item_id) == ("ending", account.id, "@northwind", None)
    assert (
        await unread(session, admin, visible_queues(admin)),
        await unread(session, agent, visible_queues(agent)),
    ) == (1, 0)


async def test_it_is_read_with_all_others(session: AsyncSession) -> None:
    admin, _agent, _account = await _house(session, ends_at=datetime.now(UTC) + timedelta(days=5))
    await tell_ending(session)

    assert await mark_read(session, admin) == 1
    assert await unread(session, admin, visible_queues(admin)) == 0


async def test_who_is_no_admin_any_more_reads_it_no_more(session: AsyncSession) -> None:
    admin, _agent, _account = await _house(session, ends_at=datetime.now(UTC) + timedelta(days=5))
    await tell_ending(session)

    admin.role = Role.AGENT

    assert await notices(session, admin, visible_queues(admin), 10) == []


async def test_there_is_time_until_two_weeks_before(session: AsyncSession) -> None:
    await _house(session, ends_at=datetime.now(UTC) + timedelta(days=15))

    assert await tell_ending(session) == []


async def test_a_date_that_an_admin_typed_counts_and_so_does_each_new_end(session: AsyncSession) -> None:
    _admin, _agent, account = await _house(session, ends_on=(datetime.now(UTC) + timedelta(days=3)).date())
    assert await tell_ending(session) == [account.id]

    account.ends_on = (datetime.now(UTC) + timedelta(days=9)).date()
    await session.flush()

    assert await tell_ending(session) == [account.id]
    assert len(list(await session.scalars(select(AccountNotice.id)))) == 2
