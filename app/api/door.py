"""Who asks: a bearer token, its agent, and one transaction that is committed before the answer leaves."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.problems import TokenRefused
from app.errors import Forbidden
from app.flow.tokens import Bearer, bearer
from app.models.agent import Agent, Role

_scheme = HTTPBearer(auto_error=False, description="A token of `careline token create`.")


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """One request, one transaction."""
    async with request.app.state.sessions.begin() as session:
        yield session


Db = Annotated[AsyncSession, Depends(transaction, scope="function")]


async def known(db: Db, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]) -> Bearer:
    """Who the token acts as. Raises TokenRefused."""
    if given is None:
        raise TokenRefused("Send a token: `Authorization: Bearer careline_...`. `careline token create` makes one.")
    found = await bearer(db, given.credentials)
    if found is None:
        raise TokenRefused("This token opens nothing: it is unknown or revoked, or its agent is switched off.")
    return found


async def _reads(who: Annotated[Bearer, Depends(known)]) -> Agent:
    return who.agent


async def _writes(who: Annotated[Bearer, Depends(known)]) -> Agent:
    if not who.writes:
        raise Forbidden("This token may only read. Make one with `careline token create --writes`.")
    return who.agent


async def _admin(who: Annotated[Bearer, Depends(known)]) -> Agent:
    if not who.agent.is_at_least(Role.ADMIN):
        raise Forbidden("Only tokens of an admin may look at this.")
    return who.agent


async def _admin_writes(who: Annotated[Bearer, Depends(known)]) -> Agent:
    if not who.agent.is_at_least(Role.ADMIN):
        raise Forbidden("Only tokens of an admin may change this.")
    return await _writes(who)


Reader = Annotated[Agent, Depends(_reads)]
Writer = Annotated[Agent, Depends(_writes)]
AdminReader = Annotated[Agent, Depends(_admin)]
AdminWriter = Annotated[Agent, Depends(_admin_writes)]
