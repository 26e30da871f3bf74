"""What the planner makes of the statements that a session sends."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Self

import psycopg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import driver

Doing = Callable[[AsyncSession], Awaitable[object]]


class Plans:
    """Every statement that a session sends, with what the planner makes of it."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []

    @classmethod
    def of(cls, plan: dict[str, Any]) -> "Plans":
        """All nodes of a plan."""
        found = cls()
        _walk(plan, found)
        return found

    def uses(self, index: str) -> bool:
        return any(node.get("Index Name") == index for node in self.nodes)

    def reads_all_of(self) -> set[str]:
        return {node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"}


async def explained(session: AsyncSession, statement: str, parameters: Any) -> Plans:
    """The plan of one statement as it was sent."""
    connection = await driver(session)
    async with connection.cursor() as cursor:
        await cursor.execute("EXPLAIN (FORMAT JSON, COSTS OFF) " + statement, parameters)
        [found] = await cursor.fetchone() or [None]
    assert found
    return Plans.of(found[0]["Plan"])


def _walk(node: dict[str, Any], plans: Plans) -> None:
    plans.nodes.append(node)
    for inner in node.get("Plans", []):
        _walk(inner, plans)


async def first_statement(session: AsyncSession, doing: Doing) -> Plans:
    """Do something, and explain the first statement that it sent."""
    sent: list[tuple[str, Any]] = []
    engine = session.bind
    assert isinstance(engine, AsyncEngine)

    def note(*told: Any) -> None:
        sent.append((told[2], told[3]))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await doing(session)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    return await explained(session, *sent[0])


class Explaining(psycopg.AsyncCursor[Any]):
    """Explains each query just before it is carried out, by the settings of that moment."""

    plans: ClassVar[list[Plans]] = []

    async def execute(self, query: Any, params: Any = None, **how: Any) -> Self:
        if query.split(None, 1)[0] in {"SELECT", "WITH"}:
            beside = psycopg.AsyncCursor(self.connection)
            await beside.execute("EXPLAIN (FORMAT JSON, COSTS OFF) " + query, params)
            found = await beside.fetchone()
            assert found
            self.plans.append(Plans.of(found[0][0]["Plan"]))
        return await super().execute(query, params, **how)


async def all_statements(session: AsyncSession, doing: Doing) -> list[Plans]:
    """Do something, and explain every query that it sends."""
    connection = await driver(session)
    Explaining.plans.clear()
    connection.cursor_factory = Explaining
    await doing(session)
    connection.cursor_factory = psycopg.AsyncCursor
    return list(Explaining.plans)


async def reads_all_of(session: AsyncSession, doing: Doing) -> set[str]:
    """Do something; the tables that it reads from end to end."""
    return set().union(*[plans.reads_all_of() for plans in await all_statements(session, doing)])
