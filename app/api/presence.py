"""/presence and /reasons: a telephone or a calendar says that its agent is busy, and that they are back."""

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.door import Db, Reader, Writer
from app.api.schemas import Page, PresenceAsked, PresenceGiven
from app.flow.presence import set_presence
from app.models.agent import Agent, Presence, PresenceState
from app.queries import admin

router = APIRouter(tags=["presence"])


@router.get("/presence")
async def shown(db: Db, me: Reader) -> PresenceGiven:
    """Whether the token's agent is ready, and how much they carry."""
    return await _mine(db, me)


@router.put("/presence")
async def changed(db: Db, me: Writer, asked: PresenceAsked) -> PresenceGiven:
    """Ready, or not ready with a reason: then an open offer goes back to its queue."""
    await set_presence(db, me, PresenceState(asked.state), asked.reason)
    return await _mine(db, me)


@router.get("/reasons")
async def reasons(db: Db, _me: Reader) -> Page[str]:
    """The reasons not to be ready."""
    return Page(data=[one.name for one in await admin.reasons(db)])


async def _mine(db: AsyncSession, me: Agent) -> PresenceGiven:
    return PresenceGiven.model_validate(await db.get_one(Presence, me.id, populate_existing=True))
