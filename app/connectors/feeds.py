"""Bytes in, a read feed out: RSS and Atom by feedparser, JSON Feed 1.1, and a word on what was wrong. No network."""

import io
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import feedparser
from pydantic import BaseModel, ConfigDict

from app.connectors.base import Json, Media
from app.connectors.feedlinks import advertised
from app.connectors.text import plain, storable, storable_json
from app.connectors.wire import is_web
from app.errors import Malformed
from app.i18n import N_

_DEPTH = 6  # of what is kept as payload
_KINDS = {"image", "video", "audio"}
_HARMLESS = (feedparser.NonXMLContentType, feedparser.CharacterEncodingOverride)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as far as it says anything. Empty strings where it does not."""

    id: str = ""
    link: str = ""
    title: str = ""
    html: str = ""
    text: str = ""
    author: str = ""
    author_url: str = ""
    language: str = ""
    published: Any = None  # struct_time or text, the better date first
    comment_on: str = ""  # the entry that this one comments on, when it says so
    comments: str = ""  # where the comments on this one are a feed of their own, when there are any
    media: tuple[Media, ...] = ()
    payload: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A feed that could be read, newest entry first as a rule."""

    title: str
    link: str
    language: str
    entries: tuple[Entry, ...]
    notice: str = ""
    broken: tuple[Json, ...] = ()  # entries that cannot be read at all
    hub: str = ""  # who tells subscribers of what is new (WebSub), where it is named
    topic: str = ""  # what the feed is called there: its own address


def read_feed(body: bytes, url: str, content_type: str) -> Document:
    """Read a feed of any kind. Raises Malformed, in words, for anything that is not one."""
    if not body.strip():
        raise Malformed(N_("%(url)s answered with an empty page. Check that the feed still exists.") % {"url": url})
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _read_json(body, url)
    return _read_xml(body, url, content_type)


def _read_xml(body: bytes, url: str, content_type: str) -> Document:
    headers = {"content-type": content_type or "application/xml", "content-location": url}
    # A stream, never the bytes themselves: feedparser would take short ones for a file name or an address.
    try:
        parsed = feedparser.parse(io.BytesIO(body), response_headers=headers)
    except (ValueError, LookupError, AssertionError, RecursionError, TypeError, AttributeError) as error:
        raise Malformed(
            N_("%(url)s cannot be read as a feed (%(error)s).") % {"url": url, "error": type(error).__name__}
        ) from error
    if not parsed.entries and not parsed.version:
        raise _no_feed(body, url, parsed.get("bozo_exception"))
    feed = parsed.feed
    return Document(
        title=plain(_text(feed, "title")),
        link=_text(feed, "link"),
        language=_text(feed, "language"),
        entries=tuple(_xml_entry(entry) for entry in parsed.entries),
        notice=_notice(parsed),
        hub=_linked(feed, "hub"),
        topic=_linked(feed, "self"),
    )


def _linked(feed: Any, rel: str) -> str:
    return next((_text(one, "href") for one in feed.get("links", []) if one.get("rel") == rel), "")


def _no_feed(body: bytes, url: str, cause: object) -> Malformed:
    if b"<html" in body[:5000].lower() or b"<!doctype html" in body[:1000].lower():
        found = advertised(body, url)
        if found:
            return Malformed(
                N_("%(url)s is a web page, not a feed; its feed may be at %(found)s.") % {"url": url, "found": found}
            )
        return Malformed(N_("%(url)s is a web page, not a feed; it names no feed of its own.") % {"url": url})
    if cause:
        return Malformed(N_("%(url)s is no feed that can be read (%(cause)s).") % {"url": url, "cause": cause})
    return Malformed(
        N_("%(url)s is no feed that can be read (%(cause)s).")
        % {"url": url, "cause": N_("neither RSS, Atom nor JSON Feed")}
    )


def _notice(parsed: Any) -> str:
    cause = parsed.get("bozo_exception")
    if not parsed.bozo or isinstance(cause, feedparser.NonXMLContentType):
        return ""
    if isinstance(cause, _HARMLESS):
        return N_("The feed names the wrong character set; it was read as %(encoding)s.") % {
            "encoding": parsed.get("encoding", "UTF-8")
        }
    count = len(parsed.entries)
    return N_("The feed is not well-formed (%(cause)s); %(count)s entries could be read, others may be missing.") % {
        "cause": _short(cause),
        "count": count,
    }


def _short(cause: object) -> str:
    return " ".join(str(cause).split())[:120]


def _xml_entry(entry: Any) -> Entry:
    html, rest = _longest_body(entry)
    author = entry.get("author_detail") or {}
    reply = entry.get("thr_in-reply-to") or {}
    return Entry(
        id=_text(entry, "id"),
        link=_text(entry, "link"),
        title=plain(_text(entry, "title")),
        html=html,
        text=plain(html),
        author=plain(_text(author, "name") or _text(entry, "author")),
        author_url=_text(author, "href"),
        language=_text(entry.get("title_detail") or {}, "language"),
        published=_xml_date(entry),
        comments=_comments(entry),
        comment_on=(_text(reply, "ref") or _text(reply, "href")) if isinstance(reply, dict) else "",
        media=_xml_media(entry, plain(rest)),
        payload=_as_json(entry),
    )


