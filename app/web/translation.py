"""A post in the reader's language: a machine translates it once, and it is kept for everybody who reads that language."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.errors import Conflict, Invalid, NotFound
from app.flow.translate import keep_translation
from app.i18n import _
from app.models.sight import visible_queues
from app.queries.said import Said, one_post
from app.settings import Settings
from app.translator import translate
from app.web.edge import signed_in
from app.web.lists import shown_of

router = APIRouter()
MOST = 20_000  # characters that are sent to the translator at once


@router.post("/posts/{post_id}/translation")
async def translated(
    request: Request,
    post_id: int,
    item_id: Annotated[int, Form()],
    before: Annotated[str, Form()] = "",
    listed: Annotated[str, Form(alias="list")] = "",
) -> Response:
    """Translate a post into the reader's language, and go back to it. No transaction waits for the translator."""
    settings: Settings = request.app.state.settings
    async with request.app.state.sessions.begin() as db:
        post = await _asked(request, db, settings, post_id)
    if post.translated is None:
        language = i18n.own_language()
        told = await translate(settings, post.whole, i18n.primary(post.language) or None, language)
        async with request.app.state.sessions.begin() as db:
            await keep_translation(db, post_id, language, digest=post.digest, source=told.source, text=told.text)
    query = shown_of(listed).query
    older = f"/posts{query}{'&' if query else '?'}before={quote(before, safe='~:')}" if before else query
    return RedirectResponse(f"/items/{item_id}{older}", HTTPStatus.SEE_OTHER)


async def _asked(request: Request, db: AsyncSession, settings: Settings, post_id: int) -> Said:
    """The post, if it can be translated for who asks.

    Raises:
        NotFound: there is no translator, or no such post for their eyes.
        Conflict: it was deleted, or says nothing.
        Invalid: it is too long.
    """
    me = await signed_in(request, db)
    if not settings.translator_url:
        raise NotFound(_("No translator is set up. Ask an admin of Careline if you need one."))
    post = await one_post(db, post_id, visible_queues(me), me.id, i18n.own_language())
    if post is None:
        raise NotFound(_("There is no such post, or you may not see it."))
    if post.deleted_at is not None or not post.whole:
        raise Conflict(_("There is nothing to translate: the post was deleted, or it has no words."))
    if len(post.whole) > MOST:
        raise Invalid(
            _("This post has more than %(most)s characters. That is too long for the translator.")
            % {"most": i18n.number(MOST)}
        )
    return post
