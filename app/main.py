"""The web app: routers, middleware, error pages, and what lives as long as the process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.middleware.gzip import GZipMiddleware

from app.api import hooks
from app.api.program import PREFIX, create_api
from app.db import create_engine, sessionmaker
from app.settings import Settings, get_settings
from app.web import (
    attachments,
    board,
    bulk,
    client,
    customer,
    desk,
    draft,
    failures,
    first_run,
    form,
    health,
    hiding,
    item,
    labels,
    live,
    login,
    macros,
    me,
    media,
    notices,
    onward,
    outgoing,
    own_keys,
    palette,
    presence,
    revision,
    saved,
    saved_views,
    search,
    staffing,
    templates,
    together,
    transfer,
    translation,
)
from app.web.admin import imports
from app.web.admin import router as admin
from app.web.assets import STATIC, Assets
from app.web.edge import LOOKS
from app.web.hub import Hub
from app.web.live import ends_with_the_server
from app.web.measured import Measured
from app.web.reading import Reading
from app.web.security import BodyLimit, MethodOverride, Security, same_origin

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    login.router,
    own_keys.router,
    saved.router,
    saved_views.router,
    palette.router,
    labels.router,
    macros.router,
    me.router,
    desk.router,
    search.router,
    bulk.router,
    presence.router,
    item.router,
    onward.router,
    draft.router,
    transfer.router,
    translation.router,
    together.router,
    notices.router,
    attachments.router,
    customer.router,
    hiding.router,
    outgoing.router,
    revision.router,
    media.router,
    live.router,
    board.router,
    staffing.router,
    templates.router,
    imports.uploads,
    admin.router,
    client.router,
    first_run.router,
    form.router,
    hooks.router,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database's pool, unless the caller brought sessions of its own, and listen for what changes."""
    settings: Settings = app.state.settings
    engine = None
    if app.state.sessions is None:
        engine = create_engine(settings.database_url, settings.pool_size, "careline web")
        app.state.sessions = sessionmaker(engine)
    hub = app.state.hub = Hub(app.state.sessions)
    listener = asyncio.create_task(hub.run(app.state.sessions.kw["bind"].url.render_as_string(hide_password=False)))
    try:
        with ends_with_the_server(hub):
            yield
    finally:
        hub.stop()
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
        if engine is not None:
            await engine.dispose()


def create_app(settings: Settings | None = None, sessions: async_sessionmaker[AsyncSession] | None = None) -> FastAPI:
    """The app, ready to be served. `sessions` is for tests and for who shares a pool."""
    settings = settings or get_settings()
    app = FastAPI(
        title="Careline",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(same_origin)],
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.sessions = sessions
    app.state.looks = asyncio.Semaphore(LOOKS)
    app.add_middleware(Reading)
    app.add_middleware(BodyLimit, most=settings.max_body, uploads=settings.max_upload, imports=settings.max_import)
    app.add_middleware(MethodOverride)
    app.add_middleware(GZipMiddleware, minimum_size=800, compresslevel=1)
    app.add_middleware(Security, secure=settings.secure)
    app.add_middleware(Measured)
    failures.install(app)
    for router in ROUTERS:
        app.include_router(router, include_in_schema=False)
    app.mount(PREFIX, create_api(app.state), name="api")
    app.mount("/static", Assets(directory=STATIC), name="static")
    return app
