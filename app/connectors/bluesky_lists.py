"""The lists that a Bluesky feed reads, page by page: notifications, an account's posts, a search; and single posts.

Sources: the lexicons `app.bsky.notification.listNotifications`, `app.bsky.feed.getAuthorFeed`, `searchPosts`, `getPosts`,
`getPostThread`.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

import regex
from pydantic import Field, field_validator, model_validator

from app.connectors.base import MOST_PARENTS, Json, PostKind, SettingsModel
from app.connectors.bluesky_account import LOOPBACK
from app.connectors.bluesky_json import as_dict, parse_time
from app.connectors.bluesky_posts import Entry
from app.connectors.bluesky_walk import Page
from app.connectors.bluesky_xrpc import NotOffered, Xrpc, XrpcError
from app.errors import Malformed, Refused
from app.i18n import N_, _

PAGE = 100  # posts; the most that the lexicons allow
_VIEWS_A_CALL = 25  # of getPosts
_REASONS = {"mention": PostKind.MENTION, "quote": PostKind.MENTION, "reply": PostKind.REPLY}
_TERMS = regex.compile(r'"([^"]+)"|(\S+)')
_OPERATOR = regex.compile(r"-.+|[a-z]+:\S*", regex.IGNORECASE)
_REPOST = "app.bsky.feed.defs#reasonRepost"


class Source(StrEnum):
    """What a feed listens to."""

    NOTIFICATIONS = "notifications"
    AUTHOR = "author"
    SEARCH = "search"
    MESSAGES = "messages"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {
            Source.NOTIFICATIONS: _("Our notifications"),
            Source.AUTHOR: _("An account's posts"),
            Source.SEARCH: _("A search"),
            Source.MESSAGES: _("Direct messages"),
        }[self]


class BlueskySettings(SettingsModel):
    """What a Bluesky feed brings."""

    source: Source = Field(
        default=Source.NOTIFICATIONS,
        title=N_("Listen to"),
        description=N_(
            "Our notifications (mentions, replies, quotes), the posts of one account, a search, or messages."
            " For messages the app password needs access to them."
        ),
    )
    value: str = Field(
        default="",
        title=N_("Account or search words"),
        description=N_("For an account its handle, for a search its words; else not used."),
        examples=["northwind.bsky.social", '"northwind boots"'],
        max_length=500,
    )
    language: str = Field(
        default="",
        title=N_("Language"),
        description=N_("Searches only: bring posts that are marked with this language, such as de. Empty: all."),
        pattern=r"^([A-Za-z]{2,3})?$",
    )
    include_reposts: bool = Field(
        default=False, title=N_("With reposts"), description=N_("Accounts only: also what the account passes on.")
    )

    jetstream: str = Field(
        default="",
        title=N_("Jetstream server"),
        description=N_(
            "Brings posts as they are written, polls beneath. Little for an account's posts; for notifications and a search"
            " all posts of the network are read here, some gigabytes a day. Empty: polls alone."
        ),
        examples=["wss://jetstream2.us-east.bsky.network"],
        max_length=300,
    )

    @field_validator("jetstream")
    @classmethod
    def _jetstream(cls, value: str) -> str:
        return jetstream_address(value) if value else ""

    @field_validator("value")
    @classmethod
    def _value(cls, value: str) -> str:
        return value.removeprefix("@")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.source is Source.AUTHOR and not self.value:
            raise ValueError(_("Say which account this feed listens to."))
        if self.source is Source.SEARCH and not self.value:
            raise ValueError(_("Say which words this feed listens to."))
        if self.jetstream and self.source is Source.MESSAGES:
            raise ValueError(_("No Jetstream server tells of messages. Leave it empty."))
        if self.jetstream and self.source is Source.SEARCH and terms_of(self.value) is None:
            raise ValueError(
                _("A stream cannot follow operators of a search, such as from:. Leave them or Jetstream out.")
            )
        return self


def jetstream_address(value: str) -> str:
    """Scheme and host of a server. Raises ValueError."""
    parts = urlsplit(value)
    local = parts.scheme == "ws" and parts.hostname in LOOPBACK
    if not parts.hostname or parts.username or (parts.scheme != "wss" and not local):
        raise ValueError(_("Give an address such as wss://jetstream2.us-east.bsky.network."))
    return f"{parts.scheme}://{parts.netloc}"


def terms_of(search: str) -> list[str] | None:
    """The words and phrases of a search; None when it has operators (the lexicon of `searchPosts` names them)."""
    found = [(match[1], match[2]) for match in _TERMS.finditer(search)]
    if any(word and _OPERATOR.fullmatch(word) for _phrase, word in found):
        return None
    return [phrase or word for phrase, word in found]


async def read_page(api: Xrpc, settings: BlueskySettings, at: str | None) -> Page:
    """One page of the list that a feed listens to, from the server's cursor `at` (None: the head)."""
    match settings.source:
        case Source.AUTHOR:
            return await author_page(api, settings.value, at, reposts=settings.include_reposts)
        case Source.SEARCH:
            return await _search_page(api, settings, at)
        case _:
            return await _notifications_page(api, at)


async def _notifications_page(api: Xrpc, at: str | None) -> Page:
    method = "app.bsky.notification.listNotifications"
    answer = await api.query(method, limit=PAGE, cursor=at, reasons=list(_REASONS))
    lines = _lines(answer, "notifications", method)
    wanted = [line for line in lines if as_dict(line).get("reason") in {*_REASONS, None}]  # older servers send all
    entries = [_entry(line, line, kind=_REASONS.get(str(as_dict(line).get("reason")))) for line in wanted]
    return _as_page(entries, lines, answer)


