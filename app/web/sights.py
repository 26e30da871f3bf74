"""Who may be told what: the sight of each sign-in, and what of a change is within it."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, Role, SignIn
from app.models.item import Item
from app.models.sight import consulted_of, queues_of

KINDS = ("items", "queues", "agents", "feeds", "notices", "viewers")
Changes: TypeAlias = dict[str, set[int] | None]  # by kind the ids; None: too many to name
Places: TypeAlias = dict[int, tuple[int, int | None]]  # by item its queue and who holds it


@dataclass(frozen=True, slots=True)
class Sight:
    """What an agent may be told about; None when they are signed out."""

    agent_id: int
    role: Role
    queues: frozenset[int]
    read_at: float
    asked: frozenset[int] = frozenset()  # items about which they are asked as an expert


async def read_places(session: AsyncSession, items: set[int]) -> Places:
    """Where these items are now."""
    if not items:
        return {}
    found = await session.execute(select(Item.id, Item.queue_id, Item.agent_id).where(Item.id.in_(items)))
    return {row[0]: (row[1], row[2]) for row in found}


async def read_sights(session: AsyncSession, sign_ins: set[int]) -> dict[int, Sight | None]:
    """By sign-in what its agent may be told about; None where it has ended."""
    statement = (
        select(SignIn.id, Agent.id, Agent.role)
        .join(Agent, Agent.id == SignIn.agent_id)
        .where(SignIn.id.in_(sign_ins), SignIn.expires_at > func.now(), Agent.active)
    )
    found = {row[0]: (row[1], Role(row[2])) for row in await session.execute(statement)}
    agents = {agent_id for agent_id, _role in found.values()}
    queues = gathered(await session.execute(queues_of(agents)))
    asked = gathered(await session.execute(consulted_of(agents)))
    now = time.monotonic()
    live = {one: Sight(who, role, queues[who], now, asked[who]) for one, (who, role) in found.items()}
    return dict.fromkeys(sign_ins) | live


def gathered(pairs: Iterable[Row[int, int]]) -> defaultdict[int, frozenset[int]]:
    """By the first of each pair all of the second; nothing for who is not there."""
    sets: defaultdict[int, set[int]] = defaultdict(set)
    for key, value in pairs:
        sets[key].add(value)
    return defaultdict(frozenset, {key: frozenset(values) for key, values in sets.items()})


def permitted(changes: Changes, sight: Sight, places: Places) -> dict[str, Any]:
    """What of the changes this agent may hear of. None (too many to name) stays None: it names nothing."""

    def may(kind: str, one: int) -> bool:
        if kind in {"items", "viewers"}:
            queue, holder = places.get(one, (None, None))
            return queue in sight.queues or holder == sight.agent_id or one in sight.asked
        if kind == "notices":
            return one == sight.agent_id
        if kind == "queues":
            return one in sight.queues
        if kind == "agents":
            return one == sight.agent_id or sight.role != Role.AGENT
        return sight.role == Role.ADMIN

    told: dict[str, Any] = {}
    for kind in KINDS:
        if kind not in changes:
            continue
        ids = changes[kind]
        seen = None if ids is None else sorted(one for one in ids if may(kind, one))
        if seen is None or seen:
            told[kind] = seen
    return told
