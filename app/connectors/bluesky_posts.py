"""Reading Bluesky's post views: everything in a record was written by a stranger, and is checked before it is used.

Sources: the lexicons `app.bsky.feed.defs` (postView), `app.bsky.feed.post` and `app.bsky.embed.*`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import regex

from app.connectors.base import IncomingAuthor, IncomingPost, Json, KnownPost, Media, PostChange, PostKind, Quote
from app.connectors.bluesky_json import as_dict, as_list, parse_time
from app.connectors.bluesky_labels import labels_of
from app.connectors.text import storable, storable_json
from app.errors import Malformed
from app.i18n import N_

_ARCHIVED = timedelta(days=1)  # Bluesky's own app shows an older claim as "archived", not as the post's time
_BEGINNING = datetime(2022, 1, 1, tzinfo=UTC)  # there was no network before
_LANGUAGE = regex.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_AT_URI = regex.compile(r"at://(did:[a-z0-9]+:[A-Za-z0-9._:%-]+)/app\.bsky\.feed\.post/([A-Za-z0-9._:~-]{1,512})")
_LONGEST_URL = 4000
_PICTURED = {"app.bsky.embed.images", "app.bsky.embed.gallery", "app.bsky.embed.video"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list: a post view (or a notification), and what the list itself says about it."""

    view: Json
    indexed_at: datetime | None  # what the list is ordered by
    kind: PostKind | None = None  # None: to be seen from the record
    repost: bool = False
    people: Json = field(default_factory=dict)  # handle -> DID of others in the thread

    @property
    def uri(self) -> str | None:
        """The post's identity, if it has one."""
        value = self.view.get("uri")
        return value if isinstance(value, str) and _AT_URI.fullmatch(value) else None


def read_post(entry: Entry, our_did: str, now: datetime) -> IncomingPost:
    """The post of an entry. Raises Malformed when it is none that could be shown or answered."""
    view, record = entry.view, as_dict(entry.view.get("record"))
    uri, cid, text = entry.uri, view.get("cid"), record.get("text")
    if uri is None or not isinstance(cid, str):
        raise Malformed(N_("A post came without the address that identifies it."))
    if not isinstance(text, str):
        raise Malformed(N_("The post %(uri)s has no text.") % {"uri": uri})
    author, here = read_author(view.get("author")), {"uri": uri, "cid": cid}
    reply = as_dict(record.get("reply"))
    root, parent = _strong_ref(reply.get("root")) or here, _strong_ref(reply.get("parent"))
    langs = _languages(record)
    return IncomingPost(
        external_id=uri,
        thread_id=root["uri"],
        author=author,
        text=storable(text),
        posted_at=_posted_at(record, entry, now),
        kind=_kind(record, parent, entry, our_did),
        url=web_url(uri),
        language=langs[0] if langs else None,
        in_reply_to=parent["uri"] if parent else None,
        own=author.external_id == our_did,
        repost=entry.repost,
        media=tuple(hung_on(view, record)),
        ref={**here, "root": root, "langs": langs[:1], "people": _people(author, entry), **labels_of(view, now)},
        payload=storable_json(view),
    )


def read_change(known: KnownPost, view: Json | None, now: datetime) -> PostChange | None:
    """What became of a post that is shown so now, or no more; None for one that stands as it came.

    A record can be put anew under its name, though Bluesky's own app has no button for that.
    """
    if view is None:
        return PostChange(known.external_id, now, deleted=True)
    record = as_dict(view.get("record"))
    text, cid = record.get("text"), view.get("cid")
    if not isinstance(text, str) or not isinstance(cid, str) or cid == known.ref.get("cid"):
        return None
    return PostChange(known.external_id, now, text=storable(text), media=tuple(hung_on(view, record)))


def read_author(profile: object) -> IncomingAuthor:
    """Who a profile view speaks of. Raises Malformed without an identity."""
    view = as_dict(profile)
    did, handle = view.get("did"), view.get("handle")
    if not (isinstance(did, str) and did.startswith("did:") and isinstance(handle, str)):
        raise Malformed(N_("A post came without its author."))
    followers = view.get("followersCount")
    return IncomingAuthor(
        external_id=storable(did),
        handle=storable(handle),
        name=_text(view.get("displayName")),
        url=f"https://bsky.app/profile/{storable(did)}",
        avatar_url=_url(view.get("avatar")),
        followers=followers if isinstance(followers, int) else None,
    )


def web_url(uri: str) -> str | None:
    """Where a person reads the post. By DID, since a handle may pass to somebody else."""
    match = _AT_URI.fullmatch(uri)
    return f"https://bsky.app/profile/{match[1]}/post/{match[2]}" if match else None


def _posted_at(record: Json, entry: Entry, now: datetime) -> datetime:
    """The author's claim where the network bears it out: not after it was indexed, and not long before."""
    seen = parse_time(entry.view.get("indexedAt")) or entry.indexed_at or now
    claimed = parse_time(record.get("createdAt")) or seen
    when = min(claimed, seen)
    if seen - when > _ARCHIVED:
        when = seen
    return when if when >= _BEGINNING else now


