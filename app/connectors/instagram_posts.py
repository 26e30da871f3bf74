"""Comments, tags and mentions on Instagram: as lists give them, and as deliveries tell them.

Rules: developers.facebook.com/docs/instagram-platform/reference/instagram-media (comments, tags), /instagram-comment,
/instagram-user/mentioned_comment, /mentioned_media; /docs/instagram-platform/webhooks (comments, live_comments, mentions).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.connectors.base import IncomingAuthor, IncomingPost, Json, KnownPost, Media, PostChange, PostKind, Rejected
from app.connectors.meta_account import Page
from app.connectors.meta_graph import moment
from app.connectors.meta_hooks import Told, unread
from app.connectors.meta_text import digest, excerpt
from app.connectors.meta_walk import Newest
from app.connectors.wire import is_web
from app.i18n import N_

_ONE = "id,text,timestamp,username,from,hidden,parent_id"
COMMENT_FIELDS = f"{_ONE},replies.limit(50){{{_ONE}}}"
_MEDIA_FIELDS = "id,caption,permalink,timestamp,comments_count"
_TAG_FIELDS = "id,caption,permalink,timestamp,username,media_type,media_url,thumbnail_url"
WATCHED = 50  # of our newest media: comments under older ones come by deliveries only
_CALLS = 10  # media whose comments are read in one fetch


class _Comment(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = Field(min_length=1)
    timestamp: datetime
    text: str = ""
    username: str = ""
    parent_id: str = ""
    from_: dict[str, Any] = Field(default_factory=dict, alias="from")


def author_of(person: Mapping[str, Any], username: str, name: str) -> IncomingAuthor:
    """Who wrote it, by the id that Instagram gives them for us; else by name; else each apart."""
    handle = str(person.get("username") or username or "")
    known = str(person.get("id") or "") or (f"@{handle}" if handle else f"unknown:{name}")
    url = f"https://www.instagram.com/{handle}/" if handle else None
    return IncomingAuthor(known, handle or N_("Somebody on Instagram"), url=url)


def read_comment(raw: Any, on: Json, us: IncomingAuthor, now: datetime, under: str = "") -> IncomingPost | Rejected:
    """A comment under one of our media: a conversation of its own, with the answers under it."""
    try:
        entry = _Comment.model_validate(raw)
    except ValidationError:
        return unread(raw, N_("A comment without an id or a time."), [raw.get("id")] if isinstance(raw, dict) else ())
    under = under or entry.parent_id
    author = author_of(entry.from_, entry.username, entry.id)
    own = author.external_id == us.external_id or author.handle == us.handle
    person = "" if author.external_id.startswith(("@", "unknown:")) else author.external_id
    return IncomingPost(
        external_id=entry.id,
        thread_id=under or entry.id,
        author=us if own else author,
        text=entry.text,
        posted_at=min(entry.timestamp, now),
        kind=PostKind.COMMENT,
        url=_web(on.get("permalink")),
        in_reply_to=under or None,
        own=own,
        media=_card(on),
        ref={
            "kind": "comment",
            "id": entry.id,
            "under": under or entry.id,
            "at": entry.timestamp.isoformat(),
            "person": person,
            "private": bool(person) and not own,
            "hide": not own,
            "sum": digest(entry.text),
        },
        payload=raw,
    )


def _card(on: Json) -> tuple[Media, ...]:
    """What a comment hangs on, to be looked at."""
    url = _web(on.get("permalink"))
    return (Media("link", url, title=excerpt(str(on.get("caption") or ""))),) if url else ()


def _web(url: Any) -> str | None:
    return url if isinstance(url, str) and is_web(url) else None


def read_tag(raw: Any, now: datetime) -> IncomingPost | Rejected:
    """Somebody's picture that we are tagged in. Instagram takes no comment of ours on it by program."""
    at = moment(raw.get("timestamp")) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(raw.get("id"), str) or at is None:
        return unread(raw, N_("A post without an id or a time."), [raw.get("id")] if isinstance(raw, dict) else ())
    return _mention(raw, at, now, {"kind": "tag", "id": raw["id"]})


def _mention(raw: Json, at: datetime, now: datetime, ref: Json) -> IncomingPost:
    picture, url = _web(raw.get("media_url")), _web(raw.get("permalink"))
    kind = "video" if raw.get("media_type") == "VIDEO" else "image"
    text = str(raw.get("caption") or raw.get("text") or "")
    name = str(raw["id"])
    return IncomingPost(
        external_id=name,
        thread_id=name,
        author=author_of({}, str(raw.get("username") or ""), name),
        text=text,
        posted_at=min(at, now),
        kind=PostKind.MENTION,
        url=url,
        media=(Media(kind, picture, preview_url=_web(raw.get("thumbnail_url"))),) if picture else (),
        ref={**ref, "at": at.isoformat(), "sum": digest(text)},
        payload=raw,
    )


