"""Which commits of the network a feed wants: what is asked of the server, a look at raw bytes, and then a close one.

Sources: the lexicons `app.bsky.feed.post`, `app.bsky.feed.repost`, `app.bsky.embed.record`; JSON as Jetstream writes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import regex

from app.connectors.base import Json, PostKind
from app.connectors.bluesky_json import as_dict, as_list
from app.connectors.bluesky_lists import BlueskySettings, Source, did_of, terms_of
from app.connectors.bluesky_posts import features
from app.connectors.bluesky_records import COLLECTION
from app.connectors.bluesky_xrpc import Xrpc

REPOST = "app.bsky.feed.repost"
_PLAIN = regex.compile(r"[\x20-\x7e--[\"\\<>&]]+", regex.V1)  # what stands in JSON as it is


@dataclass(frozen=True, slots=True)
class Commit:
    """Something that was written to a repository, changed or deleted there."""

    did: str
    time_us: int
    operation: str  # create | update | delete
    collection: str
    rkey: str
    cid: str
    record: Json

    @classmethod
    def read(cls, told: Any) -> Self | None:
        """A commit of a message; None for what is another event, or none at all."""
        event, commit = as_dict(told), as_dict(as_dict(told).get("commit"))
        parts = (event.get("did"), commit.get("operation"), commit.get("collection"), commit.get("rkey"))
        time_us, cid = event.get("time_us"), commit.get("cid")
        if not (all(isinstance(part, str) for part in parts) and isinstance(time_us, int)):
            return None
        did, operation, collection, rkey = map(str, parts)
        record = as_dict(commit.get("record"))
        return cls(did, time_us, operation, collection, rkey, cid if isinstance(cid, str) else "", record)

    @property
    def uri(self) -> str:
        """The record's address."""
        return f"at://{self.did}/{self.collection}/{self.rkey}"

    @property
    def at(self) -> datetime:
        """When the server heard of it."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.time_us)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A post that a feed wants, and what it is to us where the stream alone tells that."""

    uri: str
    kind: PostKind | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """`concerns` looks at a raw message and may be wrong in one direction only; `wants` knows."""

    asked: tuple[tuple[str, str], ...]
    concerns: Callable[[bytes], bool]
    wants: Callable[[Commit], Wanted | None]
    narrow: bool = False  # the server sends nothing but what concerns the feed


async def wanted(api: Xrpc, settings: BlueskySettings) -> Filter:
    """The filter of a feed. Raises ConnectorError."""
    match settings.source:
        case Source.AUTHOR:
            return _of_author(await did_of(api, settings.value), reposts=settings.include_reposts)
        case Source.SEARCH:
            return found_by(terms_of(settings.value) or [], settings.language.lower())
        case _:
            return about(await api.did())


def _of_author(did: str, *, reposts: bool) -> Filter:
    collections = (COLLECTION, REPOST) if reposts else (COLLECTION,)

    def wants(commit: Commit) -> Wanted | None:
        if commit.did != did or commit.collection not in collections:
            return None
        subject = as_dict(commit.record.get("subject")).get("uri")
        uri = commit.uri if commit.collection == COLLECTION else subject
        return Wanted(uri) if isinstance(uri, str) else None

    asked = (*(("wantedCollections", one) for one in collections), ("wantedDids", did))
    return Filter(asked, lambda _frame: True, wants, narrow=True)


def about(did: str) -> Filter:
    """What notifications tell of: mentions, answers to our posts or in our threads, quotes."""
    needle, ours = did.encode(), f"at://{did}/"

    def wants(commit: Commit) -> Wanted | None:
        if commit.did == did or commit.collection != COLLECTION:
            return None
        reply = as_dict(commit.record.get("reply"))
        if any(str(as_dict(reply.get(place)).get("uri")).startswith(ours) for place in ("parent", "root")):
            return Wanted(commit.uri, PostKind.REPLY)
        if _quoted(commit.record).startswith(ours) or any(one.get("did") == did for _, one in features(commit.record)):
            return Wanted(commit.uri, PostKind.MENTION)
        return None

    return Filter((("wantedCollections", COLLECTION),), lambda frame: needle in frame, wants)


def _quoted(record: Json) -> str:
    embed = as_dict(record.get("embed"))
    found = as_dict(embed.get("record"))
    return str(found.get("uri") or as_dict(found.get("record")).get("uri"))


def found_by(terms: list[str], language: str) -> Filter:
    """Posts that hold all of these words and phrases."""
    plain = sorted((term for term in terms if _PLAIN.fullmatch(term)), key=len)
    needle = plain[-1].lower().encode() if plain else b""

    def wants(commit: Commit) -> Wanted | None:
        text = str(commit.record.get("text")).casefold()
        langs = {str(lang).lower().partition("-")[0] for lang in as_list(commit.record.get("langs"))}
        fits = commit.collection == COLLECTION and all(term.casefold() in text for term in terms)
        return Wanted(commit.uri) if fits and (not language or language in langs) else None

    return Filter((("wantedCollections", COLLECTION),), lambda frame: needle in frame.lower(), wants)
