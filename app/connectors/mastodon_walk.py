"""Reading a list of a server from its newest entry down to what was read before.

Statuses of other servers arrive late under ids made from their own time, so an id below the newest can still be new:
the newest page is read whole each time, and what was given before is passed over. A walk that a call cannot finish goes
on at the next one, from the cursor.
"""

from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from app.connectors.base import Batch, IncomingAuthor, IncomingPost, Json, Rejected
from app.connectors.mastodon_api import Gone, Page, Server, not_newer
from app.connectors.mastodon_posts import read_post, rejected
from app.connectors.mastodon_threads import Placed, Threads
from app.connectors.paging import oldest_first
from app.errors import Malformed, Refused
from app.i18n import N_

PAGES = 3  # pages in one call, and of the backlog at the first sync
_REMEMBERED = 200  # ids given lately; more than two pages of the largest size that servers give
_ASKED = ["mention", "quote"]  # a post that quotes ours is told of since Mastodon 4.5
_TOLD = {*_ASKED, "comment"}  # what Pixelfed calls an answer
BARE = N_("%(host)s gives no threads: they are put together post by post, and a very long one may come in parts.")
NOWHERE = Placed("")  # to see whether an entry can be read before its thread is asked for


async def read_source(server: Server, settings: Any, below: str | None, known: Json) -> tuple[Page, Json]:
    """One page of the feed's source, and what is worth knowing for the next (the account's id on this server)."""
    match settings.source.value:
        case "mentions":
            return await _notifications(server, below, known)
        case "hashtag":
            tag = quote(settings.value.strip("# "), safe="")
            return await server.get_page(f"/api/v1/timelines/tag/{tag}", below), known
        case "account":
            known = known or {"account_id": await _account_id(server, settings.value)}
            reposts = "false" if settings.include_reposts else "true"
            path = f"/api/v1/accounts/{quote(known['account_id'], safe='')}/statuses"
            return await server.get_page(path, below, exclude_reblogs=reposts), known
        case _:
            return await _search(server, settings.value, below), known


async def _notifications(server: Server, below: str | None, known: Json) -> tuple[Page, Json]:
    """One by one, as every make gives them: mentions are never grouped (docs.joinmastodon.org/methods/grouped_notifications).

    Those that the account's policy holds back are customers as well: by default it holds back messages of strangers.
    """
    path = "/api/v1/notifications"
    if not known.get("plain"):
        try:
            page = await server.get_page(path, below, include_filtered="true", **{"types[]": _ASKED})
        except Gone:
            raise
        except Refused:
            known = {"plain": True}  # a make that refuses what it does not know
        else:
            return page, known
    return await server.get_page(path, below, **{"types[]": _ASKED[:1]}), known


async def _account_id(server: Server, name: str) -> str:
    acct = name.strip("@ ")
    try:
        account = await server.get_object("/api/v1/accounts/lookup", acct=acct)
    except Refused:
        account = await _searched(server, acct)
    if not isinstance(account.get("id"), str):
        raise Malformed(
            N_("%(host)s found the account %(name)s but gave it no id.") % {"host": server.host, "name": name}
        )
    return str(account["id"])


async def _searched(server: Server, acct: str) -> Json:
    """The account by a search: some makes have no look-up. Raises Refused when it is not found."""
    unknown = Refused(
        N_("%(host)s knows no account %(name)s. Check how it is written.") % {"host": server.host, "name": f"@{acct}"}
    )
    try:
        found = await server.get("/api/v1/accounts/search", q=acct, resolve="true", limit=10)
    except Gone:
        raise unknown from None
    names = {acct.casefold(), acct.casefold().removesuffix(f"@{server.host}")}
    for one in found if isinstance(found, list) else []:
        if isinstance(one, dict) and str(one.get("acct")).casefold() in names:
            return one
    raise unknown


async def _search(server: Server, words: str, below: str | None) -> Page:
    """Search answers without a Link header, newest first; the next page lies below its last entry."""
    bounds: dict[str, str] = {} if below is None else {"max_id": below}
    try:
        answer = await server.get_object("/api/v2/search", q=words, type="statuses", limit=40, **bounds)
    except Gone:
        raise Refused(
            N_("%(host)s has no search of posts. Follow a hashtag or an account instead.") % {"host": server.host}
        ) from None
    found = answer.get("statuses")
    if not isinstance(found, list):
        raise Malformed(
            N_("%(host)s answered the search with something that is not a list of posts.") % {"host": server.host}
        )
    last = found[-1].get("id") if found and isinstance(found[-1], dict) else None
    goes_down = isinstance(last, str) and (below is None or not not_newer(below, last))
    return Page(found, last if goes_down else None)


