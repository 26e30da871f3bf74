"""On to the next item: what is in hand and needs an answer, else an offer, else what waits and fits best.

POST /next goes there by one key; "send, close, and on to the next" goes there too, as far as the agent wants it.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow.offer import accept
from app.flow.preferences import Pulling, preferences
from app.flow.pull import pull
from app.i18n import _
from app.models.agent import Agent
from app.queries.desk import offers
from app.queries.hand import following, offers_come, to_answer
from app.web.edge import Db, Me
from app.web.lists import shown_of

router = APIRouter()


@router.post("/next")
async def next_item(
    db: Db, me: Me, here: Annotated[str, Form()] = "", listed: Annotated[str, Form(alias="list")] = ""
) -> Response:
    """Go on to the next item from `here`, the one that is open. Raises Conflict when there is none, and says why."""
    found = following(await to_answer(db, me.id), int(here) if here.isdecimal() else None) or await _new(db, me)
    if found is None:
        raise Conflict(_("Nothing waits that you could answer with your skills. What there is stands under Claimable."))
    return RedirectResponse(f"/items/{found}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)


async def _new(db: AsyncSession, me: Agent) -> int | None:
    """The id of an item that they did not hold: accept the offer that runs out first, or take what waits."""
    offered = await offers(db, me.id)
    if offered:
        return (await accept(db, me, offered[0].row.item_id)).id
    pulled = await pull(db, me)
    return None if pulled is None else pulled.id


async def after_this(db: AsyncSession, me: Agent) -> int | None:
    """The id of the item to go on to after one was closed; a new one only if the agent wants that. None: there is none.

    What was done before stays done, whatever becomes of the new one.
    """
    held = await to_answer(db, me.id)
    if held or not await _wants_more(db, me):
        return held[0] if held else None
    try:
        async with db.begin_nested():
            return await _new(db, me)
    except Conflict:  # the offer ran out, or their hands are full: the desk shows it
        return None


async def _wants_more(db: AsyncSession, me: Agent) -> bool:
    chosen = preferences(me).pulling
    return chosen is Pulling.ALWAYS or (chosen is Pulling.ALONE and not await offers_come(db, me.id))
