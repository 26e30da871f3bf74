"""The edge of a request: one transaction, committed before the answer leaves, and who asks.

    async def handler(request: Request, db: Db, me: Me) -> Response: ...

`Db` begins a transaction and commits it when the handler has returned and before the answer is sent (FastAPI's
function scope); an error rolls it back. `Me` is the agent who is signed in; `Supervisor` and `Admin` ask for the role.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import ARRAY, ColumnElement, Text, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.errors import CarelineError, Forbidden
from app.flow import gone, wrap_up
from app.flow.preferences import Preferences, preferences
from app.i18n import _
from app.models.agent import Agent, Presence, PresenceState, ReasonCode, Role, SignIn
from app.models.sight import visible_queues
from app.queries.together import unread
from app.settings import Settings
from app.web import keys
from app.web.security import SAFE, token_matches

_REASONS: ColumnElement[list[str]] = func.array(
    select(ReasonCode.name).order_by(ReasonCode.id).scalar_subquery(), type_=ARRAY(Text)
)
_VISITOR = (
    select(SignIn, Agent, Presence, func.now(), _REASONS)
    .join(Agent, Agent.id == SignIn.agent_id)
    .outerjoin(Presence, Presence.agent_id == Agent.id)
    .where(SignIn.digest == bindparam("cookie"), SignIn.expires_at > func.now(), Agent.active)
)
TOUCH = timedelta(minutes=1)  # a sign-in's time of last use is written at most so often


@dataclass(frozen=True, slots=True)
class Face:
    """What a page shows of the agent who is signed in: values that outlive the transaction, a failed one too."""

    id: int
    name: str
    initials: str
    role: Role
    preferences: Preferences
    capacity: int
    state: PresenceState
    reason: str | None
    since: datetime | None
    load: int
    wrap_since: datetime | None = None
    wrap_until: datetime | None = None
    wrap_latest: datetime | None = None

    def is_at_least(self, role: str) -> bool:
        """Whether this person's role includes `role`."""
        order = list(Role)
        return order.index(self.role) >= order.index(Role(role))


def face(agent: Agent, presence: Presence | None) -> Face:
    """Copy what pages show."""
    return Face(
        id=agent.id,
        name=agent.name,
        initials=agent.initials,
        role=Role(agent.role),
        preferences=preferences(agent),
        capacity=agent.capacity,
        state=PresenceState(presence.state) if presence else PresenceState.OFFLINE,
        reason=presence.reason if presence else None,
        since=presence.since if presence else None,
        load=presence.load if presence else 0,
        wrap_since=presence.wrap_since if presence else None,
        wrap_until=presence.wrap_until if presence else None,
        wrap_latest=presence.wrap_latest if presence else None,
    )


ALIVE = "/presence/alive"
LISTS = frozenset({"rail", "list", "tabs"})  # parts of a desk that others change: nobody waits for them
MINE = frozenset({"me", "offer", "bar"})  # and those that are about who looks themselves
LOOKS = 1  # such requests that are answered at a time


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in on this request, for the page around the content."""

    agent: Face
    csrf: str
    sign_in_id: int
    reasons: tuple[str, ...] = ()  # not to be ready
    unread: int = 0  # notices, on whole pages


class SignedOut(CarelineError):
    """Nobody is signed in: the browser is sent to the sign-in page, and back afterwards."""


def cookie_name(settings: Settings) -> str:
    """`__Host-` binds the cookie to this host and to TLS; plain HTTP on loopback cannot have it."""
    return "__Host-careline" if settings.secure else "careline"


def digest(cookie: str) -> bytes:
    """What the database keeps of a cookie's value."""
    return hashlib.sha256(cookie.encode()).digest()


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """One request, one transaction; but a look of an open desk at what is about its agent only reads, and is spared
    its beginning and end. Looks at lists and counts wait for each other, so that nobody waits for them.
    """
    asked = set(request.query_params.get("parts", "").split(","))
    turn: AbstractAsyncContextManager[None] = request.app.state.looks if asked <= LISTS else nullcontext()
    async with turn, request.app.state.sessions.begin() as session:
        if request.method in SAFE and (asked <= MINE or request.url.path == ALIVE):
            await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session


Db = Annotated[AsyncSession, Depends(transaction, scope="function")]


async def signed_in(request: Request, db: Db) -> Agent:
    """The agent behind the cookie, active and in time; on a change, with the sign-in's token.

    Raises:
        SignedOut: there is no such sign-in.
        Forbidden: the token is missing or wrong.
    """
    settings: Settings = request.app.state.settings
    cookie = request.cookies.get(cookie_name(settings), "")
    found = cookie and (await db.execute(_VISITOR, {"cookie": digest(cookie)})).one_or_none()
    if not found:
        raise SignedOut(_("Please sign in first."))
    row, agent, presence, now, reasons = found
    if (
        presence is not None and request.method in SAFE and not ahead(request)
    ):  # what changes things locks items before presences, so not there
        await _be_seen(db, presence, now)
    i18n.reader.set(i18n.reader_of(agent.language, agent.timezone))
    keys.own.set(preferences(agent).key_map)
    told = await unread(db, agent, visible_queues(agent)) if _draws_the_bell(request) else 0
    request.state.visitor = Visitor(face(agent, presence), row.csrf, row.id, tuple(reasons), told)
    if request.method not in SAFE and not await token_matches(request, row.csrf):
        raise Forbidden(
            _("This form is from an earlier sign-in, so nothing was changed. Reload the page and try again.")
        )
    if now - row.seen_at > TOUCH:
        expires = func.now() + timedelta(hours=settings.session_hours)
        await db.execute(update(SignIn).where(SignIn.id == row.id).values(seen_at=func.now(), expires_at=expires))
    return agent


def _draws_the_bell(request: Request) -> bool:
    """Whether the answer has the bar at the top: whole pages, not their live parts."""
    parts = request.query_params.keys() & {"parts", "only"}
    return (
        request.method in SAFE and not parts and not request.url.path.startswith(("/live", "/media", "/avatar", ALIVE))
    )


def ahead(request: Request) -> bool:
    """Whether a page is fetched before anybody wants to see it: it is no sign of life, and nothing of it is read."""
    return "x-ahead" in request.headers


async def _be_seen(db: AsyncSession, presence: Presence, now: datetime) -> None:
    """Every page and part that somebody asks for is a sign of life; and a wrap-up that is over ends before their eyes."""
    over = presence.wrap_until is not None and presence.wrap_until <= now
    if over and presence.state == PresenceState.WRAP_UP and await wrap_up.end_due(db, presence.agent_id):
        await db.refresh(presence)
    if now - presence.seen_at > gone.TOUCH:
        await gone.seen(db, presence.agent_id)


def forget_cookie(request: Request) -> Response:
    """To the sign-in page, without the cookie of a sign-in that has ended."""
    settings: Settings = request.app.state.settings
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER, headers={"Clear-Site-Data": '"cache"'})
    answer.delete_cookie(cookie_name(settings), path="/", secure=settings.secure, httponly=True, samesite="lax")
    return answer


Me = Annotated[Agent, Depends(signed_in)]


def at_least(role: Role) -> Callable[[Agent], Awaitable[Agent]]:
    """A dependency that asks for a role."""

    async def check(me: Me) -> Agent:
        if not me.is_at_least(role):
            raise Forbidden(_("Your account may not do this. Ask an admin of Careline if you need to."))
        return me

    return check


Supervisor = Annotated[Agent, Depends(at_least(Role.SUPERVISOR))]
Admin = Annotated[Agent, Depends(at_least(Role.ADMIN))]
