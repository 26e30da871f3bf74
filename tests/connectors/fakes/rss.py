"""A site with one feed, as RSS 2.0, Atom or JSON Feed: a window of the newest entries, newest first, ETags and 304."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, ClassVar
from xml.sax.saxutils import escape, quoteattr

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import Connector, Json, Link
from app.connectors.rss import RssSettings
from app.connectors.testing import Delivery, FakeChannel, Gives, replaced

SITE = "https://blog.example"
HUB = f"{SITE}/hub"
HOOK = "https://care.example/hooks/of-the-feed"


@dataclass(slots=True)
class Article:
    number: int
    text: str
    by: str
    at: datetime
    under: str | None
    broken: bool = False

    @property
    def address(self) -> str:
        return f"{SITE}/{self.number}"


class FakeFeed(FakeChannel):
    """One feed. Its address never changes, its entries only come and go."""

    connector: ClassVar[Connector] = registry.get("rss")
    cannot = frozenset({"receive", "pushes"})  # without a hub
    cannot_give: Mapping[Gives, str] = {
        Gives.BACKWARD: "a document shows its newest entries only",
        Gives.DELETIONS: "an entry that is missing may only have left the document",
        Gives.EDITS: "most documents do not tell an edit from an entry that comes again",
        Gives.ECHOES: "no account of ours writes there",
        Gives.EXPIRY: "nobody signs in",
        Gives.ONCE: "nothing can be answered there",
    }
    path: ClassVar[str]
    content_type: ClassVar[str]
    window = 15

    def __init__(self) -> None:
        super().__init__()
        self.articles: list[Article] = []
        self.made = 0

    @property
    def app(self) -> ASGIApp:
        return Starlette(routes=[Route(self.path, self.serve)])

    def settings(self) -> RssSettings:
        return RssSettings(url=SITE + self.path)

    async def serve(self, request: Request) -> Response:
        newest = list(reversed(self.articles))[: self.window]
        body = self.render(newest).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        return Response(body, headers={"etag": etag, "content-type": self.content_type})

    def render(self, newest: list[Article]) -> str:
        raise NotImplementedError

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self._add(text, by, under).address

    def arrive_broken(self) -> None:
        self._add("", "", None).broken = True

    def _add(self, text: str, by: str, under: str | None) -> Article:
        self.made += 1
        article = Article(self.made, text, by, self.tick(), under)
        self.articles.append(article)
        return article

    def remove(self, external_id: str) -> None:
        self.articles = [article for article in self.articles if article.address != external_id]

    def limited(self) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": f"{self.rate_wait.total_seconds():.0f}"}, text="slow down")


class FakeRss(FakeFeed):
    path = "/feed.xml"
    content_type = "application/rss+xml; charset=utf-8"
    lenient = True

    def render(self, newest: list[Article]) -> str:
        items = "".join(self.item(article) for article in newest)
        return (
            '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"'
            ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:thr="http://purl.org/syndication/thread/1.0">'
            f"<channel><title>The blog</title><link>{SITE}/</link><language>en</language>{items}</channel></rss>"
        )

    def item(self, article: Article) -> str:
        if article.broken:
            return "<item><category>nothing</category></item>"
        under = f"<thr:in-reply-to ref={quoteattr(article.under)}/>" if article.under else ""
        return (
            f'<item><guid isPermaLink="true">{article.address}</guid><link>{article.address}</link>'
            f"<description>{escape(_html(_xml_text(article.text)))}</description><dc:creator>{escape(article.by)}</dc:creator>"
            f"<pubDate>{format_datetime(article.at)}</pubDate>{under}</item>"
        )

    def embellish(self, response: httpx.Response) -> httpx.Response:
        extra = b'<x:mood xmlns:x="https://x.example/2031">odd<x:deep/></x:mood></item>'
        return replaced(response, response.content.replace(b"</item>", extra))


class FakeAtom(FakeFeed):
    path = "/atom.xml"
    content_type = "application/atom+xml"
    lenient = True

    def render(self, newest: list[Article]) -> str:
        entries = "".join(self.entry(article) for article in newest)
        return (
            '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"'
            ' xmlns:thr="http://purl.org/syndication/thread/1.0">'
            f"<title>The blog</title><id>{SITE}/</id>{entries}</feed>"
        )

    def entry(self, article: Article) -> str:
        if article.broken:
            return '<entry><category term="nothing"/></entry>'
        under = f"<thr:in-reply-to ref={quoteattr(article.under)}/>" if article.under else ""
        return (
            f'<entry><id>{article.address}</id><link rel="alternate" href="{article.address}"/>{under}'
            f"<author><name>{escape(article.by)}</name></author><published>{article.at.isoformat()}</published>"
            f'<content type="html">{escape(_html(_xml_text(article.text)))}</content></entry>'
        )

    def embellish(self, response: httpx.Response) -> httpx.Response:
        extra = b'<x:mood xmlns:x="https://x.example/2031">odd<x:deep/></x:mood></entry>'
        return replaced(response, response.content.replace(b"</entry>", extra))


class FakeJsonFeed(FakeFeed):
    path = "/feed.json"
    content_type = "application/feed+json"

    def render(self, newest: list[Article]) -> str:
        items = [self.item(article) for article in newest]
        return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "The blog", "items": items})

    def item(self, article: Article) -> dict[str, object]:
        if article.broken:
            return {"id": 7, "authors": "not a list", "content_text": ["not", "text"]}
        return {
            "id": article.address,
            "url": article.address,
            "content_html": _html(article.text),
            "authors": [{"name": article.by}],
            "date_published": article.at.isoformat(),
            "_careline": {"under": article.under},
        }


class FakeHub(FakeJsonFeed):
    """A feed whose hub tells of what is new (W3C "WebSub"): it asks back before it delivers, or denies.

    `subscribed`: it was asked before, so that it delivers; it has not asked back, so that polls are as without it.
    """

    cannot = frozenset({"dated"})
    path = "/hubbed.json"

    def __init__(self, *, subscribed: bool = True) -> None:
        super().__init__()
        self.asked: list[dict[str, str]] = []  # subscription requests
        self.told: Json = {}
        self.cursor: Json = {}
        self.answers = 202
        self.named: Json = {"hubs": [{"type": "rssCloud"}, {"type": "WebSub", "url": HUB}]}
        if subscribed:
            known = {"feed": self.topic, "hub": HUB, "topic": self.topic, "secret": "of the hub", "mode": "subscribe"}
            self.told = known | {"asked": self.now.isoformat(), "renew": "", "until": "", "trouble": ""}

    @property
    def topic(self) -> str:
        return SITE + self.path

    @property
    def app(self) -> ASGIApp:
        return Starlette(routes=[Route(self.path, self.serve), Route("/hub", self.hear, methods=["POST"])])

    def render(self, newest: list[Article]) -> str:
        document: Json = json.loads(super().render(newest)) | self.named
        return json.dumps(document | {"feed_url": self.topic})

    def link(self, **changes: Any) -> Link:
        async def tell(told: Json) -> None:
            self.told |= told

        parts = {"hook": HOOK, "told": dict(self.told), "tell": tell, "cursor": self.cursor}
        return super().link(**(parts | changes))

    async def hear(self, request: Request) -> Response:
        """5.1: a subscription request is taken before it is verified."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        assert set(form) >= {"hub.callback", "hub.mode", "hub.topic"}
        self.asked.append(form)
        return Response(status_code=self.answers)

    def question(self, lease: int = 864_000) -> dict[str, str]:
        """5.3: what the hub asks at the callback of the last request."""
        last = self.asked[-1]
        query = {name: last[name] for name in ("hub.mode", "hub.topic")} | {"hub.challenge": f"echo-{len(self.asked)}"}
        return query | ({"hub.lease_seconds": str(lease)} if last["hub.mode"] == "subscribe" else {})

    def signed(self, body: bytes, method: str = "sha256") -> Delivery:
        secret = self.asked[-1]["hub.secret"] if self.asked else self.told["secret"]
        signature = hmac.new(secret.encode(), body, method).hexdigest()
        return Delivery({"X-Hub-Signature": f"{method}={signature}", "Content-Type": self.content_type}, body)

    def pushed(self) -> list[Delivery]:
        return [self.signed(self.render([article]).encode()) for article in self.articles]

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        told = [self._add(text, "ada", None) for text in texts]
        for _ in range(broken):
            told.append(self._add("", "", None))
            told[-1].broken = True
        return self.signed(self.render(told[::-1]).encode())


def _xml_text(text: str) -> str:
    """What XML 1.0 can hold (section 2.2): writers leave the rest out."""
    return "".join(c for c in text if c != "\x00" and not "\ud800" <= c <= "\udfff")


def _html(text: str) -> str:
    return f"<p>{escape(text).replace(chr(10), '<br>')}</p>"


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "rss": FakeRss,
    "atom": FakeAtom,
    "json": FakeJsonFeed,
    "rss-websub": FakeHub,
}
