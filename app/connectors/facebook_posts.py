"""Comments, posts and recommendations of a Page: as lists give them, and as deliveries tell them.

Rules: developers.facebook.com/docs/graph-api/reference/comment, /reference/page-post (fields), /reference/page/ratings,
/docs/graph-api/webhooks/reference/page (feed, mention, ratings).
"""

from collections.abc import Iterator
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
    PostChange,
    PostKind,
    Rejected,
)
from app.connectors.meta_graph import moment
from app.connectors.meta_hooks import unread
from app.connectors.meta_text import digest, excerpt
from app.connectors.wire import is_web
from app.i18n import N_

COMMENT_FIELDS = (
    "id,message,created_time,from,parent{id},permalink_url,is_hidden,can_hide,can_reply_privately,attachment"
)
POST_FIELDS = (
    "id,message,story,created_time,updated_time,from,permalink_url,is_hidden,can_reply_privately,"
    "attachments{media_type,url,title,description,media}"
)
RATING_FIELDS = "created_time,recommendation_type,review_text,reviewer{id,name},open_graph_story{id}"
_SAID = frozenset({"comment", "post", "status", "photo", "video", "share"})  # items of the feed that say something


class _From(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = Field(min_length=1)
    name: str = ""


class _Entry(BaseModel):
    """A comment or a post as lists give it."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = Field(min_length=1)
    created_time: datetime
    message: str = ""
    story: str = ""
    from_: _From | None = Field(default=None, alias="from")
    permalink_url: str | None = None
    can_hide: bool = True
    can_reply_privately: bool = True


def author_of(person: _From | None, name: str) -> IncomingAuthor:
    """Who wrote it. Meta names nobody where the app or the person's settings do not allow it: then each is apart."""
    if person is None:
        return IncomingAuthor(f"unknown:{name}", N_("Somebody on Facebook"))
    shown = person.name or person.id
    return IncomingAuthor(person.id, shown, person.name)


def read_comment(raw: Any, on: Json, page_id: str, now: datetime) -> IncomingPost | Rejected:
    """A comment under the post `on`: a conversation of its own, with the answers under it."""
    try:
        entry = _Entry.model_validate(raw)
    except ValidationError:
        return unread(raw, N_("A comment without an id or a time."), _names(raw))
    parent = raw.get("parent")
    under = str(parent["id"]) if isinstance(parent, dict) and parent.get("id") else ""
    return _comment(entry, under, on, page_id, now, media=tuple(_attached(raw.get("attachment"))), payload=raw)


def _comment(
    entry: _Entry, under: str, on: Json, page_id: str, now: datetime, *, media: tuple[Media, ...], payload: Json
) -> IncomingPost:
    author = author_of(entry.from_, entry.id)
    post_id = str(on.get("id") or "")
    return IncomingPost(
        external_id=entry.id,
        thread_id=under or entry.id,
        author=author,
        text=entry.message,
        posted_at=min(entry.created_time, now),
        kind=PostKind.COMMENT,
        url=_web(entry.permalink_url),
        in_reply_to=under or post_id or None,
        own=author.external_id == page_id,
        media=(*_card(on), *media),
        ref={
            "kind": "comment",
            "id": entry.id,
            "under": under or entry.id,
            "at": entry.created_time.isoformat(),
            "person": entry.from_.id if entry.from_ else "",
            "private": entry.can_reply_privately,
            "hide": entry.can_hide,
            "sum": digest(entry.message),
        },
        payload=payload,
    )


def _card(on: Json) -> tuple[Media, ...]:
    """The post that a comment hangs on, to be looked at."""
    url = _web(on.get("permalink_url"))
    title = excerpt(str(on.get("message") or on.get("story") or ""))
    return (Media("link", url, title=title),) if url else ()


def read_post(raw: Any, page_id: str, now: datetime, kind: PostKind) -> IncomingPost | Rejected:
    """A post of a visitor, or one that names us."""
    try:
        entry = _Entry.model_validate(raw)
    except ValidationError:
        return unread(raw, N_("A post without an id or a time."), _names(raw))
    author = author_of(entry.from_, entry.id)
    text = entry.message or entry.story
    return IncomingPost(
        external_id=entry.id,
        thread_id=entry.id,
        author=author,
        text=text,
        posted_at=min(entry.created_time, now),
        kind=kind,
        url=_web(entry.permalink_url),
        own=author.external_id == page_id,
        media=tuple(media for one in _data(raw.get("attachments")) for media in _attached(one)),
        ref={
            "kind": "post",
            "id": entry.id,
            "at": entry.created_time.isoformat(),
            "person": entry.from_.id if entry.from_ else "",
            "private": entry.can_reply_privately and kind is PostKind.POST,
            "hide": kind is PostKind.POST,
            "sum": digest(text),
        },
        payload=raw,
    )


def read_rating(raw: Any, now: datetime) -> IncomingPost | Rejected:
    """A recommendation with words; it is answered by a comment on its story."""
    story = raw.get("open_graph_story") if isinstance(raw, dict) else None
    reviewer = raw.get("reviewer") if isinstance(raw, dict) else None
    at = moment(raw.get("created_time")) if isinstance(raw, dict) else None
    if not isinstance(story, dict) or not story.get("id") or at is None:
        return unread(raw, N_("A recommendation without an id or a time."))
    person = _From.model_validate(reviewer) if isinstance(reviewer, dict) and reviewer.get("id") else None
    return _recommendation(str(story["id"]), person, at, raw, now)


def _recommendation(name: str, person: _From | None, at: datetime, raw: Json, now: datetime) -> IncomingPost:
    kind = str(raw.get("recommendation_type") or "").lower()
    text = str(raw.get("review_text") or "")
    return IncomingPost(
        external_id=name,
        thread_id=name,
        author=author_of(person, name),
        text=text,
        posted_at=min(at, now),
        kind=PostKind.POST,
        title={"positive": N_("Recommends us"), "negative": N_("Does not recommend us")}.get(kind, ""),
        ref={"kind": "rating", "id": name, "at": at.isoformat(), "private": False, "hide": False, "sum": digest(text)},
        payload=raw,
    )


def read_look(raw: Json, known: KnownPost, now: datetime) -> PostChange | None:
    """What a second look says; None when the post stands as it stood."""
    text = str(raw.get("message") or raw.get("story") or "")
    return PostChange(known.external_id, now, text=text) if digest(text) != known.ref.get("sum") else None


# Deliveries

Change = IncomingPost | PostChange | Hiding | Rejected | None


def told(field: str, value: Json, page_id: str, now: datetime) -> Change:
    """What a change of the Page's feed, a mention or a rating tells; None for what says nothing (likes)."""
    at = moment(value.get("created_time")) or now
    if field == "ratings":
        return _rating_told(value, at, now)
    item = value.get("item")
    of_ours = item != "comment" and field == "feed" and _sender(value) == page_id
    if item not in _SAID or of_ours:
        return None
    name = str(value.get("comment_id") or value.get("post_id") or "")
    return (
        _said_told(field, value, name, page_id, now) if name else unread(value, N_("A comment or post without an id."))
    )


def _said_told(field: str, value: Json, name: str, page_id: str, now: datetime) -> Change:
    at, verb = moment(value.get("created_time")) or now, value.get("verb")
    if verb in {"remove", "delete"}:
        return PostChange(name, now, deleted=True)
    if verb in {"edited", "edit"}:
        return PostChange(name, now, text=str(value.get("message") or ""))
    if verb == "add":
        return _added(field, value, name, page_id, now)
    return Hiding(name, verb == "hide", at) if verb in {"hide", "unhide"} else None


def _sender(value: Json) -> str:
    person = value.get("from")
    return str(person.get("id") or "") if isinstance(person, dict) else str(value.get("sender_id") or "")


def _added(field: str, value: Json, name: str, page_id: str, now: datetime) -> IncomingPost | Rejected:
    person = value.get("from") or {"id": value.get("sender_id"), "name": value.get("sender_name")}
    story = value.get("post")
    link = story.get("permalink_url") if isinstance(story, dict) else None
    raw = {
        "id": name,
        "message": value.get("message") or "",
        "created_time": value.get("created_time"),
        "from": person if isinstance(person, dict) and person.get("id") else None,
        "permalink_url": link,
    }
    try:
        entry = _Entry.model_validate(raw)
    except ValidationError:
        return unread(value, N_("A comment or post without an id or a time."), [name])
    if value.get("item") != "comment":
        kind = PostKind.MENTION if field == "mention" else PostKind.POST
        return read_post({**value, **raw, "attachments": {"data": _photos(value)}}, page_id, now, kind)
    on = {"id": value.get("post_id"), "permalink_url": link}
    parent = str(value.get("parent_id") or "")
    under = parent if parent != str(value.get("post_id") or "") else ""
    photos = tuple(media for one in _photos(value) for media in _attached(one))
    return _comment(entry, under, on, page_id, now, media=photos, payload=value)


def _rating_told(value: Json, at: datetime, now: datetime) -> Change:
    name = str(value.get("open_graph_story_id") or "")
    if value.get("verb") != "add" or value.get("item") not in {None, "rating"}:
        return PostChange(name, at, deleted=True) if value.get("verb") == "remove" and name else None
    if not name:
        return unread(value, N_("A recommendation without an id or a time."))
    reviewer = value.get("reviewer_id")
    person = _From(id=str(reviewer), name=str(value.get("reviewer_name") or "")) if reviewer else None
    return _recommendation(name, person, at, value, now)


def _photos(value: Json) -> list[Json]:
    """The pictures that a change names."""
    listed = value.get("photos")
    found = [value.get("photo"), *(listed if isinstance(listed, list) else ())]
    return [{"media_type": "photo", "media": {"image": {"src": one}}} for one in found if isinstance(one, str)]


def _names(raw: Any) -> list[Any]:
    return [raw.get("id")] if isinstance(raw, dict) else []


def _web(url: Any) -> str | None:
    return url if isinstance(url, str) and is_web(url) else None


def _data(value: Any) -> list[Json]:
    listed = value.get("data") if isinstance(value, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _attached(one: Any) -> Iterator[Media]:
    """A picture, a film or a link of a comment or post."""
    if not isinstance(one, dict):
        return
    media = one.get("media")
    media = media if isinstance(media, dict) else {}
    image = media.get("image")
    picture = _web(image.get("src")) if isinstance(image, dict) else None
    kind, url = str(one.get("media_type") or one.get("type") or ""), _web(one.get("url"))
    title, description = str(one.get("title") or ""), str(one.get("description") or "")
    if "video" in kind and (film := _web(media.get("source")) or url):
        yield Media("video", film, description, picture, title)
    elif picture and ("photo" in kind or "sticker" in kind or not url):
        yield Media("image", picture, description, None, title)
    elif url:
        yield Media("link", url, description, picture, title)
