"""/saved and /macros: what the token's agent may use again; and running a macro on an item."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from app.api.door import Db, Reader, Writer
from app.api.schemas import MacroGiven, Page, RunAsked, RunGiven, SavedGiven
from app.flow.macro import MacroSettings, run_macro, save_macro, settings_of
from app.flow.saved import SavedSettings, change_saved, remove, save_reply, usable, whose
from app.models.saved import Macro, SavedReply
from app.queries.saved import macro_lines, saved_lines

router = APIRouter()


def _saved(one: SavedReply) -> SavedGiven:
    given: dict[str, Any] = {name: getattr(one, name) for name in ("id", "title", "body", "language", "tags", "uses")}
    return SavedGiven(**given, whose=whose(one))


def _macro(one: Macro) -> MacroGiven:
    return MacroGiven(id=one.id, uses=one.uses, **settings_of(one).model_dump())


@router.get("/saved", tags=["saved replies"])
async def all_saved(db: Db, me: Reader) -> Page[SavedGiven]:
    """All that the token's agent may use, by title."""
    return Page(data=[_saved(line.kept) for line in await saved_lines(db, me)])


@router.post("/saved", tags=["saved replies"], status_code=HTTPStatus.CREATED)
async def new_saved(db: Db, me: Writer, asked: SavedSettings) -> SavedGiven:
    """Keep a new one."""
    made = await save_reply(db, me, asked)
    await db.refresh(made)
    return _saved(made)


@router.get("/saved/{saved_id}", tags=["saved replies"])
async def one_saved(db: Db, me: Reader, saved_id: int) -> SavedGiven:
    """One of them."""
    return _saved(await usable(db, SavedReply, me, saved_id))


@router.put("/saved/{saved_id}", tags=["saved replies"])
async def changed_saved(db: Db, me: Writer, saved_id: int, asked: SavedSettings) -> SavedGiven:
    """Change one, all of it."""
    return _saved(await change_saved(db, me, saved_id, asked))


@router.delete("/saved/{saved_id}", tags=["saved replies"], status_code=HTTPStatus.NO_CONTENT)
async def removed_saved(db: Db, me: Writer, saved_id: int) -> Response:
    """Throw one away."""
    await remove(db, SavedReply, me, saved_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/macros", tags=["macros"])
async def all_macros(db: Db, me: Reader) -> Page[MacroGiven]:
    """All that the token's agent may use, by name."""
    return Page(data=[_macro(line.kept) for line in await macro_lines(db, me)])


@router.post("/macros", tags=["macros"], status_code=HTTPStatus.CREATED)
async def new_macro(db: Db, me: Writer, asked: MacroSettings) -> MacroGiven:
    """Make one."""
    made = await save_macro(db, me, asked)
    await db.refresh(made)
    return _macro(made)


@router.get("/macros/{macro_id}", tags=["macros"])
async def one_macro(db: Db, me: Reader, macro_id: int) -> MacroGiven:
    """One of them."""
    return _macro(await usable(db, Macro, me, macro_id))


@router.put("/macros/{macro_id}", tags=["macros"])
async def changed_macro(db: Db, me: Writer, macro_id: int, asked: MacroSettings) -> MacroGiven:
    """Change one, all of it."""
    return _macro(await save_macro(db, me, asked, macro_id))


@router.delete("/macros/{macro_id}", tags=["macros"], status_code=HTTPStatus.NO_CONTENT)
async def removed_macro(db: Db, me: Writer, macro_id: int) -> Response:
    """Throw one away."""
    await remove(db, Macro, me, macro_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/items/{item_id}/macros/{macro_id}", tags=["macros"], status_code=HTTPStatus.CREATED)
async def ran(db: Db, me: Writer, item_id: int, macro_id: int, asked: RunAsked) -> RunGiven:
    """Do all that a macro says on an item that the token's agent holds, or nothing."""
    item = await run_macro(db, me, item_id, macro_id, asked.key)
    return RunGiven(item_id=item.id, state=item.state)
