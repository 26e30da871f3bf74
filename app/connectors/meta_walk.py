"""Reading an edge of the Graph API that shows the newest first: down to what is known, over as many calls as it takes.

State in the cursor: `mark` is the time of the newest entry of the last walk, `top` that of the walk under way, `after`
where this one goes on. Rules: developers.facebook.com/docs/graph-api/results ("Cursor-based Pagination").
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.connectors.base import Json
from app.connectors.meta_graph import Edge, Graph, moment
from app.errors import Refused

PAGE = 50
OVERLAP = timedelta(minutes=2)  # entries may be shown late, and out of order
_PAGES = 4  # in one call
_FIRST = 10  # pages that a first sync goes down


class Newest:
    """One edge, read from its newest entry down."""

    def __init__(
        self, graph: Graph, path: str, state: Json, at: Callable[[Any], datetime | None], **params: Any
    ) -> None:
        """Begin where `state` says; `at` tells an entry's time, by which the edge is ordered."""
        self._graph, self._path, self._at = graph, path, at
        self._params = {"limit": PAGE, **params}
        self._mark = moment(state.get("mark")) if state.get("mark") else None
        self._top = moment(state.get("top")) if state.get("top") else None
        self._after: str = state.get("after", "")
        self._read: int = state.get("read", 0)
        self.more = False

    @property
    def mark(self) -> datetime | None:
        """The newest entry of the walk before."""
        return self._mark

    async def entries(self) -> list[Any]:
        """The next entries, newest first; those a little older than the mark are given again. Raises ConnectorError."""
        found: list[Any] = []
        for _ in range(_PAGES):
            page = await self._page()
            times = [at for at in map(self._at, page.entries) if at is not None]
            self._top = max([*times, *([self._top] if self._top else [])], default=None)
            found += [one for one in page.entries if self._is_new(self._at(one))]
            self._after, self._read = page.after, self._read + 1
            if not page.after or self._is_down(times):
                self._after = ""
                break
        self.more = bool(self._after)
        return found

    async def _page(self) -> Edge:
        """One page; a place in the list that Meta has forgotten meanwhile begins again at the top."""
        try:
            return await self._graph.edge(self._path, self._after, **self._params)
        except Refused:
            if not self._after:
                raise
            self._after, self._read = "", 0
            return await self._graph.edge(self._path, **self._params)

    def _is_new(self, at: datetime | None) -> bool:
        return at is None or self._mark is None or at > self._mark - OVERLAP

    def _is_down(self, times: list[datetime]) -> bool:
        """Whether the walk has come down to what is known, or as far as a first sync goes."""
        if self._mark is None:
            return self._read + 1 >= _FIRST
        return bool(times) and min(times) <= self._mark - OVERLAP

    def state(self) -> Json:
        """Where the next call goes on."""
        if self._after:
            kept = {"top": self._top, "mark": self._mark}
            going = {name: at.isoformat() for name, at in kept.items() if at is not None}
            return {**going, "after": self._after, "read": self._read}
        newest = max([at for at in (self._top, self._mark) if at is not None], default=None)
        return {} if newest is None else {"mark": newest.isoformat()}