async def author_page(api: Xrpc, actor: str, at: str | None, *, reposts: bool) -> Page:
    """One page of what an account wrote, and passed on if that is wanted."""
    method = "app.bsky.feed.getAuthorFeed"
    answer = await api.query(method, actor=actor, limit=PAGE, cursor=at, filter="posts_with_replies")
    entries, times = list[Entry](), list[Any]()
    for line in _lines(answer, "feed", method):
        post, reason = as_dict(line).get("post", line), as_dict(as_dict(line).get("reason"))
        repost = reason.get("$type") == _REPOST
        times.append(reason if repost else post)
        if reposts or not repost:
            entries.append(_entry(post, times[-1], repost=repost, people=_thread_people(as_dict(line))))
    return _as_page(entries, times, answer)


async def _search_page(api: Xrpc, settings: BlueskySettings, at: str | None) -> Page:
    method = "app.bsky.feed.searchPosts"
    language = settings.language.lower() or None
    try:
        answer = await api.query(method, q=settings.value, sort="latest", limit=PAGE, cursor=at, lang=language)
    except NotOffered as error:
        raise Refused(
            N_("%(service)s has no search. Listen to notifications or an account.")
            % {"service": api.credentials.service}
        ) from error
    lines = _lines(answer, "posts", method)
    entries = [_entry(line, line) for line in lines if language is None or language in _marked(line)]
    return _as_page(entries, lines, answer)


def _marked(view: Any) -> set[str]:
    """The languages of a post; looked at here too, since some servers take `lang` and do nothing with it."""
    langs = as_dict(as_dict(view).get("record")).get("langs")
    return {str(lang).lower().partition("-")[0] for lang in langs} if isinstance(langs, list) else set()


def _lines(answer: Json, key: str, method: str) -> list[Any]:
    lines = answer.get(key)
    if not isinstance(lines, list):
        raise Malformed(
            N_("The server's answer to %(method)s has no list of %(key)s. Is this a Bluesky server?")
            % {"method": method, "key": key}
        )
    return lines


def _entry(view: Any, dated: Any, **parts: Any) -> Entry:
    """An entry of anything that stands in a list; what is no post view is found out when it is read."""
    found = view if isinstance(view, dict) else {"entry": view}
    return Entry(found, parse_time(as_dict(dated).get("indexedAt")), **parts)


def _as_page(entries: list[Entry], dated: Iterable[Any], answer: Json) -> Page:
    times = [parse_time(as_dict(line).get("indexedAt")) for line in dated]
    following = answer.get("cursor")
    return Page(
        entries=tuple(entries),
        times=tuple(when for when in times if when is not None),
        following=following if isinstance(following, str) and following else None,
    )


def _thread_people(line: Json) -> Json:
    people: Json = {}
    for place in ("root", "parent"):
        author = as_dict(as_dict(as_dict(line.get("reply")).get(place)).get("author"))
        if isinstance(author.get("handle"), str) and isinstance(author.get("did"), str):
            people[author["handle"].lower()] = author["did"]
    return people


async def complete(api: Xrpc, entries: list[Entry]) -> list[Entry]:
    """Notifications tell nothing of pictures and cards: ask for the full views of those that carry some."""
    bare = [e for e in entries if "embed" in as_dict(e.view.get("record")) and "embed" not in e.view]
    views = await post_views(api, [e.uri for e in bare if e.uri is not None])
    return [replace(e, view={**e.view, **_embed(views.get(e.uri or ""))}) if e in bare else e for e in entries]


def _embed(view: Json | None) -> Json:
    return {"embed": view["embed"]} if view is not None and "embed" in view else {}


async def post_views(api: Xrpc, uris: list[str]) -> dict[str, Json]:
    """The full views of these posts by URI; what was deleted or is hidden from us is left out."""
    views: dict[str, Json] = {}
    for start in range(0, len(uris), _VIEWS_A_CALL):
        answer = await api.query("app.bsky.feed.getPosts", uris=uris[start : start + _VIEWS_A_CALL])
        views |= {view["uri"]: view for view in map(as_dict, _lines(answer, "posts", "getPosts")) if "uri" in view}
    return views


async def did_of(api: Xrpc, actor: str) -> str:
    """Whose handle this is; a DID is its own. Raises ConnectorError."""
    if actor.startswith("did:"):
        return actor
    did = (await api.query("com.atproto.identity.resolveHandle", handle=actor)).get("did")
    if not isinstance(did, str) or not did.startswith("did:"):
        raise Malformed(
            N_("%(service)s does not say who @%(handle)s is.") % {"service": api.credentials.service, "handle": actor}
        )
    return did


async def parent_views(api: Xrpc, uri: str) -> list[Json]:
    """The views of the posts above this one, the topmost first, up to one that is gone or not for us to see."""
    try:
        answer = await api.query("app.bsky.feed.getPostThread", uri=uri, depth=0, parentHeight=MOST_PARENTS)
    except XrpcError as error:
        if error.error == "NotFound":
            return []
        raise
    if not isinstance(answer.get("thread"), dict):
        raise Malformed(
            N_("%(host)s answered with JSON of another shape than its API promises.")
            % {"host": api.credentials.service}
        )
    views: list[Json] = []
    above = as_dict(answer["thread"].get("parent"))
    while isinstance(above.get("post"), dict) and len(views) < MOST_PARENTS:  # else notFoundPost or blockedPost
        views.insert(0, above["post"])
        above = as_dict(above.get("parent"))
    return views
