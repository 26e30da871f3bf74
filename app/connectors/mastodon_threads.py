"""Where a status stands in its thread: docs.joinmastodon.org/methods/statuses/#context.

A status only names its parent by the server's own id. The root is found among the statuses at hand, else in the
context, else parent by parent (some makes give an empty context). The number of calls a fetch may make is bounded;
who asks must stop when `spent`.
"""

from dataclasses import dataclass
from typing import Any

from app.connectors.base import Json
from app.connectors.mastodon_api import Server
from app.errors import Refused

CALLS = 30  # for threads in one fetch: a tenth of the server's allowance for five minutes
_HOPS = 40  # up a thread whose context is empty


@dataclass(frozen=True, slots=True)
class Placed:
    """The root of a status's thread, and its parent where it has one that still exists."""

    root: str
    parent: str | None = None
    parent_author: str | None = None  # external_id of who wrote the parent


class Threads:
    """The statuses seen in one fetch, and what they say of each other."""

    def __init__(self, server: Server) -> None:
        """Start knowing nothing."""
        self._server = server
        self._known: dict[str, Json] = {}
        self._calls = 0
        self.bare = False  # the server gave no context, although there was one

    @property
    def spent(self) -> bool:
        """Whether this fetch has asked enough; what is left waits for the next one."""
        return self._calls >= CALLS

    def learn(self, values: Any) -> None:
        """Remember statuses that came along anyway."""
        for one in values if isinstance(values, list) else []:
            if isinstance(one, dict) and one.get("id") and isinstance(one.get("uri"), str):
                self._known[str(one["id"])] = one

    async def place(self, status: Json) -> Placed:
        """Where this status stands. Raises ConnectorError when the server fails; a parent that is gone does not."""
        parent = await self._parent(status)
        top, parent_id = status, status.get("in_reply_to_id")
        for _ in range(_HOPS):
            above = await self._parent(top)
            if above is None:
                break
            top, parent_id = above, above.get("in_reply_to_id")
        root = f"{self._server.base}/statuses/{parent_id}" if parent_id else str(top.get("uri"))
        account = parent.get("account") if parent else None
        return Placed(
            root=root,
            parent=parent["uri"] if parent else None,
            parent_author=account.get("url") if isinstance(account, dict) else None,
        )

    async def _parent(self, status: Json) -> Json | None:
        """The parent, None when there is none or it is gone."""
        if not status.get("in_reply_to_id"):
            return None
        wanted = str(status["in_reply_to_id"])
        if wanted not in self._known:
            self.learn((await self._ask(f"/api/v1/statuses/{status.get('id')}/context")).get("ancestors"))
        if wanted not in self._known:
            self.learn([await self._ask(f"/api/v1/statuses/{wanted}")])
            self.bare = self.bare or wanted in self._known
        return self._known.get(wanted)

    async def _ask(self, path: str) -> Json:
        self._calls += 1
        try:
            return await self._server.get_object(path)
        except Refused:
            return {}  # deleted, or not for us to see: the thread begins below it
