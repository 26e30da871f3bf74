"""/items/{id}: sending an item on, asking an expert about it, and watching it."""

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import Response

from app.api.door import Db, Reader, Writer
from app.api.schemas import AnswerAsked, ConsultAsked, ConsultGiven, Page, TransferAsked
from app.flow import consult
from app.flow.transfer import to_agent, to_line
from app.flow.visibility import readable_item
from app.flow.watch import unwatch, watch
from app.queries import programs, together

router = APIRouter(prefix="/items/{item_id}", tags=["items"])


@router.post("/transfer", status_code=HTTPStatus.NO_CONTENT)
async def transferred(db: Db, me: Writer, item_id: int, asked: TransferAsked) -> Response:
    """Send it on: to an agent, to a queue, or to its own queue for other skills. It may leave the token's agent's sight."""
    if asked.agent is not None:
        straight = asked.how == "now"
        who = (db, me, item_id, asked.agent)
        await to_agent(*who, straight=straight, overrule=asked.overrule, note=asked.note)
    else:
        needs = None if asked.needs is None else await programs.by_skill(db, asked.needs)
        await to_line(db, me, item_id, queue_id=asked.queue, needs=needs, note=asked.note)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/watch", status_code=HTTPStatus.NO_CONTENT)
async def watched(db: Db, me: Writer, item_id: int) -> Response:
    """Tell the token's agent what becomes of it."""
    await watch(db, me, item_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.delete("/watch", status_code=HTTPStatus.NO_CONTENT)
async def unwatched(db: Db, me: Writer, item_id: int) -> Response:
    """Tell them no longer."""
    await unwatch(db, me, item_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/consults")
async def questions(db: Db, me: Reader, item_id: int) -> Page[ConsultGiven]:
    """What experts were asked about the item's conversation, and what they answered."""
    item = await readable_item(db, me, item_id)
    found = await together.questions(db, item.conversation_id)
    return Page(data=[ConsultGiven.model_validate(one) for one in reversed(found)])


@router.post("/consults", status_code=HTTPStatus.CREATED)
async def asked_about(db: Db, me: Writer, item_id: int, asked: ConsultAsked) -> ConsultGiven:
    """Ask an agent, whoever has a skill, or a team. The item stays where it is; with `park` it waits for the answer."""
    made = await consult.consult(db, me, item_id, consult.Whom(*asked.whom), asked.question, park=asked.park)
    return await _one(db, made.id)


@router.post("/consults/{consult_id}/answer", status_code=HTTPStatus.CREATED)
async def answered(db: Db, me: Writer, item_id: int, consult_id: int, asked: AnswerAsked) -> ConsultGiven:
    """Answer as somebody who is asked."""
    await consult.answer(db, me, item_id, consult_id, asked.text)
    return await _one(db, consult_id)


@router.delete("/consults/{consult_id}", status_code=HTTPStatus.NO_CONTENT)
async def taken_back(db: Db, me: Writer, item_id: int, consult_id: int) -> Response:
    """Take a question back."""
    await consult.withdraw(db, me, item_id, consult_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _one(db: Db, consult_id: int) -> ConsultGiven:
    return ConsultGiven.model_validate(await together.question(db, consult_id))
