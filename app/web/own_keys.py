"""/me/keys: the desk's actions and their keys, as the reader wants them."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi import Form as Field
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.own_keys import Keyed, reset_own_keys, set_own_keys, switch_single_keys
from app.models.agent import Agent
from app.queries.desk import offers
from app.web import keys
from app.web.admin.pages import to
from app.web.edge import Db, Me
from app.web.forms import Form, Refused, attempt, typed
from app.web.login import HOME, own_path
from app.web.templating import render

router = APIRouter(prefix="/me/keys")
WHILE_WRITING = frozenset({"send", "undo"})  # behaviours of keys.js that work in the composer


def _mine(me: Agent) -> Iterator[keys.Action]:
    return (one for section in keys.table() for one in section.actions if me.is_at_least(one.role) and not one.fixed)


def _keyed() -> Mapping[str, Keyed]:
    every = (one for section in keys.table() for one in section.actions)
    return {one.code: Keyed(one.words, one.key, one.do in WHILE_WRITING, one.fixed) for one in every}


async def _page(request: Request, db: AsyncSession, me: Agent, form: Form, *, saved: bool = False) -> Response:
    changed = keys.own.get(keys.NONE)
    return render(
        request,
        "me/keys.html",
        status=form.status,
        form=form,
        sections=keys.table(),
        changed=changed,
        saved=saved,
        offers=await offers(db, me.id),
    )


@router.get("")
async def shown(request: Request, db: Db, me: Me, saved: str = "") -> Response:
    """Every action with its key, to be changed."""
    values = {one.code: keys.shown(one.code) for one in _mine(me)}
    return await _page(request, db, me, Form(values=values), saved=bool(saved))


@router.put("")
async def change(request: Request, db: Db, me: Me) -> Response:
    """Save all keys; what cannot be is said beside its field, and nothing is changed."""
    form = await typed(request)
    before = {one.code: keys.key_of(one.code) for one in _mine(me)}
    wanted = {code: keys.read(form.text(code)) for code in before if code in form.values}
    changed = {code: key for code, key in wanted.items() if key != before[code]}
    try:
        async with attempt(db, form):
            await set_own_keys(db, me, _keyed(), changed)
    except Refused:
        form.values = {**{code: keys.label(key) for code, key in before.items()}, **form.values}
        return await _page(request, db, me, form)
    return to("/me/keys?saved=1")


@router.delete("")
async def reset(db: Db, me: Me) -> Response:
    """All keys as they were."""
    await reset_own_keys(db, me)
    return to("/me/keys?saved=1")


@router.post("/switch")
async def switch(request: Request, db: Db, me: Me, on: Annotated[str, Field()] = "") -> Response:
    """Switch single keys on or off, and stay on the page."""
    await switch_single_keys(db, me, on=bool(on))
    back = urlsplit(request.headers.get("referer", "")).path
    return RedirectResponse(own_path(back or HOME), HTTPStatus.SEE_OTHER)
