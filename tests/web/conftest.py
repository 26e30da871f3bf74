"""The app over a fresh database, and people who sign in to it as a browser does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.db import sessionmaker
from app.flow.configure_agent import AgentPlaces, AgentSettings, create_agent
from app.flow.configure_queue import QueueSettings, create_queue
from app.flow.configure_rules import RuleSettings, create_rule
from app.flow.configure_team import TeamSettings, create_team
from app.flow.passwords import hashed
from app.main import create_app
from app.models.agent import Role
from app.settings import Settings
from app.vault import Vault

PASSWORD = "correct horse"
HOST = "http://127.0.0.1:8000"


@dataclass
class Browser:
    """Somebody's browser: it keeps its cookie, and sends the token that the page carried."""

    http: httpx.AsyncClient
    csrf: str = ""

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def send(self, path: str, data: Any = None, method: str = "POST") -> httpx.Response:
        """Send a form as a page without script does: other methods by `_method`."""
        where = path if method == "POST" else f"{path}?_method={method}"
        fields: dict[str, Any] = {"csrf": self.csrf, **(data or {})}
        return await self.http.post(where, data=fields)


@dataclass(frozen=True)
class House:
    """A company of two teams: its queues, its people."""

    care: int
    shop: int
    billing: int  # of care
    orders: int  # of shop
    rule: int  # catches all
    ids: dict[str, int]


@pytest.fixture
def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return sessionmaker(engine)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path, allow_hosts="127.0.0.1,localhost")
    Vault.load(made, create=True)
    return made


@pytest.fixture
async def app(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[FastAPI]:
    app = create_app(settings, sessions)
    async with LifespanManager(app):
        yield app


_HASHES: list[str] = []  # argon2id is slow on purpose: once is enough


async def _known() -> str:
    if not _HASHES:
        _HASHES.append(await hashed(PASSWORD))
    return _HASHES[0]


@pytest.fixture
async def house(sessions: async_sessionmaker[AsyncSession]) -> House:
    """An agent and a supervisor of the team Care, and an admin of no team."""
    known = await _known()
    async with sessions.begin() as session:
        care = await create_team(session, TeamSettings(name="Care"))
        shop = await create_team(session, TeamSettings(name="Shop"))
        billing = await create_queue(session, QueueSettings(name="Billing", team_id=care.id))
        orders = await create_queue(session, QueueSettings(name="Orders", team_id=shop.id))
        rule = await create_rule(session, RuleSettings(name="Everything else", queue_id=billing.id))
        people = {}
        for name, role, places in (
            ("agent", Role.AGENT, AgentPlaces(teams=frozenset({care.id}), queues=frozenset({billing.id}))),
            ("supervisor", Role.SUPERVISOR, AgentPlaces(teams=frozenset({care.id}))),
            ("admin", Role.ADMIN, AgentPlaces()),
            ("stranger", Role.AGENT, AgentPlaces(teams=frozenset({shop.id}))),
        ):
            who = AgentSettings(name=name.capitalize(), email=f"{name}@example.com", role=role)
            agent = await create_agent(session, who, None, places)
            agent.password_hash = known
            people[name] = agent.id
    return House(care.id, shop.id, billing.id, orders.id, rule.id, people)


@pytest.fixture
async def sign_in(app: FastAPI, house: House) -> AsyncIterator[Callable[[str], Awaitable[Browser]]]:
    """Sign in by name ("agent", "supervisor", "admin", "stranger"); "" is nobody."""
    opened: list[httpx.AsyncClient] = []

    async def go(name: str) -> Browser:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST)
        opened.append(http)
        if not name:
            return Browser(http)
        answer = await http.post("/login", data={"email": f"{name}@example.com", "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        page = await http.get("/desk")
        return Browser(http, page.text.partition('<meta name="csrf" content="')[2].partition('"')[0])

    yield go
    for http in opened:
        await http.aclose()
