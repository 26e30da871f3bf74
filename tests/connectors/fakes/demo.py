"""The simulated network itself, its rows in memory, its clock the suite's."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import httpx
from starlette.requests import Request
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, Visibility
from app.connectors.demo import DemoCredentials, DemoSettings
from app.connectors.testing.fake import FakeChannel, Standing
from app.demo.ledger import Identity, Row
from app.demo.network import PAGE, Network
from app.demo.posts import NetPost


class _Rows:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.identity = Identity("test", "token-of-the-suite", 1)

    def append(self, rows: Iterable[Row]) -> None:
        self.rows += rows


class _Bending(Network):
    """The network, able to show a post that makes no sense."""

    bent: set[int]

    def shown(self, request: Request, post: NetPost) -> dict[str, Any]:
        told = super().shown(request, post)
        return told | {"author": None, "created_at": "yesterday"} if post.id in self.bent else told


class FakeTownsquare(FakeChannel):
    connector: ClassVar[Connector] = registry.get("demo")
    page_size = PAGE
    shows_own = True
    tells_changes = True

    def __init__(self) -> None:
        super().__init__()
        self.network = _Bending(_Rows(), lambda: self.now)
        self.network.bent = set()

    @property
    def app(self) -> ASGIApp:
        return self.network.app

    def settings(self) -> DemoSettings:
        return DemoSettings(url="http://townsquare.example")

    def credentials(self) -> DemoCredentials:
        return DemoCredentials.model_validate({"token": self.network.ledger.identity.token})

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(external_id="townsquare:northwindhelp", handle="northwindhelp")

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        parent = int(under.rpartition("/")[2]) if under else None
        storable = text.replace("\x00", "").encode("utf-8", "ignore").decode()
        return self._said(by, storable, parent, direct=direct)

    def aside(self, text: str, *, by: str = "bob", under: str | None = None) -> str:
        return self._said(by, text, int(under.rpartition("/")[2]) if under else None, direct=False, aside=True)

    def arrive_own(self, text: str) -> str:
        return self._said("northwindhelp", text, None, direct=False)

    def arrive_broken(self) -> None:
        self.arrive("broken")
        self.network.bent.add(self.network.world.last_id)

    def _said(self, by: str, text: str, parent: int | None, *, direct: bool, aside: bool = False) -> str:
        post, rows = self.network.world.speak(self.tick(), by, text, parent=parent, direct=direct, aside=aside)
        self.network.ledger.append(rows)
        return self.network.uri(post.id)

    def remove(self, external_id: str) -> None:
        self.network.ledger.append(self.network.world.remove(int(external_id.rpartition("/")[2])))

    def rewrite(self, external_id: str, text: str) -> None:
        number = int(external_id.rpartition("/")[2])
        self.network.ledger.append(self.network.world.edit(number, text, self.tick()))

    def ledger(self) -> list[Standing]:
        return [
            Standing(
                self.network.uri(post.id),
                post.text,
                self.network.uri(post.in_reply_to) if post.in_reply_to else None,
                Visibility.DIRECT if post.direct else Visibility.PUBLIC,
                tuple((alt, self.network.world.pictures[name]) for name, alt in post.media),
            )
            for post in self.network.world.posts.values()
            if post.ours and post.key
        ]

    def is_send(self, request: httpx.Request) -> bool:
        return request.method in {"PUT", "DELETE"} or (request.method == "POST" and request.url.path == "/api/posts")

    def limited(self) -> httpx.Response:
        wait = f"{self.rate_wait.total_seconds():.0f}"
        return httpx.Response(429, headers={"retry-after": wait}, json={"error": "Too many requests."})


VARIANTS: dict[str, Callable[[], FakeChannel]] = {"demo": FakeTownsquare}
