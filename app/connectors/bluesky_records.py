"""Our replies as records: the text's facets, the record key, and the record itself, the same at every try.

Sources: https://atproto.com/specs/tid, https://docs.bsky.app/docs/advanced-guides/post-richtext and the lexicons
`app.bsky.feed.post` and `app.bsky.richtext.facet`.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import regex

from app.connectors.base import Json, OutgoingReply, Picture
from app.errors import Refused
from app.i18n import N_

COLLECTION = "app.bsky.feed.post"
GRAPHEMES = 300
BYTES = 3000

_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"  # base32 that sorts like the number
_CLOCK_BITS = 10
_SPREAD_BITS = 20  # about a second, in microseconds
_LONGEST_TAG = 64

_BEFORE = r"(?:^|(?<=[\s(]))"
_MENTION = regex.compile(_BEFORE + r"@([a-zA-Z0-9][a-zA-Z0-9.-]*[a-zA-Z0-9])")
_LINK = regex.compile(_BEFORE + r"https?://[^\s/]\S*", regex.IGNORECASE)
_TAG = regex.compile(_BEFORE + r"[#\uff03]((?:\p{L}|\p{N}|\p{M}|\p{Extended_Pictographic}|[_\u200d-])+)")


def record_key(created_at: datetime, key: str) -> str:
    """A TID for a reply: always the same for the same reply, never the same for another.

    The protocol puts microseconds and a random clock id into it. Replies enqueued in one transaction share their
    time, so the key's digest moves each up to a second into the past and fills the clock id: 30 bits tell them apart.
    """
    micros = (created_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    digest = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
    clock, spread = digest % (1 << _CLOCK_BITS), (digest >> _CLOCK_BITS) % (1 << _SPREAD_BITS)
    number = ((micros - spread) << _CLOCK_BITS) | clock
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(12, -1, -1))


def reply_record(reply: OutgoingReply) -> Json:
    """The record that will stand in our repository. Raises Refused for a text that Bluesky would not take."""
    require_room(reply.text, GRAPHEMES, BYTES)
    asked = {"uri": reply.to["uri"], "cid": reply.to["cid"]}
    parent = {"uri": reply.after["uri"], "cid": reply.after["cid"]} if reply.after else asked
    record: Json = {
        "$type": COLLECTION,
        "text": reply.text,
        "createdAt": reply.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "reply": {"root": reply.to.get("root") or asked, "parent": parent},
    }
    if langs := reply.to.get("langs"):
        record["langs"] = langs
    if found := facets(reply.text, reply.to.get("people") or {}):
        record["facets"] = found
    if reply.pictures:
        record["embed"] = {"$type": "app.bsky.embed.images", "images": [_image(one) for one in reply.pictures]}
    return record


def require_room(text: str, most: int, most_bytes: int) -> None:
    """Raise Refused for a text that is empty, or longer than so many graphemes or bytes."""
    if not text.strip():
        raise Refused(N_("The reply is empty. Write something."))
    graphemes = len(regex.findall(r"\X", text))
    if graphemes > most or len(text.encode()) > most_bytes:
        raise Refused(
            N_("The reply has %(n)s characters; Bluesky takes %(most)s (and %(bytes)s bytes). Shorten it.")
            % {"n": graphemes, "most": most, "bytes": most_bytes}
        )


def blob(picture: Picture) -> Json:
    """How a record names a picture: by the address that its content has, so the record is known before the upload.

    A blob's address is a CIDv1, raw codec, SHA-256 (atproto.com/specs/data-model, "Blob type").
    """
    cid = b"\x01\x55\x12\x20" + hashlib.sha256(picture.content).digest()
    link = "b" + base64.b32encode(cid).decode().lower().rstrip("=")
    return {"$type": "blob", "ref": {"$link": link}, "mimeType": picture.kind, "size": len(picture.content)}


def _image(picture: Picture) -> Json:
    ratio = {"width": picture.width, "height": picture.height}
    return {"image": blob(picture), "alt": picture.alt, "aspectRatio": ratio}


def facets(text: str, people: Mapping[str, str]) -> list[Json]:
    """What in the text is a mention, a link or a hashtag, by offsets into its UTF-8 bytes.

    Only `people` (handle to DID) become mentions: to look others up would need the network, and the record must not
    depend on it. Links count where they begin with http:// or https://.
    """
    found = [*_mentions(text, people), *_links(text), *_tags(text)]
    spans = sorted(found, key=lambda facet: facet[0])
    return [
        {
            "$type": "app.bsky.richtext.facet",
            "index": {"byteStart": len(text[:start].encode()), "byteEnd": len(text[:end].encode())},
            "features": [feature],
        }
        for start, end, feature in spans
    ]


_Found = tuple[int, int, Json]


def _mentions(text: str, people: Mapping[str, str]) -> Iterator[_Found]:
    for match in _MENTION.finditer(text):
        if did := people.get(match[1].lower()):
            yield match.start(), match.end(), {"$type": "app.bsky.richtext.facet#mention", "did": did}


def _links(text: str) -> Iterator[_Found]:
    for match in _LINK.finditer(text):
        uri = match[0].rstrip(".,;:!?'\"\u2026\u201d\u2019")
        if uri.endswith(")") and "(" not in uri:
            uri = uri.rstrip(").,;:!?")
        yield match.start(), match.start() + len(uri), {"$type": "app.bsky.richtext.facet#link", "uri": uri}


def _tags(text: str) -> Iterator[_Found]:
    for match in _TAG.finditer(text):
        tag = match[1]
        if len(regex.findall(r"\X", tag)) <= _LONGEST_TAG and not tag.isdigit():
            yield match.start(), match.end(), {"$type": "app.bsky.richtext.facet#tag", "tag": tag}
