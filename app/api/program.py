"""/api/v1 for programs: an app of its own inside ours, so that its errors are problem+json and its OpenAPI is its own."""

from fastapi import FastAPI
from starlette.datastructures import State

from app.api import items, posts, presence, problems, pushing, reading, replies, saved, search, together

PREFIX = "/api/v1"


def create_api(state: State) -> FastAPI:
    """The API; `state` is that of the app it is mounted in, so that both use the same sessions."""
    api = FastAPI(
        title="Careline API",
        version="1",
        description="Items, posts, replies, feeds and queues for programs. Each token acts as an agent and sees no more.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    api.state = state
    problems.install(api)
    for router in (
        items.router,
        posts.router,
        presence.router,
        pushing.router,
        reading.router,
        replies.router,
        saved.router,
        search.router,
        together.router,
    ):
        api.include_router(router)
    return api