def _kind(record: Json, parent: Json | None, entry: Entry, our_did: str) -> PostKind:
    """The same whichever list it was found in, except that only notifications tell of quotes and deeper threads."""
    if parent is not None and parent["uri"].startswith(f"at://{our_did}/"):
        return PostKind.REPLY
    if entry.kind is not None:
        return entry.kind
    return PostKind.MENTION if any(f.get("did") == our_did for _, f in features(record)) else PostKind.POST


def _people(author: IncomingAuthor, entry: Entry) -> Json:
    """Whom a reply may mention: only handles that the network itself has verified, never those that a post claims."""
    people = {**entry.people, author.handle.lower(): author.external_id}
    return {handle: did for handle, did in people.items() if handle != "handle.invalid"}


def _languages(record: Json) -> list[str]:
    return [lang for lang in as_list(record.get("langs")) if isinstance(lang, str) and _LANGUAGE.fullmatch(lang)]


def features(record: Json) -> Iterator[tuple[Json, Json]]:
    """Each feature of each facet, with the facet's place in the text."""
    for facet in as_list(record.get("facets")):
        for feature in as_list(as_dict(facet).get("features")):
            yield as_dict(as_dict(facet).get("index")), as_dict(feature)


def hung_on(view: Json, record: Json) -> Iterator[Media]:
    """What hangs on a post or message: what is embedded, and addresses that its text only hints at. Each once."""
    seen: set[str] = set()
    for media in (*_embedded(as_dict(view.get("embed"))), *_hidden_links(record)):
        if media.url not in seen:
            seen.add(media.url)
            yield media


def _embedded(embed: Json) -> Iterator[Media]:
    match str(embed.get("$type", "")).partition("#")[0]:
        case "app.bsky.embed.images":
            for image in map(as_dict, as_list(embed.get("images"))):
                yield from _one("image", image.get("fullsize"), image.get("alt"), image.get("thumb"))
        case "app.bsky.embed.gallery":
            for image in map(as_dict, as_list(embed.get("items"))):
                yield from _one("image", image.get("fullsize"), image.get("alt"), image.get("thumbnail"))
        case "app.bsky.embed.video":
            yield from _one("video", embed.get("playlist"), embed.get("alt"), embed.get("thumbnail"))
        case "app.bsky.embed.external":
            card = as_dict(embed.get("external"))
            yield from _one("link", card.get("uri"), card.get("description"), card.get("thumb"), card.get("title"))
        case "app.bsky.embed.record":
            yield from _quoted(as_dict(embed.get("record")))
        case "app.bsky.embed.recordWithMedia":
            if (media := as_dict(embed.get("media"))).get("$type") != embed["$type"]:  # never deeper than one level
                yield from _embedded(media)
            yield from _quoted(as_dict(as_dict(embed.get("record")).get("record")))


def _quoted(record: Json) -> Iterator[Media]:
    """The quoted post; empty when it is gone, hidden from us, or its author has taken it out of the quote."""
    url, author, value = web_url(str(record.get("uri"))), as_dict(record.get("author")), as_dict(record.get("value"))
    if url is None:
        return  # a list or a feed
    handle, langs = _text(author.get("handle")), _languages(value)
    shown = next((one for embed in as_list(record.get("embeds")) for one in _pictured(as_dict(embed))), None)
    yield Media(
        "quote",
        url,
        _text(value.get("text")),
        shown.preview_url if shown else None,
        _text(author.get("displayName")) or handle,
        quote=Quote(handle, parse_time(record.get("indexedAt")), langs[0] if langs else None),
    )


def _pictured(embed: Json) -> Iterator[Media]:
    """What of a quoted post's own embeds can be shown; never what it quotes in turn."""
    kind = str(embed.get("$type", "")).partition("#")[0]
    return _embedded(embed) if kind in _PICTURED else iter(())


def _hidden_links(record: Json) -> Iterator[Media]:
    """Addresses that the text shows only shortened: they stand in the facets alone."""
    raw = str(record.get("text")).encode(errors="replace")
    for place, feature in features(record):
        uri, start, end = feature.get("uri"), place.get("byteStart"), place.get("byteEnd")
        if isinstance(uri, str) and isinstance(start, int) and isinstance(end, int):
            shown = raw[max(start, 0) : max(end, 0)].decode(errors="replace")
            if shown not in {uri, uri.removeprefix("https://")}:
                yield from _one("link", uri, title=shown)


def _one(
    kind: str, url: object, description: object = "", preview: object = None, title: object = ""
) -> Iterator[Media]:
    if address := _url(url):
        yield Media(kind, address, _text(description), _url(preview), _text(title))


def _strong_ref(value: object) -> Json | None:
    ref = as_dict(value)
    uri, cid = ref.get("uri"), ref.get("cid")
    return (
        {"uri": uri, "cid": cid} if isinstance(cid, str) and isinstance(uri, str) and _AT_URI.fullmatch(uri) else None
    )


def _url(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _LONGEST_URL or not value.startswith(("https://", "http://")):
        return None
    return storable(value)


def _text(value: object) -> str:
    return storable(value) if isinstance(value, str) else ""
