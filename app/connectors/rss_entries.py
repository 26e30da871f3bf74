"""Entries of a feed as posts. Identity and dates hold still although most feeds give neither."""

import calendar
import hashlib
import json
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from app.connectors.base import (
    Batch,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    PostKind,
    Rejected,
)
from app.connectors.feedlinks import commented_article, normalised
from app.connectors.feeds import Document, Entry
from app.connectors.wire import is_web
from app.i18n import N_

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # programs write year 1 or 1970 for "no date"
_AT_ONCE = 500  # entries in one batch
_REMEMBERED = 2_000  # first sightings and shared ids kept in the cursor


class Reading:
    """Entries of one document turned into posts, with what earlier fetches knew (`seen`, `shared`)."""

    def __init__(self, link: Link, cursor: Json, document: Document) -> None:
        """Take what earlier fetches knew from the cursor, feed address and clock from the link."""
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
