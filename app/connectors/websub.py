"""WebSub, the subscriber's side: the hub that a feed names, asking it, what it says to that, and its signatures.

Rules: W3C Recommendation "WebSub" (23 January 2018): 4 Discovery, 5.1 Subscriber Sends Subscription Request, 5.2
Subscription Validation, 5.3 Hub Verifies Intent of the Subscriber, 7.1 Authenticated Content Distribution.

What was arranged is kept beside the feed's address for deliveries (`link.told`), as a hub may ask before the poll that
asked it is over: `feed` (its address in the settings), `hub`, `topic`, `secret`, `mode`, `asked` (while no answer came), `renew`, `until`, `trouble`.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx

from app.connectors.answers import one_line
from app.connectors.base import Json, Link
from app.connectors.wire import is_web, reaching, refusal
from app.errors import ConnectorError, Refused
from app.i18n import N_

_LEASE = timedelta(days=10)  # that we ask for; the hub decides
_SHORTEST, _LONGEST = timedelta(minutes=5), timedelta(days=90)  # leases that are believed
_PATIENCE = timedelta(hours=1)  # for a hub that does not answer
_DENIED = timedelta(days=1)  # after which a hub that denied is asked again
_METHODS = ("sha1", "sha256", "sha384", "sha512")  # 7.1
_AT_HOME = {"localhost", "127.0.0.1", "::1"}
_LINK = re.compile(r"<([^<>]*)>((?:[^,\"]|\"[^\"]*\")*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Offer:
    """A hub that tells of a feed, and what the feed is called there."""

    hub: str
    topic: str


def linked(headers: httpx.Headers) -> dict[str, str]:
    """By relation, the first address that `Link` headers name (RFC 8288)."""
    found: dict[str, str] = {}
    for header in headers.get_list("link"):
        for address, parameters in _LINK.findall(header):
            for quoted, bare in _REL.findall(parameters):
                for rel in (quoted or bare).lower().split():
                    found.setdefault(rel, address.strip())
    return found


def offer(hub: str, topic: str, base: str) -> Offer | None:
    """Both addresses whole; None where one is missing: the feed's own is not guessed (4)."""
    try:
        whole = [str(httpx.URL(base).join(one)) if one else "" for one in (hub, topic)]
    except httpx.InvalidURL:
        return None
    return Offer(*whole) if all(is_web(one) for one in whole) else None


def stands(link: Link) -> bool:
    """Whether the hub has promised to deliver, until later than now."""
    told = link.told
    return _ours(link) and bool(told.get("until")) and link.now < _moment(told["until"])


async def arrange(link: Link, wanted: Offer | None) -> str:
    """See to it that the hub delivers what is wanted (None: nothing), and say what is wrong with that.

    The hub's trouble is not the feed's: whatever it answers, polls go on.
    """
    told = link.told
    if not _reachable(link.hook):
        return ""
    if wanted is None:
        if told.get("mode") == "subscribe":
            await link.tell({"mode": "unsubscribe"})
            await _ask(link, Offer(told["hub"], told["topic"]), "unsubscribe", told["secret"])  # else the lease ends it
        return ""
    known = _ours(link) and wanted == Offer(told["hub"], told["topic"])
    if known and not _due(told, link.now):
        return str(told.get("trouble") or "")
    secret = told["secret"] if known else secrets.token_urlsafe(32)
    fresh = {} if known else {"renew": "", "until": "", "trouble": ""}
    asking = {
        "feed": link.settings.url,
        "hub": wanted.hub,
        "topic": wanted.topic,
        "secret": secret,
        "mode": "subscribe",
    }
    await link.tell(asking | fresh | {"asked": link.now.isoformat()})
    trouble = await _ask(link, wanted, "subscribe", secret)
    if trouble:
        await link.tell({"trouble": trouble})
    return trouble


def _due(told: Json, now: datetime) -> bool:
    """Whether the hub is to be asked (again)."""
    if told.get("asked"):
        return now >= _moment(told["asked"]) + _PATIENCE
    return now >= _moment(told["renew"])


async def _ask(link: Link, wanted: Offer, mode: str, secret: str) -> str:
    """Ask the hub, which answers later, at our address. Returns what it has against it."""
    form = {"hub.callback": link.hook, "hub.mode": mode, "hub.topic": wanted.topic}
    if mode == "subscribe":
        form |= {"hub.secret": secret, "hub.lease_seconds": str(int(_LEASE.total_seconds()))}
    host = urlsplit(wanted.hub).netloc
    try:
        with reaching(host):
            response = await link.http.post(wanted.hub, data=form, follow_redirects=False)
    except ConnectorError as error:
        return error.message
    error_there = refusal(response, host, link.now)
    return error_there.message if error_there else ""


def answer(link: Link, query: Mapping[str, str]) -> str:
    """What a hub that asks whether we did is to be shown. Raises Refused: we did not."""
    told, mode = link.told, query.get("hub.mode", "")
    ours = bool(told.get("topic")) and query.get("hub.topic") == told["topic"]
    if ours and mode == "denied" and told.get("mode") == "subscribe":
        return ""
    if not ours or mode != told.get("mode") or not query.get("hub.challenge"):
        raise Refused("This was not asked for.")
    return query["hub.challenge"]


async def kept(link: Link, query: Mapping[str, str]) -> None:
    """Keep what the hub said: for how long it delivers, or why it does not."""
    if query.get("hub.mode") == "denied":
        host = urlsplit(link.told["hub"]).netloc
        said = N_("%(host)s does not deliver this feed, which is polled instead. %(reason)s") % {
            "host": host,
            "reason": one_line(query.get("hub.reason", ""), 200),
        }
        again = (link.now + _DENIED).isoformat()
        await link.tell({"trouble": said.strip(), "asked": "", "until": "", "renew": again})
    elif query.get("hub.mode") == "subscribe":
        lease = _lease(query.get("hub.lease_seconds", ""))
        ends = {"renew": (link.now + lease / 2).isoformat(), "until": (link.now + lease).isoformat()}
        await link.tell({"trouble": "", "asked": "", **ends})


def _lease(given: str) -> timedelta:
    """The lease that a hub grants, within bounds; without a word of it the shortest."""
    seconds = int(given) if given.isascii() and given.isdigit() and len(given) < len(str(10**9)) else 0
    return min(max(timedelta(seconds=seconds), _SHORTEST), _LONGEST)


def genuine(link: Link, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether this is from the hub that we asked: its signature fits the raw bytes."""
    if not _ours(link):
        return False
    header = {name.lower(): value for name, value in headers.items()}.get("x-hub-signature", "")
    method, _, given = header.strip().partition("=")
    if method.lower() not in _METHODS or not given.isascii():
        return False
    expected = hmac.new(link.told["secret"].encode(), body, method.lower()).hexdigest()
    return hmac.compare_digest(given.strip().lower().encode(), expected.encode())


def _ours(link: Link) -> bool:
    """Whether a subscription was asked for, and for the feed that the settings name today."""
    return link.told.get("mode") == "subscribe" and link.told.get("feed") == link.settings.url


def _reachable(hook: str) -> bool:
    """Whether a hub can deliver there: over TLS, or from this very machine."""
    return hook.startswith("https://") or urlsplit(hook).hostname in _AT_HOME


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
