"""The channel's world in memory: it pages, limits and fails like the real one. Write it from the channel's documents."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.connectors.base import Connector, IncomingAuthor
from app.connectors.testing import FakeChannel, Gives, Standing, Surface
from app.kit.skeleton.connector import SkeletonConnector, SkeletonCredentials, SkeletonSettings

SERVER = "https://skeleton.example"
US = {"id": "u-us", "handle": "northwind", "name": "Northwind"}


class FakeSkeleton(FakeChannel):
    """One server."""

    connector: ClassVar[Connector] = SkeletonConnector()
    page_size = 10
    shows_own = True
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.DELETIONS, Gives.EDITS), "the server does not tell what became of posts"
    )

    def __init__(self) -> None:
        """Nobody has written yet."""
        super().__init__()
        self.posts: list[dict[str, Any]] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.gone: set[int] = set()

    @property
    def app(self) -> Surface:
        """What answers."""
        routes = [
            Route("/api/me", lambda _: JSONResponse(US)),
            Route("/api/posts", self.listed),
            Route("/api/posts", self.taken, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def settings(self) -> SkeletonSettings:
        """Of a feed here."""
        return SkeletonSettings(url=SERVER)

    def credentials(self) -> SkeletonCredentials:
        """Of our account here."""
        return SkeletonCredentials.model_validate({"token": "secret-of-the-suite"})

    def account(self) -> IncomingAuthor:
        """Who we are here."""
        return IncomingAuthor(US["id"], US["handle"], US["name"])

    def listed(self, request: Request) -> Response:
        """A page of what stands, oldest first."""
        behind = [one for one in self.standing() if one["id"] > int(request.query_params["after"])]
        return JSONResponse({"posts": behind[: self.page_size], "more": len(behind) > self.page_size})

    async def taken(self, request: Request) -> Response:
        """A post of ours; a repeat is known by its key."""
        asked, key = await request.json(), request.headers["idempotency-key"]
        if asked["parent"] in self.gone:
            return JSONResponse({"error": "that post is gone"}, 404)
        if key not in self.keys:
            self.keys[key] = self.wrote(US, asked["text"], asked["parent"])
        return JSONResponse(self.keys[key], 201)

    def standing(self) -> list[dict[str, Any]]:
        """The posts that nobody deleted."""
        return [one for one in self.posts if one["id"] not in self.gone]

    def wrote(self, by: dict[str, str], text: str, parent: int | None) -> dict[str, Any]:
        """Somebody writes."""
        number = len(self.posts) + 1
        thread = next((one["thread"] for one in self.posts if one["id"] == parent), number)
        storable = text.replace("\x00", "").encode("utf-8", "ignore").decode()
        post = {"id": number, "thread": thread, "parent": parent, "author": by, "text": storable}
        self.posts.append(post | {"at": self.tick().isoformat()})
        return self.posts[-1]

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        """A stranger writes."""
        author = {"id": "u-" + hashlib.sha256(by.encode()).hexdigest()[:8], "handle": by, "name": by.title()}
        return self.name(self.wrote(author, text, self.number(under) if under else None)["id"])

    def arrive_own(self, text: str) -> str:
        """We write, without Careline."""
        return self.name(self.wrote(US, text, None)["id"])

    def arrive_broken(self) -> None:
        """Something that no connector can read."""
        self.arrive("broken")
        self.posts[-1]["author"] = None

    def remove(self, external_id: str) -> None:
        """A post is deleted."""
        self.gone.add(self.number(external_id))

    def ledger(self) -> list[Standing]:
        """Our replies that stand."""
        ours = [one for one in self.standing() if one["author"] == US and one["parent"]]
        return [Standing(self.name(one["id"]), one["text"], self.name(one["parent"])) for one in ours]

    def is_send(self, request: httpx.Request) -> bool:
        """Whether a reply would stand by it."""
        return request.method == "POST"

    def limited(self) -> httpx.Response:
        """Too many requests."""
        return httpx.Response(429, headers={"retry-after": f"{self.rate_wait.total_seconds():.0f}"}, json={})

    def name(self, number: int) -> str:
        """The external_id of a post."""
        return f"{SERVER}/posts/{number}"

    def number(self, name: str) -> int:
        """The post of an external_id."""
        return int(name.rpartition("/")[2])


VARIANTS: dict[str, Callable[[], FakeChannel]] = {"skeleton": FakeSkeleton}