# Lists


async def read_comments(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    """Comments under our newest media, of those whose number of comments changed since they were read.

    Of each, the newest page of comments is read with all answers under them, and further ones down to what is known.
    """
    listed = await found.graph.edge(f"{found.instagram_id}/media", fields=_MEDIA_FIELDS, limit=WATCHED)
    seen: Json = state.get("seen", {})
    kept: Json = {}
    calls, more = 0, False
    us = IncomingAuthor(found.instagram_id, found.instagram_name)
    for on in (one for one in listed.entries if isinstance(one, dict) and isinstance(one.get("id"), str)):
        count, place = seen.get(on["id"], (0, {}))
        if on.get("comments_count") == count:
            kept[on["id"]] = [count, place]
            continue
        if calls == _CALLS:
            kept[on["id"]], more = [count, place], True
            continue
        calls += 1
        walk = Newest(found.graph, f"{on['id']}/comments", place, _latest, fields=COMMENT_FIELDS)
        for raw in await walk.entries():
            _with_answers(raw, on, us, told, now)
        more |= walk.more
        kept[on["id"]] = [count if walk.more else on.get("comments_count"), walk.state()]
    return {"seen": kept}, more


def _latest(raw: Any) -> datetime | None:
    """When something was last written under a comment, or it itself."""
    if not isinstance(raw, dict):
        return None
    times = [moment(one.get("timestamp")) for one in (raw, *_answers(raw))]
    return max((at for at in times if at is not None), default=None)


def _answers(raw: Json) -> list[Json]:
    replies = raw.get("replies")
    listed = replies.get("data") if isinstance(replies, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _with_answers(raw: Any, on: Json, us: IncomingAuthor, told: Told, now: datetime) -> None:
    told.add(read_comment(raw, on, us, now))
    for answer in _answers(raw) if isinstance(raw, dict) else ():
        told.add(read_comment(answer, on, us, now, str(raw.get("id") or "")))


async def read_tags(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    """Media of others that we are tagged in."""
    walk = Newest(found.graph, f"{found.instagram_id}/tags", state, _latest, fields=_TAG_FIELDS)
    for raw in await walk.entries():
        told.add(read_tag(raw, now))
    return walk.state(), walk.more


# Deliveries


def told_comment(value: Json, us: IncomingAuthor, now: datetime, at: datetime) -> IncomingPost | Rejected:
    """A comment that a delivery tells of; it names no time of its own but that of the delivery."""
    if not isinstance(value.get("id"), str) or not value["id"]:
        return unread(value, N_("A comment without an id or a time."))
    return read_comment({**value, "timestamp": at.isoformat()}, {}, us, now)


def told_mention(value: Json, at: datetime) -> IncomingPost | Rejected:
    """A mention that a delivery names: what it says has to be asked for (`complete`)."""
    comment, media = value.get("comment_id"), value.get("media_id")
    name = str(comment or media or "")
    if not name or not media:
        return unread(value, N_("A mention without an id."))
    ref = {"kind": "mention", "id": name, "media": str(media), "comment": str(comment or "")}
    return _mention({"id": name}, at, at, ref)


async def named_mention(found: Page, post: IncomingPost, now: datetime) -> IncomingPost:
    """The mention with what it says. Raises ConnectorError."""
    ref = post.ref
    inside = (
        "id,text,timestamp,username"
        if ref["comment"]
        else "id,caption,timestamp,username,permalink,media_type,media_url"
    )
    edge = (
        f"mentioned_comment.comment_id({ref['comment']})"
        if ref["comment"]
        else f"mentioned_media.media_id({ref['media']})"
    )
    answer = await found.graph.get(found.instagram_id, fields=f"{edge}{{{inside}}}")
    raw = answer.get("mentioned_comment") or answer.get("mentioned_media")
    if not isinstance(raw, dict):
        return post
    own = {"kind": "mention", "id": post.external_id, "media": ref["media"], "comment": ref["comment"]}
    return _mention({**raw, "id": post.external_id}, moment(raw.get("timestamp")) or post.posted_at, now, own)


def read_look(raw: Json, known: KnownPost, now: datetime) -> PostChange | None:
    """What a second look at a comment says; None when it stands as it stood."""
    text = str(raw.get("text") or "")
    return PostChange(known.external_id, now, text=text) if digest(text) != known.ref.get("sum") else None
