"""Signing in and out: argon2id, a row for each browser, and patience that runs out for strangers.

Failed tries are counted for the e-mail and for the address. Which of the two was wrong, e-mail or password, is never
told, neither in words nor by time: an unknown e-mail costs a verification as well.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from argon2 import PasswordHasher
from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Throttled
from app.flow.passwords import hashed, matches
from app.i18n import _
from app.models.agent import Agent, SignIn, Throttle

WINDOW = timedelta(minutes=15)  # failures older than this are forgotten
JUST_NOW = timedelta(minutes=3)  # an open desk is seen more often than this
TRIES = {"login": 5, "login-from": 30}  # by e-mail; by address, behind which a whole office may sit
_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Welcome:
    """A new sign-in: the cookie's value is known here and nowhere else."""

    agent: Agent
    cookie: str


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))


def throttle_keys(email: str, address: str) -> dict[str, str]:
    """Under which keys a try is counted."""
    return {"login": f"login:{email.strip().lower()[:254]}", "login-from": f"login-from:{address}"}


async def check_patience(session: AsyncSession, email: str, address: str) -> None:
    """Let a try through, or say how long to wait.

    Raises:
        Throttled: too many tries failed with this e-mail or from this address.
    """
    keys = throttle_keys(email, address).values()
    row = (
        await session.execute(
            select(func.max(Throttle.blocked_until), func.now()).where(
                Throttle.key.in_(keys), Throttle.blocked_until > func.now()
            )
        )
    ).one()
    until, now = row
    if until is not None:
        wait: timedelta = until - now
        minutes = int(wait.total_seconds() // 60) + 1
        raise Throttled(
            _("Too many tries failed. Wait %(minutes)s min and try again, or ask an admin for a new password.")
            % {"minutes": minutes},
            wait,
        )


async def count_failure(session: AsyncSession, email: str, address: str) -> None:
    """Count a failed try; the caller commits, although the sign-in fails."""
    for kind, key in throttle_keys(email, address).items():
        fresh = Throttle.last_at < func.now() - WINDOW
        failures = case((fresh, 1), else_=Throttle.failures + 1)
        blocked = case((failures >= TRIES[kind], func.now() + WINDOW), else_=None)
        await session.execute(
            insert(Throttle)
            .values(key=key, failures=1)
            .on_conflict_do_update(
                index_elements=[Throttle.key],
                set_={"failures": failures, "last_at": func.now(), "blocked_until": blocked},
            )
        )


async def sign_in(
    session: AsyncSession, email: str, password: str, *, address: str, browser: str, lasts: timedelta
) -> Welcome | None:
    """Sign a browser in for `lasts` without use; None when e-mail or password is wrong or the account is inactive.

    A failure is counted in the same transaction: commit it in either case.

    Raises:
        Throttled: too many tries failed before.
    """
    await check_patience(session, email, address)
    agent = await session.scalar(select(Agent).where(func.lower(Agent.email) == email.strip().lower()))
    right = await matches(agent.password_hash if agent else _nobody(), password)
    if agent is None or not right or not agent.active:
        await count_failure(session, email, address)
        return None
    if _hasher.check_needs_rehash(agent.password_hash):
        agent.password_hash = await hashed(password)
    await session.execute(delete(Throttle).where(Throttle.key == throttle_keys(email, address)["login"]))
    return Welcome(agent, await _new_row(session, agent, address, browser, lasts))


async def _new_row(session: AsyncSession, agent: Agent, address: str, browser: str, lasts: timedelta) -> str:
    now: datetime | None = await session.scalar(select(func.now()))
    if now is None:
        raise RuntimeError("The database did not tell the time.")
    cookie = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            digest=sha256(cookie.encode()).digest(),
            csrf=secrets.token_urlsafe(24),
            agent_id=agent.id,
            expires_at=now + lasts,
            address=address,
            browser=browser[:300],
        )
    )
    await session.execute(delete(SignIn).where(SignIn.agent_id == agent.id, SignIn.expires_at < func.now()))
    return cookie


async def sign_out(session: AsyncSession, sign_in_id: int) -> None:
    """End one sign-in; its cookie is worth nothing from the commit on."""
    await session.execute(delete(SignIn).where(SignIn.id == sign_in_id))


async def elsewhere(session: AsyncSession, agent_id: int, sign_in_id: int) -> bool:
    """Whether the agent has been at work in another browser just now."""
    others = select(SignIn.id).where(
        SignIn.agent_id == agent_id,
        SignIn.id != sign_in_id,
        SignIn.expires_at > func.now(),
        SignIn.seen_at > func.now() - JUST_NOW,
    )
    return await session.scalar(others.limit(1)) is not None
