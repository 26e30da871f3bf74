"""RSS, Atom and JSON Feed: read only. Identity and dates hold still although most feeds give neither.

Formats: rssboard.org/rss-specification, RFC 4287 (Atom), RFC 4685 (comments), jsonfeed.org/version/1.1.
"""

import asyncio
import calendar
import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import httpx
from pydantic import AfterValidator, Field

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    PostKind,
    Rejected,
    SettingsModel,
)
from app.connectors.feedlinks import commented_article, normalised
from app.connectors.feeds import Document, Entry, read_feed
from app.connectors.wire import is_web, reaching, read_bounded, refusal
from app.errors import Malformed, Refused
from app.i18n import N_, _

_LARGEST = 10_000_000  # bytes of one feed
_READ_WITHIN = 30.0  # seconds for parsing
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # programs write year 1 or 1970 for "no date"
_AT_ONCE = 500  # entries in one batch
_REMEMBERED = 2_000  # first sightings and shared ids kept in the cursor
_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"


def _web_address(url: str) -> str:
    if not is_web(url):
        message = _("The address of a feed starts with https:// or http://.")
        raise ValueError(message)
    return url


class RssSettings(SettingsModel):
    """Which feed to read."""

    url: Annotated[str, AfterValidator(_web_address)] = Field(
        title=N_("Feed address"),
        description=N_("The RSS, Atom or JSON feed itself, not the page that links to it."),
        max_length=2000,
        json_schema_extra={"format": "url"},
        examples=["https://blog.example.com/feed.xml"],
    )


@dataclass(frozen=True, slots=True)
class _Fetched:
    body: bytes
    url: str  # after redirects
    content_type: str
    etag: str
    modified: str


