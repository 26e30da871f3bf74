"""Posts of Threads: what stands under ours, and what mentions us; as lists give it, and as deliveries tell it.

Rules: developers.facebook.com/docs/threads/retrieve-and-manage-replies/replies-and-conversations, /threads-mentions,
/threads-media (fields), /webhooks (a delivery carries one post, with the same fields). Authors have no id there.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.connectors.base import (
    Hiding,
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Media,
    Poll,
    PostChange,
    PostKind,
    Rejected,
)
from app.connectors.meta_graph import Gone, moment
from app.connectors.meta_hooks import Told, unread
from app.connectors.meta_text import digest, excerpt
from app.connectors.meta_walk import Newest
from app.connectors.threads_account import Profile
from app.connectors.wire import is_web
from app.i18n import N_

FIELDS = (
    "id,text,username,permalink,timestamp,media_type,media_url,thumbnail_url,gif_url,alt_text,link_attachment_url,"
    "poll_attachment,children{media_type,media_url,thumbnail_url,alt_text},is_reply,root_post,replied_to,"
    "is_reply_owned_by_me,hide_status"
)
_OURS = "id,text,permalink,timestamp,has_replies"
WATCHED = 50  # of our newest posts: what stands under older ones comes by deliveries only
_CALLS = 10  # posts whose replies are read in one fetch; the others wait for the next
_LOOKED_THROUGH = 6  # pages of replies under a post, when a second look is taken
_KINDS = {"IMAGE": "image", "VIDEO": "video", "AUDIO": "audio"}
_HIDDEN = {"HIDDEN": True, "UNHUSHED": False}


class _Post(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = Field(min_length=1)
    timestamp: datetime
    text: str = ""
    username: str = ""
    permalink: str = ""
    root_post: dict[str, Any] = Field(default_factory=dict)
    replied_to: dict[str, Any] = Field(default_factory=dict)
    is_reply_owned_by_me: bool = False
    hide_status: str = ""

    @property
    def root(self) -> str:
        """The post that began it all; empty for that one itself."""
        return str(self.root_post.get("id") or "")

    @property
    def above(self) -> str:
        """What it answers directly."""
        return str(self.replied_to.get("id") or "")

    @property
    def parent(self) -> str:
        """What it answers directly; empty where that is the first post of all: one of ours, which no feed brings."""
        return "" if self.above == self.root else self.above


def read_post(
    raw: Any, us: IncomingAuthor, now: datetime, on: Json | None = None, parents: Mapping[str, str] | None = None
) -> IncomingPost | Rejected:
    """A post that stands under one of ours (`on`), or mentions us elsewhere.

    Each first answer to a post of ours is a conversation of its own, with the answers under it; `parents` is what is
    known of who answers whom there, by id.
    """
    try:
        entry = _Post.model_validate(raw)
    except ValidationError:
        return unread(raw, N_("A post without an id or a time."), [raw.get("id")] if isinstance(raw, dict) else ())
    own = entry.is_reply_owned_by_me or entry.username.casefold() == us.handle.casefold()
    return IncomingPost(
        external_id=entry.id,
        thread_id=entry.root or entry.id if on is None else _top(entry, parents or {}),
        author=us if own else author_of(entry.username, entry.id),
        text=entry.text,
        posted_at=min(entry.timestamp, now),
        kind=PostKind.MENTION if on is None else PostKind.COMMENT,
        url=_web(entry.permalink),
        in_reply_to=(entry.above if on is None else entry.parent) or None,
        own=own,
        media=(*_card(on or {}), *_media(raw)),
        ref={
            "kind": "mention" if on is None else "reply",
            "id": entry.id,
            "on": entry.root if on is not None else "",
            "at": entry.timestamp.isoformat(),
            "hide": on is not None and not own and not entry.parent,
            "sum": digest(entry.text),
        },
        payload=raw,
    )


def author_of(username: str, name: str) -> IncomingAuthor:
    """Who wrote it: Threads tells the name alone, and that of public profiles only."""
    if not username:
        return IncomingAuthor(f"unknown:{name}", N_("Somebody on Threads"))
    return IncomingAuthor(f"@{username}", username, url=f"https://www.threads.net/@{username}")


def _top(entry: _Post, parents: Mapping[str, str]) -> str:
    """The first answer above, as far as it is known."""
    name, above = entry.id, entry.parent
    for _ in range(len(parents) + 1):
        if not above:
            break
        name, above = above, parents.get(above, "")
    return name


def _card(on: Json) -> tuple[Media, ...]:
    """What it stands under, to be looked at."""
    url = _web(on.get("permalink"))
    return (Media("link", url, title=excerpt(str(on.get("text") or ""))),) if url else ()


def _media(raw: Json) -> Iterator[Media]:
    children = raw.get("children")
    listed = children.get("data") if isinstance(children, dict) else None
    for one in listed if isinstance(listed, list) else [raw]:
        url = _web(one.get("media_url")) if isinstance(one, dict) else None
        if url:
            kind = _KINDS.get(str(one.get("media_type")), "file")
            yield Media(kind, url, str(one.get("alt_text") or ""), _web(one.get("thumbnail_url")))
    if gif := _web(raw.get("gif_url")):
        yield Media("image", gif, str(raw.get("alt_text") or ""))
    if link := _web(raw.get("link_attachment_url")):
        yield Media("link", link)
    poll = raw.get("poll_attachment")
    options = (
        [str(poll[f"option_{one}"]) for one in "abcd" if poll.get(f"option_{one}")] if isinstance(poll, dict) else []
    )
    if options and isinstance(poll, dict):
        yield Media("poll", "", poll=Poll(tuple(options), ends_at=moment(poll.get("expiration_timestamp"))))


def _web(url: Any) -> str | None:
    return url if isinstance(url, str) and is_web(url) else None


# Lists


async def our_posts(found: Profile) -> dict[str, Json]:
    """Our newest posts, by id. Raises ConnectorError."""
    listed = await found.graph.edge(f"{found.id}/threads", fields=_OURS, limit=WATCHED)
    return {str(one["id"]): one for one in listed.entries if isinstance(one, dict) and one.get("id")}


async def read_mentions(
    found: Profile, state: Json, told: Told, now: datetime, *, ours: Mapping[str, Json]
) -> tuple[Json, bool]:
    """Public posts of others that name us."""
    walk = Newest(found.graph, f"{found.id}/mentions", state, _at, fields=FIELDS)
    raws = await walk.entries()
    roots = {one.id: one.root for one in _read(raws)}
    for raw in raws:
        on = ours.get(roots.get(str(raw.get("id")), "")) if isinstance(raw, dict) else None
        told.add(read_post(raw, found.author, now, on))
    return walk.state(), walk.more


async def read_replies(
    found: Profile, state: Json, told: Told, now: datetime, *, ours: Mapping[str, Json]
) -> tuple[Json, bool]:
    """All that stands under our newest posts: a few posts a fetch, those first that were read longest ago."""
    answered = [name for name, one in ours.items() if one.get("has_replies")]
    seen: Json = {name: place for name, place in state.get("seen", {}).items() if name in answered}
    turn: int = state.get("turn", 0) + 1
    more = False
    for name in sorted(answered, key=lambda name: seen.get(name, {}).get("turn", 0))[:_CALLS]:
        walk = Newest(found.graph, f"{name}/conversation", seen.get(name, {}), _at, fields=FIELDS)
        raws = await walk.entries()
        parents = {one.id: one.parent for one in _read(raws)}
        for raw in raws:
            told.add(read_post(raw, found.author, now, ours[name], parents))
            told.add(_hiding(raw, now))
        seen[name] = {**walk.state(), "turn": turn}
        more |= walk.more
    return {"seen": seen, "turn": turn}, more or any(name not in seen for name in answered)


def _read(raws: list[Any]) -> Iterator[_Post]:
    for raw in raws:
        try:
            yield _Post.model_validate(raw)
        except ValidationError:
            continue  # told when it is read as a post


def _hiding(raw: Any, now: datetime) -> Hiding | None:
    status = raw.get("hide_status") if isinstance(raw, dict) else None
    if status not in _HIDDEN or not isinstance(raw.get("id"), str):
        return None
    return Hiding(raw["id"], _HIDDEN[status], now)


def _at(raw: Any) -> datetime | None:
    return moment(raw.get("timestamp")) if isinstance(raw, dict) else None


async def look_under(found: Profile, on: str, known: Mapping[str, KnownPost], now: datetime) -> list[PostChange]:
    """What became of these posts under one of ours: those that its list passes over are gone. Raises ConnectorError."""
    changes: list[PostChange] = []
    left, after = dict(known), ""
    for _ in range(_LOOKED_THROUGH):
        try:
            page = await found.graph.edge(f"{on}/conversation", after, fields="id,text,timestamp", limit=100)
        except Gone:
            return [PostChange(name, now, deleted=True) for name in known]  # with our post all went that stood there
        for entry in _read(page.entries):
            one = left.pop(entry.id, None)
            if one is not None and digest(entry.text) != one.ref.get("sum"):
                changes.append(PostChange(entry.id, now, text=entry.text))
        after = page.after
        down = min((at for at in map(_at, page.entries) if at is not None), default=None)
        passed = [name for name, one in left.items() if not after or (down and down < _written(one, now))]
        changes += [PostChange(name, now, deleted=True) for name in passed]
        left = {name: one for name, one in left.items() if name not in passed}
        if not left or not after:
            break
    return changes


def _written(known: KnownPost, now: datetime) -> datetime:
    return moment(known.ref.get("at")) or now
