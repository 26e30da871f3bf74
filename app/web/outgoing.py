"""A reply that is on its way: taking it back, sending it at once, trying again, or saying that it arrived.

And one that stands on its channel: deleting it there.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from app.errors import Invalid
from app.flow.reply import arrived, retry, send_now, undo
from app.flow.withdraw import withdraw
from app.i18n import _
from app.models.reply import Reply
from app.web.edge import Db, Me
from app.web.lists import shown_of

router = APIRouter(prefix="/replies/{reply_id}")
Listed = Annotated[str, Form(alias="list")]
LONGEST_URL = 2000


def _to(reply: Reply, listed: str) -> Response:
    return RedirectResponse(f"/items/{reply.item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)


@router.delete("")
async def delete(db: Db, me: Me, reply_id: int, listed: Listed = "") -> Response:
    """Have a sent reply deleted on its channel."""
    return _to(await withdraw(db, me, reply_id), listed)


@router.delete("/departure")
async def take_back(db: Db, me: Me, reply_id: int, listed: Listed = "") -> Response:
    """Undo: the reply is a draft again, open in its item."""
    return _to(await undo(db, me, reply_id), listed)


@router.post("/departure")
async def send_at_once(db: Db, me: Me, reply_id: int, listed: Listed = "") -> Response:
    """Do not wait for the undo window."""
    return _to(await send_now(db, me, reply_id), listed)


@router.post("/attempts")
async def try_again(db: Db, me: Me, reply_id: int, listed: Listed = "") -> Response:
    """Send a reply again that failed, or that certainly did not arrive."""
    return _to(await retry(db, me, reply_id), listed)


@router.post("/arrival")
async def it_arrived(db: Db, me: Me, reply_id: int, url: Annotated[str, Form()] = "", listed: Listed = "") -> Response:
    """A person has seen the reply on the channel. Raises Invalid when the address is none."""
    if url and (not url.startswith(("https://", "http://")) or len(url) > LONGEST_URL):
        raise Invalid(_("Paste the whole address of the reply, or leave the field empty."), "url")
    return _to(await arrived(db, me, reply_id, url), listed)