class Walk:
    """One call's part of the way down. The cursor: scope, newest, seen, and the walk that is not finished."""

    def __init__(self, server: Server, settings: Any, me: IncomingAuthor, cursor: Json) -> None:
        """Go on where the cursor says; other settings start anew."""
        scope = f"{settings.source.value} {settings.value}"
        state = cursor if cursor.get("scope") == scope else {}
        walk = state.get("walk", {})
        self.server, self.settings, self.me, self.scope = server, settings, me, scope
        self.started: bool = state.get("started", False)  # the backlog was read, from here on nothing is left out
        self.until: str | None = state.get("newest")
        self.known: Json = state.get("known", {})
        self.seen: dict[str, None] = dict.fromkeys(state.get("seen", []))
        self.top: str | None = walk.get("top")
        self.below: str | None = walk.get("below")
        self.pages: int = walk.get("pages", 0)
        self.threads = Threads(server)
        self.posts: dict[str, IncomingPost] = {}
        self.rejected: list[Rejected] = []
        self.finished = False

    async def batch(self) -> Batch:
        """Walk until it is finished or this call has done enough. Raises ConnectorError and loses nothing by it."""
        for _ in range(PAGES):
            await self._page()
            if self.finished or self.threads.spent:
                break
        return Batch(
            posts=oldest_first(self.posts.values()),
            cursor=self._cursor(),
            more=not self.finished,
            rejected=tuple(self.rejected),
            budget=self.server.budget,
            notice=BARE % {"host": self.server.host} if self.threads.bare else "",
        )

    async def _page(self) -> None:
        first = self.below is None
        page, self.known = await read_source(self.server, self.settings, self.below, self.known)
        self.threads.learn([status_of(entry) for entry in page.entries])
        reached = False
        for entry in page.entries:
            name = _id(entry)
            old = name is not None and self.until is not None and not_newer(name, self.until)
            reached = reached or old
            if (old and not first) or (name in self.seen):
                continue
            if self.threads.spent:
                return  # the rest of this page is read again from `below`
            if not unasked(entry):
                await self._take(entry)
            self._passed(name)
        self.pages += 1
        self.below = page.below
        backlog_enough = not self.started and self.pages >= PAGES
        self.finished = reached or page.below is None or backlog_enough

    def _passed(self, name: str | None) -> None:
        if name is not None:
            self.seen[name] = None
            self.top = self.top or name
            self.below = name

    async def _take(self, entry: Any) -> None:
        try:
            post = await brought(entry, self.threads, self.settings, self.me, self.server.host)
        except ValidationError as error:
            self.rejected.append(rejected(entry, error))
            return
        if post is not None:
            self.posts[post.external_id] = post

    def _cursor(self) -> Json:
        seen = sorted(self.seen, key=lambda name: (len(name), name))[-_REMEMBERED:]
        cursor: Json = {"scope": self.scope, "known": self.known, "seen": seen}
        if not self.finished:
            walk = {"top": self.top, "below": self.below, "pages": self.pages}
            return cursor | {"newest": self.until, "started": self.started, "walk": walk}
        return cursor | {"newest": self._newest(), "started": True}

    def _newest(self) -> str | None:
        if self.top is None or (self.until is not None and not_newer(self.top, self.until)):
            return self.until
        return self.top


async def brought(entry: Any, threads: Threads, settings: Any, me: IncomingAuthor, host: str) -> IncomingPost | None:
    """An entry's post, at its place in its thread; None for a boost that nobody asked for.

    Raises ValidationError for what is no status, before its thread is asked for, and ConnectorError.
    """
    raw = status_of(entry)
    if isinstance(raw, dict) and raw.get("reblog") and not settings.include_reposts:
        return None
    read_post(raw, NOWHERE, me, host)
    return read_post(raw, await threads.place(raw), me, host)


def status_of(entry: Any) -> Any:
    """The status of a notification, or the entry itself where it is one."""
    return entry["status"] if isinstance(entry, dict) and "status" in entry else entry


def unasked(entry: Any) -> bool:
    """A notification of another type, or of a post that went: some makes ignore `types[]` and send favourites, too."""
    if not isinstance(entry, dict) or "account" not in entry:
        return False
    return entry.get("type", "mention") not in _TOLD or ("status" in entry and entry["status"] is None)


def _id(entry: Any) -> str | None:
    name = entry.get("id") if isinstance(entry, dict) else None
    return str(name) if isinstance(name, str | int) else None
