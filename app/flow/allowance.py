"""Allowances: the named budgets of a credential, kept over restarts. Polls are slowed before one is used up."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Date, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.base import Allowance, Budget, Connector, Link, Quota, Spent
from app.errors import RateLimited
from app.flow import pace
from app.flow.budget import keep_told, keep_wait, wait_for
from app.i18n import N_
from app.models.account import BudgetOnce, BudgetShare, NamedBudget
from app.models.feed import Feed

Note = Callable[[Budget | Spent], Awaitable[None]]
Sessions = async_sessionmaker[AsyncSession]
SLOWED = N_("%(title)s: %(left)s of %(limit)s left until %(until)s. Polls are slowed so that they last.")


@dataclass(frozen=True, slots=True)
class Purse:
    """Whose allowances these are: the credential's key, the feed that draws from them, how many feeds do."""

    key: str
    feed_id: int
    allowances: tuple[Allowance, ...] = ()  # of a poll
    replying: tuple[Allowance, ...] = ()  # of a reply
    feeds: dict[str, int] = field(default_factory=dict)  # by allowance: feeds that poll from it


@dataclass(frozen=True, slots=True)
class Rest:
    """What the allowances ask of the next poll. `wait`: not before; `apart`: better not before."""

    wait: timedelta = timedelta(0)
    apart: timedelta = timedelta(0)
    room: dict[str, int] = field(default_factory=dict)
    reason: str = ""


async def purse_of(session: AsyncSession, feed: Feed, connector: Connector, link: Link, key: str) -> Purse:
    """The allowances that a feed's polls and replies draw from, and who else does."""
    polling = connector.allowances(link.settings, link.credentials)
    replying = connector.allowances(link.settings, link.credentials, replying=True)
    if not polling or feed.account_id is None:
        return Purse(key, feed.id, polling, replying)
    others = select(Feed.settings).where(Feed.account_id == feed.account_id, Feed.enabled, Feed.id != feed.id)
    sharing = dict.fromkeys([one.name for one in polling], 1)
    for stored in await session.scalars(others):
        for one in connector.allowances(connector.Settings.model_validate(stored), link.credentials):
            if one.name in sharing:
                sharing[one.name] += 1
    return Purse(key, feed.id, polling, replying, sharing)


def noting(sessions: Sessions, purse: Purse) -> Note:
    """What a connector calls as `link.note`: it commits at once, so that a call that fails later has counted."""
    known = {one.name: one for one in (*purse.replying, *purse.allowances)}

    async def note(said: Budget | Spent) -> None:
        async with sessions.begin() as session:
            if isinstance(said, Spent):
                amount = await _new_today(session, purse.key, said) if said.once else said.amount
                await _count(session, purse, known[said.name], amount)
            elif said.name:
                title = known[said.name].title if said.name in known else said.name
                await _tell(session, purse.key, title, said)
            else:
                await keep_told(session, purse.key, said)

    return note


async def keep_rate_limit(session: AsyncSession, key: str, error: RateLimited) -> None:
    """Keep the channel's Retry-After: nothing that draws from the same allowance is called before."""
    name = error.allowance
    if not name:
        await keep_wait(session, key, error.retry_after)
        return
    values = {"wait_until": func.now() + error.retry_after, "updated_at": func.now()}
    row = insert(NamedBudget).values(key=key, name=name, title=name, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["key", "name"], set_=values))


async def wait_to_reply(session: AsyncSession, key: str, purse: Purse) -> timedelta | None:
    """How long a reply waits for the credential's own budget and those named that it draws from; None: it may go."""
    now, rows = await _load(session, purse.key, purse.replying)
    waits = [await wait_for(session, key, replying=True) or timedelta(0)]
    for one in purse.replying:
        row, least = rows.get(one.name), one.quota.cost if one.quota else 1
        if row is None:
            continue
        if row.wait_until is not None:
            waits.append(row.wait_until - now)
        left = _left(row, now)
        if row.resets_at is not None and left is not None and left < least:
            waits.append(row.resets_at - now)
    return max((wait for wait in waits if wait > timedelta(0)), default=None)


async def poll_rest(session: AsyncSession, purse: Purse) -> Rest:
    """When the feed may be polled next, how much the poll may use, and why it is slowed."""
    now, rows = await _load(session, purse.key, purse.allowances)
    own = await _own(session, purse, now)
    rest = Rest()
    for one in purse.allowances:
        row = rows.get(one.name)
        state = _State(now, one, row, purse.feeds.get(one.name, 1), own.get(one.name, 0))
        if one.quota is not None:
            rest = _with_counted(rest, state, one.quota)
        elif row is not None:
            rest = _with_told(rest, state, row)
        if row is not None and row.wait_until is not None and row.wait_until - now > rest.wait:
            rest = replace(rest, wait=row.wait_until - now, reason=state.told(_left(row, now), row.wait_until))
    return rest


