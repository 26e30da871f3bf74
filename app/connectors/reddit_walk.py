"""Reading a listing from its newest entry down to what was read before.

Pages follow each other by `after`, the name of an entry, so they hold still while new ones arrive. `before` is not used:
it gives nothing once the entry that it names was deleted. A listing ends after about 1,000 entries (reddit.com/dev/api).
"""

from typing import Any

from pydantic import ValidationError

from app.connectors.base import Batch, IncomingAuthor, IncomingPost, Json, Rejected
from app.connectors.paging import oldest_first, read_pages
from app.connectors.reddit_api import Api, listing
from app.connectors.reddit_posts import read_thing, rejected
from app.i18n import N_

PAGES = 3  # in one call, and of the backlog at the first sync
REMEMBERED = 300  # names given lately
CAP = 900  # entries after which an end of the list is its cap, not its beginning
CUT = N_("More came than Reddit's lists hold (about 1,000), so older entries were missed. Poll this feed more often.")


def path_of(settings: Any) -> tuple[str, dict[str, str | int]]:
    """Where the feed's listing is, and what is asked of it."""
    asked: dict[str, str | int] = {"limit": 100}
    where = settings.subreddit
    match settings.source.value:
        case "inbox":
            return "/message/inbox", asked
        case "mentions":
            return "/message/mentions", asked
        case "subreddit":
            return f"/r/{where}/new", asked
        case "comments":
            return f"/r/{where}/comments", asked
        case _:
            asked |= {"q": settings.value, "sort": "new", "type": "link"}
            return (f"/r/{where}/search", asked | {"restrict_sr": 1}) if where else ("/search", asked)


class Walk:
    """One call's part of the way down. The cursor: scope, newest time, names given, an open walk."""

    def __init__(self, api: Api, me: IncomingAuthor, cursor: Json) -> None:
        """Go on where the cursor says; other settings start anew."""
        self.api, self.me = api, me
        self.path, self.asked = path_of(api.link.settings)
        scope = f"{self.path} {self.asked.get('q', '')}"
        state: Json = cursor if cursor.get("scope") == scope else {"scope": scope}
        walk: Json = state.get("walk", {})
        self.state = state
        self.until: float | None = state.get("newest")
        self.seen: dict[str, None] = dict.fromkeys(state.get("seen", []))
        self.top: float = walk.get("top", 0.0)
        self.after: str | None = walk.get("after")
        self.count: int = walk.get("count", 0)
        self.pages: int = walk.get("pages", 0)
        self.posts: dict[str, IncomingPost] = {}
        self.rejected: list[Rejected] = []
        self.finished = False
        self.notice = ""

    async def batch(self) -> Batch:
        """Walk until it is finished or this call has done enough. Raises ConnectorError and loses nothing by it."""
        await read_pages(self._page, PAGES, lambda: self.finished)
        return Batch(
            posts=oldest_first(self.posts.values()),
            cursor=self._cursor(),
            more=not self.finished,
            rejected=tuple(self.rejected),
            notice=self.notice,
        )

    async def _page(self) -> None:
        place: dict[str, str | int] = {} if self.after is None else {"after": self.after, "count": self.count}
        found, after = listing(await self.api.get(self.path, self.asked | place))
        reached = [self._take(raw) for raw in found]
        self.count += len(found)
        self.pages += 1
        self.after = after
        known = self.until is not None and any(reached)
        enough = self.until is None and self.pages >= PAGES
        self.finished = after is None or not found or known or enough
        if self.until is not None and self.finished and not known and self.count >= CAP:
            self.notice = CUT

    def _take(self, raw: Any) -> bool:
        """Keep an entry; whether it is older than the newest of the walk before."""
        try:
            post = read_thing(raw, self.me)
        except ValidationError as error:
            self.rejected.append(rejected(raw, error))
            return False
        if post is None:
            return False
        at = post.posted_at.timestamp()
        self.top = max(self.top, at)
        if post.external_id not in self.seen:
            self.seen[post.external_id] = None
            self.posts.setdefault(post.external_id, post)
        return self.until is not None and at < self.until

    def _cursor(self) -> Json:
        state = {name: value for name, value in self.state.items() if name != "walk"}
        state |= {"seen": list(self.seen)[-REMEMBERED:]}
        if not self.finished:
            return state | {"walk": {"top": self.top, "after": self.after, "count": self.count, "pages": self.pages}}
        newest = max(self.top, self.until or 0.0)
        return state | {"newest": newest or self.api.link.now.timestamp()}
