"""/posts/{id}/hiding: a post is hidden on its channel, or shown again."""

from http import HTTPStatus

from fastapi import APIRouter

from app.api.door import Db, Writer
from app.api.schemas import HidingGiven
from app.flow.hide import hide

router = APIRouter(prefix="/posts/{post_id}/hiding", tags=["posts"])


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def hidden(db: Db, me: Writer, post_id: int) -> HidingGiven:
    """Have it hidden on its channel; ask again to learn how far that is. 409 where the channel hides no such post."""
    return HidingGiven.model_validate(await hide(db, me, post_id, hidden=True))


@router.delete("", status_code=HTTPStatus.ACCEPTED)
async def shown(db: Db, me: Writer, post_id: int) -> HidingGiven:
    """Have it shown again."""
    return HidingGiven.model_validate(await hide(db, me, post_id, hidden=False))
