"""Addresses in feeds: the feed that a web page advertises, and one spelling for one address."""

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit, urlunsplit

_FEED_TYPES = {"application/rss+xml", "application/atom+xml", "application/feed+json"}
_LOOK_IN = 200_000  # bytes of a page in which a <link> can stand
_LINK = re.compile(r"<link\b[^>]{0,2000}>", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TRACKERS = re.compile(r"^(utm_[a-z]+|fbclid|gclid|mc_cid|mc_eid)=", re.IGNORECASE)
_COMMENT = re.compile(r"^#?(comment|c|respond)[-_]?\d", re.IGNORECASE)


class _LinkTag(HTMLParser):
    attributes: dict[str, str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes = {name: value or "" for name, value in attrs}


def advertised(page: bytes, url: str) -> str | None:
    """The feed that an HTML page names by `<link rel="alternate">`, as a whole address."""
    for tag in _LINK.findall(page[:_LOOK_IN].decode("utf-8", "replace")):
        parser = _LinkTag()
        parser.attributes = {}
        parser.feed(tag)
        found = parser.attributes
        if "alternate" in found.get("rel", "").lower().split() and found.get("type", "").lower() in _FEED_TYPES:
            return _joined(url, unescape(found.get("href", "")))
    return None


def _joined(base: str, href: str) -> str | None:
    try:
        whole = urljoin(base, href.strip())
    except ValueError:
        return None
    return whole if whole.startswith(("http://", "https://")) else None


def normalised(url: str) -> str:
    """One spelling for one address: lower-case host, no default port, no tracking parameters, no lone slash at the end.

    http and https stay apart and so do fragments: comments of one article differ by nothing else.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return url.strip()
    if not parts.netloc:
        return url.strip()
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    if port and port != _DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    query = "&".join(pair for pair in parts.query.split("&") if not _TRACKERS.match(pair))
    return urlunsplit((parts.scheme.lower(), host, parts.path.rstrip("/") or "/", query, parts.fragment))


def commented_article(link: str) -> str | None:
    """The article that a comment's link leads into (`https://blog.example/article#comment-7`), None for others."""
    address, _, fragment = link.partition("#")
    return normalised(address) if fragment and _COMMENT.match(fragment) else None
