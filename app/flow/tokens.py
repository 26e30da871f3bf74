"""Tokens: keys of programs to /api/v1, each acting as an agent. Only a digest is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid, NotFound
from app.flow.configured import UPDATE_LOCK
from app.models.agent import Agent, ApiToken

PREFIX = "careline_"  # so that scanners of leaked secrets can know one
TOUCH = timedelta(minutes=5)  # the time of last use is written at most so often


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a program acts as, and whether it may change things."""

    agent: Agent
    writes: bool


async def create_token(session: AsyncSession, agent_id: int, name: str, *, writes: bool = False) -> str:
    """Make a token; the answer is the only time it is seen. Raises NotFound (no such agent), Invalid (name, inactive)."""
    if not name.strip():
        raise Invalid("Say what the token is for, so that it can be found again.", "name")
    agent = await session.get(Agent, agent_id, with_for_update=UPDATE_LOCK)
    if agent is None:
        raise NotFound("There is no such agent.")
    if not agent.active:
        raise Invalid(f"{agent.name} is switched off, so a token of theirs would open nothing.", "agent")
    token = PREFIX + secrets.token_urlsafe(32)
    session.add(ApiToken(name=name.strip(), digest=digest(token), agent_id=agent_id, writes=writes))
    await session.flush()
    return token


async def revoke_token(session: AsyncSession, name: str) -> int:
    """Revoke every token of that name; the answer is how many. Raises NotFound when there is none."""
    revoked = await session.scalars(
        update(ApiToken)
        .where(ApiToken.name == name, ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiToken.id)
    )
    count = len(revoked.all())
    if not count:
        raise NotFound(f"No token named {name!r} is in use.")
    return count


async def bearer(session: AsyncSession, token: str) -> Bearer | None:
    """Who the token acts as; None when it is unknown, revoked, or its agent is switched off."""
    found = (
        await session.execute(
            select(ApiToken, Agent)
            .join(Agent, Agent.id == ApiToken.agent_id)
            .where(ApiToken.digest == digest(token), ApiToken.revoked_at.is_(None), Agent.active)
        )
    ).one_or_none()
    if found is None:
        return None
    row, agent = found
    stale = or_(ApiToken.used_at.is_(None), ApiToken.used_at < func.now() - TOUCH)
    await session.execute(update(ApiToken).where(ApiToken.id == row.id, stale).values(used_at=func.now()))
    return Bearer(agent, row.writes)


def digest(token: str) -> bytes:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode()).digest()