@dataclass(frozen=True, slots=True)
class _State:
    """One allowance as a feed meets it now."""

    now: datetime
    one: Allowance
    row: NamedBudget | None
    feeds: int
    own: int

    def told(self, left: int | None, until: datetime) -> str:
        limit = self.one.quota.limit if self.one.quota else self.row.allowance if self.row else None
        return SLOWED % {
            "title": self.one.title,
            "left": left or 0,
            "limit": limit or left or 0,
            "until": until.strftime("%Y-%m-%d %H:%M UTC"),
        }


def _with_counted(rest: Rest, state: _State, quota: Quota) -> Rest:
    begins, ends = pace.span(quota.period, state.now)
    spent = state.row.spent if state.row is not None and state.row.resets_at == ends else 0
    counted = pace.Counted(quota.limit, spent, state.own, state.feeds, quota.cost, begins, ends)
    found = pace.counted(counted, state.now)
    rest = replace(rest, room={**rest.room, state.one.name: found.room})
    if found.wait <= rest.wait:
        return rest
    return replace(rest, wait=found.wait, reason=state.told(max(quota.limit - spent, 0), ends))


def _with_told(rest: Rest, state: _State, row: NamedBudget) -> Rest:
    if row.remaining is None or row.resets_at is None or row.resets_at <= state.now:
        return rest
    found = pace.told(row.remaining, row.allowance, row.resets_at - state.now, state.feeds)
    if found.room:
        return replace(rest, apart=max(rest.apart, found.wait))
    if found.wait <= rest.wait:
        return rest
    return replace(rest, wait=found.wait, reason=state.told(row.remaining, row.resets_at))


def _left(row: NamedBudget, now: datetime) -> int | None:
    if row.resets_at is not None and row.resets_at <= now:
        return row.allowance
    if row.remaining is not None:
        return row.remaining
    return None if row.allowance is None else max(row.allowance - row.spent, 0)


async def _load(
    session: AsyncSession, key: str, allowances: Sequence[Allowance]
) -> tuple[datetime, dict[str, NamedBudget]]:
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    if not allowances:
        return now, {}
    wanted = select(NamedBudget).where(NamedBudget.key == key, NamedBudget.name.in_([one.name for one in allowances]))
    rows = await session.scalars(wanted.execution_options(populate_existing=True))
    return now, {row.name: row for row in rows}


async def _own(session: AsyncSession, purse: Purse, now: datetime) -> dict[str, int]:
    share = BudgetShare
    mine = select(share.name, share.spent).where(
        share.key == purse.key, share.feed_id == purse.feed_id, share.resets_at > now
    )
    return {row.name: row.spent for row in await session.execute(mine)}


async def _count(session: AsyncSession, purse: Purse, one: Allowance, amount: int) -> None:
    if one.quota is None:
        return
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    mine = {"key": purse.key, "name": one.name, "spent": amount, "resets_at": pace.span(one.quota.period, now)[1]}
    about = {"title": one.title, "allowance": one.quota.limit, "updated_at": func.now()}
    await _add(session, insert(NamedBudget).values(**mine, **about), NamedBudget, ["key", "name"], about)
    share = insert(BudgetShare).values(**mine, feed_id=purse.feed_id)
    await _add(session, share, BudgetShare, ["key", "name", "feed_id"], {})


async def _new_today(session: AsyncSession, key: str, said: Spent) -> int:
    """How many of these things were not counted yet today."""
    once, today = BudgetOnce, func.timezone("UTC", func.clock_timestamp()).cast(Date)
    await session.execute(delete(once).where(once.key == key, once.name == said.name, once.day < today))
    rows = [{"key": key, "name": said.name, "day": today, "thing": thing} for thing in sorted(set(said.once))]
    found = await session.execute(insert(once).values(rows).on_conflict_do_nothing().returning(once.thing))
    return len(found.all())


async def _add(session: AsyncSession, row: Any, table: Any, keys: list[str], about: dict[str, Any]) -> None:
    """Add to what was spent in the same period, or begin with it anew."""
    new = row.excluded
    spent = case((table.resets_at == new.resets_at, table.spent + new.spent), else_=new.spent)
    update = {**about, "spent": spent, "resets_at": new.resets_at}
    await session.execute(row.on_conflict_do_update(index_elements=keys, set_=update))


async def _tell(session: AsyncSession, key: str, title: str, said: Budget) -> None:
    values = {"title": title, "remaining": said.remaining, "allowance": said.limit, "resets_at": said.resets_at}
    row = insert(NamedBudget).values(key=key, name=said.name, **values, updated_at=func.now())
    update = {**values, "updated_at": func.now()}
    await session.execute(row.on_conflict_do_update(index_elements=["key", "name"], set_=update))
