"""Notices: telling agents what they should know of an item. Whether they may see it is asked when they read."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.models.agent import Agent
from app.models.together import AccountNotice, Notice, NoticeKind

EXCERPT = 140  # characters of what somebody wrote that stand in a notice
HEARD = "notices"  # the kind of hint: ids of agents
NOTHING: Mapping[str, str] = {}


async def tell(
    session: AsyncSession,
    agent_ids: Iterable[int],
    kind: NoticeKind,
    item_id: int,
    *,
    by: int | None,
    said: str = "",
    why: Mapping[str, str] = NOTHING,
) -> None:
    """Tell agents that something happened; who caused it (`by`) is not told.

    `said` is what somebody wrote, or the cause; `why` what else its words depend on.
    """
    told = sorted(set(agent_ids) - {by})
    if not told:
        return
    more = {**why, "said": excerpt(said)} if said else {**why}
    rows = [{"agent_id": one, "kind": kind, "item_id": item_id, "actor_id": by, "why": more} for one in told]
    await session.execute(insert(Notice), rows)
    announce(session, HEARD, told)


def excerpt(said: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(said.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1]}…"


async def mark_read(session: AsyncSession, agent: Agent, item_id: int | None = None) -> int:
    """Mark an agent's notices read: those about an item, or all; returns how many were not."""
    mine = update(Notice).where(Notice.agent_id == agent.id, Notice.read_at.is_(None))
    if item_id is not None:
        mine = mine.where(Notice.item_id == item_id)
    read = await session.execute(
        mine.values(read_at=func.now()).returning(Notice.id).execution_options(synchronize_session=False)
    )
    count = len(read.all())
    if item_id is None:
        count += await _mark_accounts(session, agent)
    if count:
        announce(session, HEARD, [agent.id])
    return count


async def _mark_accounts(session: AsyncSession, agent: Agent) -> int:
    mine = update(AccountNotice).where(AccountNotice.agent_id == agent.id, AccountNotice.read_at.is_(None))
    read = mine.values(read_at=func.now()).returning(AccountNotice.id).execution_options(synchronize_session=False)
    return len((await session.execute(read)).all())


async def drop_old(session: AsyncSession) -> None:
    """Notices go a week after they were read, and after 30 days in any case: at most 10,000 in one go."""
    over = text(
        "at < now() - interval '30 days' OR (read_at < now() - interval '7 days' AND at < now() - interval '7 days')"
    )
    old = select(Notice.id).where(over).order_by(Notice.at).limit(10_000)
    await session.execute(delete(Notice).where(Notice.id.in_(old)).execution_options(synchronize_session=False))
    past = delete(AccountNotice).where(AccountNotice.at < func.now() - timedelta(days=30))
    await session.execute(past.execution_options(synchronize_session=False))
