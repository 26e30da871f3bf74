"""Deliveries of Meta's webhooks: the handshake, the signature, and what stands in the envelope.

Rules: developers.facebook.com/docs/graph-api/webhooks/getting-started ("Verification Requests", "Validating Payloads").
A delivery carries no time that could be checked: repeats are dropped by their digest and by the ids of their posts.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.connectors.answers import delivered
from app.connectors.base import Batch, Hiding, IncomingPost, Json, Link, PostChange, Rejected
from app.connectors.paging import oldest_first
from app.errors import Malformed, Unauthorized
from app.i18n import N_

_PREFIX = "sha256="


@dataclass(slots=True)
class Told:
    """What a delivery, or a walk over lists, has told so far."""

    posts: dict[str, IncomingPost] = field(default_factory=dict)
    changes: list[PostChange] = field(default_factory=list)
    hidings: list[Hiding] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, one: IncomingPost | PostChange | Hiding | Rejected | None) -> None:
        """Keep what was read."""
        match one:
            case IncomingPost():
                self.posts[one.external_id] = one
            case PostChange():
                self.changes.append(one)
            case Hiding():
                self.hidings.append(one)
            case Rejected():
                self.rejected.append(one)

    def batch(self, **more: Any) -> Batch:
        """All of it, the oldest post first."""
        unread = {one.external_id: one for one in self.rejected}
        return Batch(
            oldest_first(self.posts.values()),
            rejected=tuple(unread.values()),
            changes=tuple(self.changes),
            hidings=tuple(self.hidings),
            **more,
        )


def handshake(link: Link, query: Mapping[str, str]) -> str:
    """The challenge back to Meta when it names our verify token. Raises Unauthorized."""
    expected = link.credentials.verify_token.get_secret_value()
    given = query.get("hub.verify_token", "")
    same = hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
    if not expected or query.get("hub.mode") != "subscribe" or not same:
        raise Unauthorized(N_("The verify token does not fit. Paste the account's one in the app's dashboard."))
    return query.get("hub.challenge", "")


def entries(link: Link, headers: Mapping[str, str], body: bytes, kind: str) -> tuple[list[Json], str]:
    """The entries of a delivery of this object, and the delivery's name, once its signature is right.

    Raises:
        Unauthorized: it is not signed with our app's secret.
        Malformed: it is no envelope of Meta's.
    """
    told, name = signed(link, headers, body)
    envelopes = told if isinstance(told, list) else [told]
    if not envelopes or not all(isinstance(one, dict) and isinstance(one.get("entry"), list) for one in envelopes):
        raise Malformed(N_("The delivery is no envelope of Meta's with entries."))
    found = [one for envelope in envelopes if envelope.get("object") == kind for one in envelope["entry"]]
    return [one for one in found if isinstance(one, dict)], name


def signed(link: Link, headers: Mapping[str, str], body: bytes) -> tuple[Any, str]:
    """What a delivery says, and its name. Raises Unauthorized for a wrong signature, Malformed for what is no JSON."""
    given = {name.lower(): value for name, value in headers.items()}.get("x-hub-signature-256", "")
    secret = link.credentials.client_secret.get_secret_value().encode()
    expected = _PREFIX + hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode()):
        raise Unauthorized(N_("The delivery's signature does not fit. Copy the app's keys to the account again."))
    return delivered(body), f"sha256:{hashlib.sha256(body).hexdigest()}"


def changes(entry: Json) -> Iterator[tuple[str, Json]]:
    """Field and value of each change in an entry; Instagram sends a single one without its list."""
    listed = entry.get("changes")
    for one in listed if isinstance(listed, list) else [entry]:
        if isinstance(one, dict) and isinstance(one.get("field"), str) and isinstance(one.get("value"), dict):
            yield one["field"], one["value"]


def messages(entry: Json) -> Iterator[Json]:
    """The messaging events of an entry."""
    listed = entry.get("messaging")
    yield from (one for one in listed if isinstance(one, dict)) if isinstance(listed, list) else ()


def unread(payload: Any, reason: str, names: Iterable[Any] = ()) -> Rejected:
    """An entry that could not be read, under the first name that it has, else its digest."""
    kept = payload if isinstance(payload, dict) else {"entry": payload}
    name = next((str(one) for one in names if isinstance(one, str | int) and one), "")
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    return Rejected(name or f"sha256={digest}", reason, kept)
