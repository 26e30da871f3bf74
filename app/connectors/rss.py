"""RSS, Atom and JSON Feed: read only. Identity and dates hold still although most feeds give neither.

Formats: rssboard.org/rss-specification, RFC 4287 (Atom), RFC 4685 (comments), jsonfeed.org/version/1.1.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

import httpx
from pydantic import AfterValidator, Field

from app.connectors import websub
from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    Json,
    Link,
    SettingsModel,
)
from app.connectors.feedlinks import normalised
from app.connectors.feeds import Document, read_feed
from app.connectors.rss_entries import Reading
from app.connectors.wire import is_web, reaching, read_bounded, refusal
from app.errors import Malformed, Refused, Unauthorized
from app.i18n import N_, _

_LARGEST = 10_000_000  # bytes of one feed
_READ_WITHIN = 30.0  # seconds for parsing
_BENEATH = timedelta(minutes=15)  # between polls while a hub delivers: they look what it missed
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
    delivered: bool = Field(
        default=True,
        title=N_("Have posts delivered"),
        exclude_if=bool,  # stored only where it was switched off: feeds from before know no such thing, and stay as they are
        description=N_("Where the feed names a hub (WebSub) and Careline has a public https address."),
    )


@dataclass(frozen=True, slots=True)
class _Fetched:
    body: bytes
    url: str  # after redirects
    content_type: str
    etag: str
    modified: str
    links: dict[str, str] = field(default_factory=dict)  # by relation, what `Link` headers name


class RssConnector(Connector):
    """Reads one feed by conditional GET. Nothing can be answered where nothing can be posted."""

    name: ClassVar[str] = "rss"
    title: ClassVar[str] = "RSS / Atom"
    help: ClassVar[str] = N_(
        "Brings the entries of an RSS, Atom or JSON feed: a blog, its comments, a status page, a forum. "
        "Needs only the feed's address; entries can be read and closed here, not answered."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(hooks=True)
    drops_forged: ClassVar[bool] = True
    Settings: ClassVar[type[SettingsModel]] = RssSettings

    async def check(self, link: Link) -> Check:
        """Fetch the feed once and show its newest entry."""
        fetched = await _get(link, {})
        document = await _read(fetched)
        batch = Reading(link, {}, document).batch()
        notices = tuple(n for n in (document.notice, _moved(link, fetched), _commented(document)) if n)
        count = len(document.entries)
        return Check(
            message=N_("%(feed)s can be read. Entries: %(count)s.")
            % {"feed": document.title or link.settings.url, "count": count},
            sample=batch.posts[-1] if batch.posts else None,
            notices=notices,
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring the feed's entries, or nothing when it has not changed since the last time.

        While a hub delivers them, the feed is asked for only now and then.
        """
        if _waits(link, cursor):
            return Batch(cursor=cursor, notice=await _subscribe(link, cursor))
        fetched = await _get(link, cursor)
        digest = hashlib.sha256(fetched.body).hexdigest()
        if not fetched.body or digest == cursor.get("digest"):
            looked = {"looked": link.now.isoformat()} if cursor.get("hub") else {}
            return Batch(cursor=cursor | looked, notice=await _subscribe(link, cursor))
        document = await _read(fetched)
        batch = Reading(link, cursor, document).batch()
        marks = {} if batch.more else {"etag": fetched.etag, "modified": fetched.modified, "digest": digest}
        marks |= _hub(link, fetched, document)
        about_hub = "" if batch.more else await _subscribe(link, marks)
        return Batch(
            posts=batch.posts,
            rejected=batch.rejected,
            cursor=batch.cursor | marks,
            more=batch.more,
            left=batch.left,
            notice=" ".join(n for n in (document.notice, _moved(link, fetched), about_hub) if n),
        )

    def challenge(self, link: Link, query: Mapping[str, str]) -> str:
        """Tell a hub that it was us who asked for deliveries."""
        return websub.answer(link, query)

    async def proved(self, link: Link, query: Mapping[str, str]) -> None:
        """Keep how long the hub delivers, or that it does not."""
        await websub.kept(link, query)

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Read the document that a hub delivers as a poll would."""
        if not link.settings.delivered or not websub.genuine(link, headers, body):
            raise Unauthorized("The delivery does not come from the feed's hub.")
        content_type = {name.lower(): value for name, value in headers.items()}.get("content-type", "")
        document = read_feed(body, link.cursor.get("base") or link.settings.url, content_type)
        known: Json = {name: link.cursor[name] for name in ("seen", "shared") if name in link.cursor}
        batch = Reading(link, known, document).batch()
        return Batch(batch.posts, rejected=batch.rejected, delivery_id=f"sha256:{hashlib.sha256(body).hexdigest()}")


def _waits(link: Link, cursor: Json) -> bool:
    """Whether a poll need not look, as a hub delivers and it looked a short while ago."""
    looked = cursor.get("looked")
    if not looked or cursor.get("after") or not link.settings.delivered or not websub.stands(link):
        return False
    return link.now < datetime.fromisoformat(looked) + _BENEATH


def _hub(link: Link, fetched: _Fetched, document: Document) -> Json:
    """The hub that the feed names, for the cursor: headers come before what the document says (WebSub, 4)."""
    hub, topic = fetched.links.get("hub") or document.hub, fetched.links.get("self") or document.topic
    found = websub.offer(hub, topic, fetched.url)
    if found is None:
        return {}
    return {"hub": found.hub, "topic": found.topic, "base": fetched.url, "looked": link.now.isoformat()}


async def _subscribe(link: Link, cursor: Json) -> str:
    wanted = websub.Offer(cursor["hub"], cursor["topic"]) if link.settings.delivered and cursor.get("hub") else None
    return await websub.arrange(link, wanted)


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
        websub.linked(answered),
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
