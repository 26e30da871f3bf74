"""A post on the simulated network, and how it is written down."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.demo.people import US


@dataclass(frozen=True, slots=True)
class NetChange:
    """What its author did to a post later: a new text, or (None) its end."""

    number: int  # grows with each change on the network
    post: int
    text: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class NetPost:
    """A post on the simulated network."""

    id: int
    thread: int
    handle: str
    text: str
    at: datetime
    language: str
    in_reply_to: int | None = None
    direct: bool = False
    picture: str = ""
    alt: str = ""
    key: str = ""  # the idempotency key of ours
    aside: bool = False  # between others: it is not about us, so our inbox has not got it
    media: tuple[tuple[str, str], ...] = ()  # ours: pictures by id, with their alternative text

    @property
    def ours(self) -> bool:
        """Whether we wrote it."""
        return self.handle == US.handle

    def as_row(self) -> dict[str, Any]:
        """The post as JSON."""
        return asdict(self) | {"at": self.at.isoformat()}


def from_row(row: dict[str, Any]) -> NetPost:
    """The post that was written down."""
    media = tuple((name, alt) for name, alt in row.get("media", ()))
    return NetPost(**(row | {"at": datetime.fromisoformat(row["at"]), "media": media}))


def conversations(posts: Iterable[NetPost], limit: int) -> list[list[NetPost]]:
    """Conversations of posts given oldest first: the one with the newest post first, each oldest post first."""
    grouped: dict[int, list[NetPost]] = {}
    for post in posts:
        grouped.setdefault(post.thread, []).append(post)
    return sorted(grouped.values(), key=lambda thread: thread[-1].id, reverse=True)[:limit]
