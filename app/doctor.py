"""`careline doctor`: what is in order, what is not, and what to do about it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.errors import CarelineError, SealError
from app.flow.first_run import first_run_code, is_first_run
from app.flow.sealed import sealed_for
from app.migrate import current, head, is_behind
from app.models.account import Account
from app.models.agent import Agent, Role
from app.models.assignment import RouterLease
from app.models.feed import Feed, Health
from app.models.reply import Reply, ReplyState
from app.models.rule import Rule
from app.settings import Settings
from app.vault import Vault

OLDEST_POSTGRES = 150_000  # server_version_num
MOST_SKEW = 5.0  # seconds between the two clocks


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    verdict: Verdict
    what: str
    remedy: str = ""


async def examine(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[Finding]:
    """Look at the database, the clock, the migrations, the keys, the router, the feeds and the outbox, in that order."""
    try:
        async with sessions() as session:
            async for finding in _database(session):
                yield finding
            connection = await session.connection()
            revision = await connection.run_sync(current)
            yield _schema(revision)
            if is_behind(revision):
                return
            async for finding in _house(settings, session):
                yield finding
    except (DBAPIError, OSError) as error:
        cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
        yield Finding(Verdict.FAIL, f"The database does not answer: {cause}", "Check DATABASE_URL and the server.")


async def _database(session: AsyncSession) -> AsyncIterator[Finding]:
    told = select(func.current_setting("server_version"), text("current_setting('server_version_num')::int"))
    version, number = (await session.execute(told)).one()
    if number < OLDEST_POSTGRES:
        yield Finding(Verdict.FAIL, f"Postgres {version} is too old.", "Use version 17 or later.")
    else:
        yield Finding(Verdict.OK, f"Postgres {version} answers.")
    theirs = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    if skew > MOST_SKEW:
        remedy = "Let both machines follow a time server; Careline believes the database's clock."
        yield Finding(Verdict.WARN, f"This machine's clock is {skew:.0f} s away from the database's.", remedy)
    else:
        yield Finding(Verdict.OK, "The clocks agree.")


def _schema(revision: str | None) -> Finding:
    if is_behind(revision):
        return Finding(Verdict.FAIL, "The database's schema is older than this version.", "Run `careline migrate`.")
    if revision != head():
        remedy = "Bring this process to the new version, too."
        return Finding(Verdict.WARN, f"The schema is newer ({revision}) than this version.", remedy)
    return Finding(Verdict.OK, f"The schema is at {revision}, as this version wants it.")


async def _house(settings: Settings, session: AsyncSession) -> AsyncIterator[Finding]:
    yield await _people(settings, session)
    for check in (_rules, _router, _outbox):
        yield await check(session)
    async for finding in _keys(settings, session):
        yield finding
    async for finding in _feeds(session):
        yield finding


async def _people(settings: Settings, session: AsyncSession) -> Finding:
    if await is_first_run(session):
        return Finding(Verdict.WARN, "There is no admin yet.", _first_page(settings))
    admins = await session.scalar(select(func.count()).where(Agent.role == Role.ADMIN, Agent.active))
    if not admins:
        return Finding(Verdict.WARN, "No admin is active.", "Make one: `careline user add EMAIL --role admin`.")
    return Finding(Verdict.OK, f"{admins} active admin(s).")


def _first_page(settings: Settings) -> str:
    """Where the first admin is made, and the code that the page asks for: who can run this has the keys anyway."""
    try:
        code = first_run_code(Vault.load(settings))
    except CarelineError as error:
        return error.message
    return f"Make the first one at {settings.base_url}/first-run with the code {code}."


async def _rules(session: AsyncSession) -> Finding:
    last = await session.scalar(select(Rule).where(Rule.enabled).order_by(Rule.position.desc()).limit(1))
    if last is None:
        return Finding(Verdict.WARN, "There are no rules yet.", "The first admin's page makes one that catches all.")
    if last.conditions:
        return Finding(Verdict.FAIL, "No rule catches all posts.", "Add one without conditions under Setup, Rules.")
    return Finding(Verdict.OK, f"The rule '{last.name}' catches what no other takes.")


async def _router(session: AsyncSession) -> Finding:
    live = select(RouterLease.holder).where(RouterLease.expires_at > func.clock_timestamp())
    holder = await session.scalar(live)
    if holder is None:
        return Finding(Verdict.WARN, "No router leads, so nothing is offered.", "Start `careline route`.")
    return Finding(Verdict.OK, f"The router {holder} leads.")


async def _outbox(session: AsyncSession) -> Finding:
    stuck = select(func.count()).where(
        Reply.state.in_((ReplyState.HELD, ReplyState.QUEUED, ReplyState.SENDING)),
        Reply.due_at < func.now() - text("interval '5 minutes'"),
    )
    late = await session.scalar(stuck)
    if late:
        return Finding(Verdict.FAIL, f"{late} replies should have left 5 minutes ago.", "Start `careline work`.")
    asked = await session.scalar(select(func.count()).where(Reply.state == ReplyState.UNKNOWN, Reply.due_at.is_(None)))
    if asked:
        return Finding(Verdict.WARN, f"{asked} replies wait for a person to say whether they arrived.", "See the desk.")
    return Finding(Verdict.OK, "No reply is stuck.")


async def _keys(settings: Settings, session: AsyncSession) -> AsyncIterator[Finding]:
    try:
        vault = Vault.load(settings)
    except CarelineError as error:
        yield Finding(Verdict.FAIL, "The sealing key is not at hand.", error.message)
        return
    old = 0
    for account in await session.scalars(select(Account).where(Account.sealed.is_not(None))):
        try:
            vault.open(account.sealed or b"", sealed_for(account.id))
            old += vault.needs_rotation(account.sealed or b"")
        except SealError as error:
            yield Finding(Verdict.FAIL, f"The account '{account.name}' cannot be opened.", error.message)
    if old:
        remedy = "Run `careline key rotate`, then the old key can go."
        yield Finding(Verdict.WARN, f"{old} accounts are sealed with an older key.", remedy)
    else:
        yield Finding(Verdict.OK, "Every account opens with the keys at hand.")


async def _feeds(session: AsyncSession) -> AsyncIterator[Finding]:
    for feed in await session.scalars(select(Feed).where(Feed.enabled).order_by(Feed.id)):
        if feed.health in {Health.FAILING, Health.STOPPED}:
            yield Finding(Verdict.FAIL, f"The feed '{feed.name}' is {feed.health}: {feed.trouble}", "See its page.")
        elif feed.health == Health.DEGRADED:
            yield Finding(Verdict.WARN, f"The feed '{feed.name}' works with less than it was asked for.", feed.trouble)
        else:
            yield Finding(Verdict.OK, f"The feed '{feed.name}' is {feed.health}.")
