"""Walking a list that is newest first, without a gap or a repeat while new posts arrive at its head.

A walk goes from the head down to what an earlier walk has given, in as many calls as it takes; only then does the mark
move. What arrives meanwhile stands above the walk's beginning and belongs to the next one. Each walk goes a little
deeper than the mark, because servers index late and order posts by the time that their authors claim: what was given
lately is remembered by digest and not given again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from app.connectors.base import Json
from app.connectors.bluesky_json import parse_time
from app.connectors.bluesky_posts import Entry

OVERLAP = timedelta(minutes=10)
REMEMBERED = 400  # digests; more than a page and what a busy feed gets within the overlap
BACKLOG_PAGES = 20  # of a first sync, which knows no mark to stop at

_WITNESSES = 3  # entries at a page's end that must agree on how deep it reaches


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: the entries that a feed wants, the times of all entries, the server's next cursor."""

    entries: tuple[Entry, ...]
    times: tuple[datetime, ...]
    following: str | None


@dataclass(slots=True)
class Walk:
    """Where a feed stands. `at` is the server's cursor inside an unfinished walk, empty between walks."""

    mark: datetime | None = None  # all that was indexed up to here has been given
    given: list[str] = field(default_factory=list)  # digests, newest first
    at: str | None = None
    top: datetime | None = None  # the newest of this walk; the next mark
    fresh: list[str] = field(default_factory=list)  # digests of this walk
    pages: int = 0
    cut: bool = False  # a first look back ended before the list did

    @classmethod
    def resume(cls, cursor: Json) -> Self:
        """Go on where a feed's cursor says; an empty one is a first sync."""
        return cls(
            mark=parse_time(cursor.get("mark")),
            given=list(cursor.get("given", ())),
            at=cursor.get("at"),
            top=parse_time(cursor.get("top")),
            fresh=list(cursor.get("fresh", ())),
            pages=cursor.get("pages", 0),
        )

    def cursor(self) -> Json:
        """What to keep for the next call."""
        times = {"mark": self.mark, "top": self.top}
        kept = {key: when.isoformat() for key, when in times.items() if when is not None}
        walking = {"at": self.at, "fresh": self.fresh, "pages": self.pages} if self.at else {}
        return {**kept, "given": self.given, **walking}

    def restart(self) -> None:
        """Begin again at the head: the server no longer knows the place where we were."""
        self.at, self.pages = None, 0

    def take(self, page: Page, now: datetime) -> list[Entry]:
        """Read one page: gives what is new in it, and moves to the following page or ends the walk."""
        known, new = {*self.given, *self.fresh}, []
        digests = {_digest(entry): entry for entry in reversed(page.entries)}
        for digest, entry in reversed(digests.items()):
            if digest not in known:
                new.append(entry)
        self.fresh = list(dict.fromkeys([*self.fresh, *reversed(digests)]))[:REMEMBERED]
        self.top = _latest(self.top, *(min(when, now) for when in page.times))  # a wrong clock there moves no mark
        self.pages += 1
        if page.following is None or page.following == self.at or self._deep_enough(page.times):
            self._finish()
        else:
            self.at = page.following
        return new

    def _deep_enough(self, times: Sequence[datetime]) -> bool:
        """Whether a page reaches below what has been given. One backdated entry among newer ones does not say so."""
        if self.mark is None:
            self.cut = self.pages >= BACKLOG_PAGES
            return self.cut
        bar = self.mark - OVERLAP
        return bool(times) and all(when < bar for when in times[-_WITNESSES:])

    def _finish(self) -> None:
        self.mark = _latest(self.mark, self.top)
        self.given = list(dict.fromkeys([*self.fresh, *self.given]))[:REMEMBERED]
        self.at, self.top, self.fresh, self.pages = None, None, [], 0


def _latest(*times: datetime | None) -> datetime | None:
    return max((when for when in times if when is not None), default=None)


def _digest(entry: Entry) -> str:
    named = f"{entry.repost} {entry.uri or entry.view!r}"
    return hashlib.sha256(named.encode(errors="replace")).hexdigest()[:12]