class RssConnector(Connector):
    """Reads one feed by conditional GET. Nothing can be answered where nothing can be posted."""

    name: ClassVar[str] = "rss"
    title: ClassVar[str] = "RSS / Atom"
    help: ClassVar[str] = N_(
        "Brings the entries of an RSS, Atom or JSON feed: a blog, its comments, a status page, a forum. "
        "Needs only the feed's address; entries can be read and closed here, not answered."
    )
    capabilities: ClassVar[Capabilities] = Capabilities()
    Settings: ClassVar[type[SettingsModel]] = RssSettings

    async def check(self, link: Link) -> Check:
        """Fetch the feed once and show its newest entry."""
        fetched = await _get(link, {})
        document = await _read(fetched)
        batch = _Reading(link, {}, document).batch()
        notices = tuple(n for n in (document.notice, _moved(link, fetched), _commented(document)) if n)
        count = len(document.entries)
        return Check(
            message=N_("%(feed)s can be read. Entries: %(count)s.")
            % {"feed": document.title or link.settings.url, "count": count},
            sample=batch.posts[-1] if batch.posts else None,
            notices=notices,
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring the feed's entries, or nothing when it has not changed since the last time."""
        fetched = await _get(link, cursor)
        digest = hashlib.sha256(fetched.body).hexdigest()
        if not fetched.body or digest == cursor.get("digest"):
            return Batch(cursor=cursor)
        document = await _read(fetched)
        batch = _Reading(link, cursor, document).batch()
        marks = {} if batch.more else {"etag": fetched.etag, "modified": fetched.modified, "digest": digest}
        return Batch(
            posts=batch.posts,
            rejected=batch.rejected,
            cursor=batch.cursor | marks,
            more=batch.more,
            left=batch.left,
            notice=" ".join(n for n in (document.notice, _moved(link, fetched)) if n),
        )


async def _get(link: Link, cursor: Json) -> _Fetched:
    """One conditional GET. An unchanged feed comes back with an empty body."""
    url = link.settings.url
    headers = {"accept": _ACCEPT}
    if cursor.get("etag"):
        headers["if-none-match"] = cursor["etag"]
    if cursor.get("modified"):
        headers["if-modified-since"] = cursor["modified"]
    with reaching(url):
        async with link.http.stream("GET", url, headers=headers, follow_redirects=True) as response:
            _judge(response, url, link.now)
            unchanged = response.status_code == httpx.codes.NOT_MODIFIED
            body = b"" if unchanged else await read_bounded(response, _LARGEST, url)
    if not unchanged and not body.strip():
        raise Malformed(N_("%(url)s answered with an empty page. Check that the feed still exists.") % {"url": url})
    answered = response.headers
    return _Fetched(
        body,
        str(response.url),
        answered.get("content-type", ""),
        answered.get("etag", ""),
        answered.get("last-modified", ""),
    )


def _judge(response: httpx.Response, url: str, now: datetime) -> None:
    if response.status_code == httpx.codes.GONE:
        raise Refused(N_("%(url)s is gone for good (HTTP 410). Remove this feed.") % {"url": url})
    if response.status_code == httpx.codes.NOT_FOUND:
        raise Refused(
            N_("There is no feed at %(url)s (HTTP 404). Correct its address, or remove this feed.") % {"url": url}
        )
    error = refusal(response, url, now)
    if error is not None:
        raise error


async def _read(fetched: _Fetched) -> Document:
    reading = asyncio.to_thread(read_feed, fetched.body, fetched.url, fetched.content_type)
    try:
        return await asyncio.wait_for(reading, _READ_WITHIN)
    except TimeoutError as error:
        raise Malformed(
            N_("%(url)s took longer than %(seconds)s s to read. It may be built to hurt.")
            % {"url": fetched.url, "seconds": format(_READ_WITHIN, ".0f")}
        ) from error


def _moved(link: Link, fetched: _Fetched) -> str:
    if normalised(fetched.url) == normalised(link.settings.url):
        return ""
    return N_("The feed has moved to %(url)s; put that address into its settings.") % {"url": fetched.url}


def _commented(document: Document) -> str:
    """What is said once, when the feed is tried: comments are feeds of their own, which this one does not bring."""
    address = next((entry.comments for entry in document.entries if entry.comments), "")
    words = N_("Comments are not in this feed. Those on its newest commented entry are a feed of their own: %(url)s")
    return words % {"url": address} if address else ""


class _Reading:
    """Entries of one document turned into posts, with what earlier fetches knew (`seen`, `shared`)."""

    def __init__(self, link: Link, cursor: Json, document: Document) -> None:
        self.scope = normalised(link.settings.url)
        self.now = link.now
        self.cursor = cursor
        self.document = document
        self.seen: dict[str, str] = dict(cursor.get("seen", {}))
        self.shared = self._ids_of_many()
        self.parents = {self.identity(entry): _global(entry.comment_on) for entry in document.entries}

    def _ids_of_many(self) -> list[str]:
        """Ids and links that several entries carry (the home page, say) and so identify none of them.

        Once known to be shared they stay so, or an entry would change its identity when the others leave the window.
        """
        distinct = {(key, _words(entry)) for entry in self.document.entries for key in {entry.id, entry.link} if key}
        counts = Counter(key for key, _ in distinct)
        found = [_digest(key) for key, count in counts.items() if count > 1]
        return list(dict.fromkeys([*self.cursor.get("shared", []), *found]))[-_REMEMBERED:]

    def identity(self, entry: Entry) -> str:
        """Id, else link, else a digest of the words: whichever comes first and is this entry's own."""
        if entry.id and _digest(entry.id) not in self.shared:
            return _global(entry.id) or f"{self.scope}#id={entry.id}"
        if is_web(entry.link) and _digest(entry.link) not in self.shared:
            return normalised(entry.link)
        return f"{self.scope}#sha256={_digest(_words(entry), 32)}"

    def posted_at(self, entry: Entry, external_id: str) -> datetime:
        """Its own date when it has one that is not in the future, else when we first saw it."""
        dated = _moment(entry.published)
        if dated is not None and dated <= self.now:
            return dated
        first = self.seen.setdefault(_digest(external_id), self.now.isoformat())
        return datetime.fromisoformat(first)

    def post(self, entry: Entry) -> IncomingPost:
        """The entry as a post; the article it comments on, if any, is its thread."""
        external_id = self.identity(entry)
        article = commented_article(entry.link)
        parent = _global(entry.comment_on) or article
        language = entry.language or self.document.language
        return IncomingPost(
            external_id=external_id,
            thread_id=article or self._root(external_id),
            author=self.author(entry),
            text=entry.text or entry.title,
            posted_at=self.posted_at(entry, external_id),
            kind=PostKind.COMMENT if parent else PostKind.POST,
            title=entry.title,
            html=entry.html or None,
            url=entry.link if is_web(entry.link) else None,
            language=language.strip() or None,
            in_reply_to=parent,
            media=entry.media,
            payload=entry.payload,
        )

    def _root(self, external_id: str) -> str:
        """Up from answer to answer, as far as this document shows; a circle ends where it closes."""
        passed = {external_id}
        while (above := self.parents.get(external_id)) is not None and above not in passed:
            passed.add(above)
            external_id = above
        return external_id

    def author(self, entry: Entry) -> IncomingAuthor:
        """By the author's own address, else the name within this feed, else the feed itself."""
        name = entry.author or self.document.title or self.scope
        url = entry.author_url if is_web(entry.author_url) else None
        own = f"{self.scope}#author={entry.author}" if entry.author else self.scope
        return IncomingAuthor(external_id=normalised(url) if url else own, handle=name, name=name, url=url)

    def batch(self) -> Batch:
        """Oldest first, at most `_AT_ONCE` at a time: the next fetch goes on after the last one given."""
        readable = [entry for entry in self.document.entries if entry.text or entry.title or entry.link]
        unique = {post.external_id: post for post in map(self.post, reversed(readable))}
        posts = sorted(unique.values(), key=lambda post: post.posted_at)
        posts = _after(posts, self.cursor.get("after"))
        given, more = tuple(posts[:_AT_ONCE]), len(posts) > _AT_ONCE
        return Batch(given, self._next(given, more=more), more, self._rejected(), left=len(posts) - len(given))

    def _next(self, given: tuple[IncomingPost, ...], *, more: bool) -> Json:
        cursor: Json = {"seen": dict(list(self.seen.items())[-_REMEMBERED:]), "shared": self.shared}
        return cursor | {"after": given[-1].external_id} if more else cursor

    def _rejected(self) -> tuple[Rejected, ...]:
        empty = [entry for entry in self.document.entries if not (entry.text or entry.title or entry.link)]
        reason = N_("The entry has neither text, title nor link.")
        said_nothing = [Rejected(self.identity(entry), reason, entry.payload) for entry in empty]
        return (*said_nothing, *map(self._unreadable, self.document.broken))

    def _unreadable(self, payload: Json) -> Rejected:
        digest = _digest(json.dumps(payload, sort_keys=True), 32)
        return Rejected(f"{self.scope}#sha256={digest}", N_("The entry's fields have the wrong types."), payload)


def _after(posts: list[IncomingPost], last: str | None) -> list[IncomingPost]:
    for index, post in enumerate(posts):
        if post.external_id == last:
            return posts[index + 1 :]
    return posts


def _words(entry: Entry) -> str:
    return f"{entry.title}\n{entry.text}" if entry.title or entry.text else f"{entry.link}\n{entry.id}"


def _digest(text: str, length: int = 16) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _global(name: str) -> str | None:
    """The id when it is global by itself: a web address (normalised), a URN or a tag URI."""
    if is_web(name):
        return normalised(name)
    return name if name.startswith(("urn:", "tag:", "at://", "doi:")) else None


def _moment(value: Any) -> datetime | None:
    """A struct_time of feedparser (UTC) or an RFC 3339 text, None when it is no date."""
    try:
        if isinstance(value, time.struct_time):
            when = datetime.fromtimestamp(calendar.timegm(value), UTC)
        else:
            when = datetime.fromisoformat(str(value).strip())
            when = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return when if when >= _EARLIEST else None
