"""/replies: how far one is; editing and deleting what stands on its channel."""

from http import HTTPStatus

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.door import Db, Reader, Writer
from app.api.schemas import ReplyChangeGiven, ReplyGiven, ReplyWhole, VersionAsked, VersionGiven
from app.errors import NotFound
from app.flow.revise import revise
from app.flow.visibility import visible_item
from app.flow.withdraw import withdraw
from app.models.agent import Agent
from app.models.reply import ChangeKind, ChangeState, Reply, ReplyState
from app.queries import programs

router = APIRouter(prefix="/replies/{reply_id}", tags=["replies"])


@router.get("")
async def shown(db: Db, me: Reader, reply_id: int) -> ReplyWhole:
    """One reply and how far it is: held, queued, sending, sent, failed or unknown."""
    found = await db.get(Reply, reply_id)
    if found is None or found.state == ReplyState.DRAFT:
        raise NotFound(f"There is no reply {reply_id}, or it is not in a queue of your teams.")
    return await _whole(db, me, found)


@router.post("/versions", status_code=HTTPStatus.ACCEPTED)
async def edited(db: Db, me: Writer, reply_id: int, asked: VersionAsked) -> ReplyWhole:
    """Have a sent reply say something else on its channel; `change` says how far that is. Repeat it safely."""
    return await _whole(db, me, await revise(db, me, reply_id, asked.text))


@router.delete("", status_code=HTTPStatus.ACCEPTED)
async def deleted(db: Db, me: Writer, reply_id: int) -> ReplyWhole:
    """Have a sent reply deleted on its channel; `change` says how far that is. Repeat it safely."""
    return await _whole(db, me, await withdraw(db, me, reply_id))


async def _whole(db: AsyncSession, me: Agent, reply: Reply) -> ReplyWhole:
    try:
        await visible_item(db, me, reply.item_id)
    except NotFound:
        raise NotFound(f"There is no reply {reply.id}, or it is not in a queue of your teams.") from None
    changes = await programs.reply_changes(db, reply.id)
    done = [one for one in changes if one.state == ChangeState.DONE]
    newest = changes[-1] if changes and changes[-1].state != ChangeState.DONE else None
    return ReplyWhole(
        **ReplyGiven.model_validate(reply).model_dump(),
        versions=[
            VersionGiven(text=one.was or "", until=one.done_at)
            for one in done
            if one.kind == ChangeKind.EDIT and one.done_at is not None
        ],
        deleted_at=next((one.done_at for one in done if one.kind == ChangeKind.DELETE), None),
        change=ReplyChangeGiven.model_validate(newest) if newest else None,
    )
