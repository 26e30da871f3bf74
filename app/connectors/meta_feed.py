"""A feed that brings several things, each from a list of its own with its own part of the cursor."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeAlias, TypeVar

from pydantic import model_validator

from app.connectors.base import Batch, IncomingPost, Json, KnownPost, PostChange, SettingsModel
from app.connectors.meta_graph import Gone, Graph
from app.connectors.meta_hooks import Told
from app.i18n import _

Found = TypeVar("Found")  # whom we speak for, with a way to call as them
Reader: TypeAlias = Callable[[Found, Json, Told, datetime], Awaitable[tuple[Json, bool]]]
Read: TypeAlias = Callable[[Json, KnownPost, datetime], PostChange | None]


class ChosenThings(SettingsModel):
    """Settings with a tick for each thing that can be brought."""

    things: ClassVar[tuple[str, ...]]

    @model_validator(mode="after")
    def _something(self) -> "ChosenThings":
        if not any(getattr(self, name) for name in self.things):
            message = _("Choose at least one thing to bring.")
            raise ValueError(message)
        return self


@dataclass(frozen=True, slots=True)
class Parts:
    """What all the lists have brought."""

    told: Told
    cursor: Json
    more: bool

    @property
    def newest(self) -> IncomingPost | None:
        """The newest post of others, of ours where there is no other."""
        return max(self.told.posts.values(), key=lambda post: (not post.own, post.posted_at), default=None)

    def batch(self, **more: Any) -> Batch:
        """All of it."""
        return self.told.batch(cursor=self.cursor, more=self.more, **more)


async def read_parts(readers: Mapping[str, Reader[Found]], found: Found, cursor: Json, now: datetime) -> Parts:
    """Read each list on from its part of the cursor, by that part's name. Raises ConnectorError."""
    told, kept, more = Told(), dict[str, Any](), False
    for name, reader in readers.items():
        kept[name], waits = await reader(found, cursor.get(name, {}), told, now)
        more |= waits
    return Parts(told, kept, more)


async def look_each(
    graph: Graph, posts: Iterable[KnownPost], fields: str, read: Read, now: datetime
) -> tuple[PostChange, ...]:
    """Ask for each of these posts; what is not there is deleted. Raises ConnectorError."""
    changed = []
    for known in posts:
        try:
            change = read(await graph.get(known.ref["id"], fields=fields), known, now)
        except Gone:
            change = PostChange(known.external_id, now, deleted=True)
        if change is not None:
            changed.append(change)
    return tuple(changed)