def _comments(entry: Any) -> str:
    """The feed of the comments on an entry: CommentAPI's `wfw:commentRss`, RFC 4685's link `replies`. Empty: no comments."""
    replies = [one for one in entry.get("links", []) if one.get("rel") == "replies" and "xml" in str(one.get("type"))]
    counts = [entry.get("slash_comments"), entry.get("thr_total"), *(one.get("count") for one in replies)]
    if "0" in [str(count).strip() for count in counts]:
        return ""
    address = _text(entry, "wfw_commentrss") or (_text(replies[0], "href") if replies else "")
    return address if is_web(address) else ""


def _text(part: Any, name: str) -> str:
    """A value of feedparser's as text that can be stored; broken XML lets NUL through."""
    return storable(str(part.get(name) or ""))


def _xml_date(entry: Any) -> Any:
    """The best date there is; read past feedparser's own aliases, which warn."""
    dates = (dict.get(entry, key) for key in ("published_parsed", "updated_parsed", "created_parsed"))
    return next(filter(None, dates), None)


def _longest_body(entry: Any) -> tuple[str, str]:
    """The fullest text of an entry, and what else it has (feedparser puts `media:description` among the contents)."""
    bodies = [_text(part, "value") for part in entry.get("content", [])]
    bodies.append(_text(entry, "summary"))
    bodies.sort(key=len, reverse=True)
    return bodies[0], bodies[1] if len(bodies) > 1 else ""


def _xml_media(entry: Any, description: str) -> tuple[Media, ...]:
    found = [(item.get("href"), item.get("type"), item.get("title")) for item in entry.get("enclosures", [])]
    shown = entry.get("media_content", [])
    found += [(item.get("url"), item.get("medium") or item.get("type"), description) for item in shown]
    return _media(found)


def _media(found: list[tuple[Any, Any, Any]]) -> tuple[Media, ...]:
    """Each address once, http(s) only: the web shows media through its proxy."""
    unique = {
        storable(url): (kind, words) for url, kind, words in reversed(found) if isinstance(url, str) and is_web(url)
    }
    return tuple(
        Media(kind=_kind(kind), url=url, description=storable(words) if isinstance(words, str) else "")
        for url, (kind, words) in reversed(unique.items())
    )


def _kind(mime: object) -> str:
    head = str(mime or "").partition("/")[0].lower()
    return head if head in _KINDS else "file"


def _as_json(value: Any, depth: int = 0) -> Any:
    """What feedparser read, as JSON: its parsed dates are left out, its text dates kept."""
    if isinstance(value, dict):
        if depth > _DEPTH:
            return {}
        kept = {str(key): _as_json(item, depth + 1) for key, item in value.items() if not str(key).endswith("_parsed")}
        return storable_json(kept)
    if isinstance(value, list | tuple):
        return [_as_json(item, depth + 1) for item in value] if depth <= _DEPTH else []
    return value if isinstance(value, bool | int | float | None) else storable_json(str(value))


class _Loose(BaseModel):
    """JSON Feed 1.1 (jsonfeed.org/version/1.1), taken as loosely as feeds are written."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)


class _Author(_Loose):
    name: str | None = None
    url: str | None = None


class _Attachment(_Loose):
    url: str
    mime_type: str = ""
    title: str | None = None


class _Item(_Loose):
    id: str | None = None
    url: str | None = None
    title: str | None = None
    content_html: str | None = None
    content_text: str | None = None
    summary: str | None = None
    date_published: str | None = None
    date_modified: str | None = None
    language: str | None = None
    image: str | None = None
    author: _Author | None = None
    authors: list[_Author] = []
    attachments: list[_Attachment] = []


class _JsonFeed(_Loose):
    version: str
    feed_url: str | None = None
    hubs: list[Any] = []
    title: str = ""
    home_page_url: str | None = None
    language: str | None = None
    items: list[Any] = []


def _read_json(body: bytes, url: str) -> Document:
    try:
        feed = _JsonFeed.model_validate(storable_json(json.loads(body)))
    except (ValueError, RecursionError) as error:
        raise Malformed(
            N_("%(url)s answers with JSON, but not with a JSON Feed (jsonfeed.org).") % {"url": url}
        ) from error
    entries: list[Entry] = []
    broken: list[Json] = []
    for raw in feed.items:
        try:
            entries.append(_json_entry(_Item.model_validate(raw), raw, url))
        except ValueError:
            broken.append(raw if isinstance(raw, dict) else {"entry": raw})
    language = feed.language or ""
    hubs = [one for one in feed.hubs if isinstance(one, dict) and str(one.get("type")).lower() == "websub"]
    return Document(
        feed.title,
        feed.home_page_url or "",
        language,
        tuple(entries),
        broken=tuple(broken),
        hub=str(hubs[0].get("url") or "") if hubs else "",
        topic=feed.feed_url or "",
    )


def _json_entry(item: _Item, raw: Json, base: str) -> Entry:
    html = item.content_html or ""
    author = (item.authors or [item.author or _Author()])[0]
    attached = [(urljoin(base, a.url), a.mime_type, a.title) for a in item.attachments]
    pictures = [(urljoin(base, item.image), "image", "")] if item.image else []
    return Entry(
        id=item.id or "",
        link=item.url or "",
        title=item.title or "",
        html=html,
        text=plain(html) if html else item.content_text or item.summary or "",
        author=author.name or "",
        author_url=author.url or "",
        language=item.language or "",
        published=item.date_published or item.date_modified,
        media=_media(pictures + attached),
        payload=raw,
    )
