"""Messages of Messenger and of Instagram: read from deliveries and from lists, sent, found again, and their windows.

Rules: developers.facebook.com/docs/messenger-platform/send-messages, /webhooks (messages, message_echoes, message_edits),
/discovery/private-replies, /policy/policy-overview ("24-hour standard messaging window", "Human Agent");
/docs/messenger-platform/instagram/features; /docs/graph-api/reference/page/conversations and /reference/conversation.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.connectors.base import (
    Batch,
    IncomingAuthor,
    IncomingPost,
    Json,
    Media,
    OutgoingReply,
    PostChange,
    PostKind,
    Rejected,
    Sent,
    Visibility,
    Window,
)
from app.connectors.meta_account import Page
from app.connectors.meta_graph import moment, page_of
from app.connectors.meta_hooks import Told, unread
from app.connectors.meta_walk import OVERLAP, Newest
from app.connectors.sent import may_stand_since, same
from app.connectors.wire import is_web
from app.errors import Malformed, MaybeSent, Refused, Unauthorized
from app.i18n import N_

ANSWER_TIME = timedelta(hours=24)  # of a message
HUMAN_TIME = timedelta(days=7)  # with the tag of a person who answers; also of a private reply to a comment
MESSAGE, COMMENT = "message", "comment"  # `kind` of a ref
LONGEST = 2000  # characters of a message of Messenger

_FIELDS = "id,created_time,from,to,message,attachments,sticker,shares{link,name,description}"
_AT_ONCE = 25  # messages of a conversation
_PAGES = 4  # of messages of one conversation in a call
_KINDS = {"image": "image", "video": "video", "audio": "audio", "file": "file", "ig_reel": "video", "reel": "video"}


class _Person(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = Field(min_length=1)
    name: str = ""
    username: str = ""


class _Listed(BaseModel):
    """A message as lists give it."""

    model_config = ConfigDict(extra="ignore")
    id: str = Field(min_length=1)
    created_time: datetime
    from_: _Person = Field(alias="from")
    message: str = ""


def _author(person: _Person, place: str) -> IncomingAuthor:
    handle = person.username or person.name or person.id
    url = f"https://www.instagram.com/{person.username}/" if person.username and place == "instagram" else None
    return IncomingAuthor(person.id, handle, person.name or person.username, url)


def named(found: Page, place: str) -> IncomingAuthor:
    """Ourselves, as we write messages there."""
    if place == "instagram":
        return IncomingAuthor(found.instagram_id, found.instagram_name)
    return IncomingAuthor(found.id, found.name, found.name, f"https://www.facebook.com/{found.id}")


Sides = tuple[IncomingAuthor, IncomingAuthor]  # who wrote a message, and we


def _post(mid: str, customer: str, who: Sides, at: datetime, text: str, **more: Any) -> IncomingPost:
    """A message in the conversation with this customer."""
    author, us = who
    own = author.external_id == us.external_id
    ref = {"kind": MESSAGE, "id": mid, "person": customer, "at": at.isoformat()}
    return IncomingPost(
        external_id=mid,
        thread_id=f"messages:{us.external_id}:{customer}",
        author=author,
        text=text,
        posted_at=at,
        kind=PostKind.DIRECT,
        visibility=Visibility.DIRECT,
        own=own,
        ref=ref,
        **more,
    )


# Deliveries


def read_event(event: Json, us: IncomingAuthor, now: datetime) -> IncomingPost | PostChange | Rejected | None:
    """A messaging event as a message, its edit or its deletion; None for what is no message (read receipts)."""
    edit, message = event.get("message_edit"), event.get("message")
    if isinstance(edit, dict) and isinstance(edit.get("mid"), str):
        return PostChange(edit["mid"], moment(event.get("timestamp")) or now, text=str(edit.get("text") or ""))
    if not isinstance(message, dict):
        message = event.get("postback")
        if not isinstance(message, dict):
            return None
        message = {"mid": message.get("mid"), "text": message.get("title")}
    at, mid = moment(event.get("timestamp")), message.get("mid")
    sender, recipient = _id(event.get("sender")), _id(event.get("recipient"))
    if not (isinstance(mid, str) and mid and at and sender and recipient):
        return unread(event, N_("A message without an id, a time, its sender or its recipient."), [mid])
    if message.get("is_deleted") is True:
        return PostChange(mid, at, deleted=True)
    text = message.get("text")
    customer = recipient if sender == us.external_id else sender
    if us.external_id not in {sender, recipient}:
        return None  # of another Page of the same app
    author = us if sender == us.external_id else IncomingAuthor(sender, sender)
    media = tuple(_media_told(message.get("attachments")))
    replied = message.get("reply_to")
    story = replied.get("story") if isinstance(replied, dict) else None
    if isinstance(story, dict) and is_web(str(story.get("url"))):
        media = (Media("link", story["url"], title=N_("Our story")), *media)
    parent = replied.get("mid") if isinstance(replied, dict) else None
    said = text if isinstance(text, str) else ""
    return _post(
        mid, customer, (author, us), min(at, now), said, media=media, in_reply_to=parent if isinstance(parent, str) else None, payload=event
    )  # fmt: skip


def _id(value: Any) -> str:
    return str(value.get("id") or "") if isinstance(value, dict) else ""


def _media_told(attachments: Any) -> Iterator[Media]:
    for one in attachments if isinstance(attachments, list) else ():
        payload = one.get("payload") if isinstance(one, dict) else None
        url = (payload.get("url") if isinstance(payload, dict) else None) or (one.get("url") if isinstance(one, dict) else None)  # fmt: skip
        if isinstance(url, str) and is_web(url):
            title = (payload.get("title") if isinstance(payload, dict) else "") or one.get("title") or ""
            yield Media(_KINDS.get(str(one.get("type")), "link"), url, title=str(title))


async def with_names(found: Page, place: str, batch: Batch) -> Batch:
    """The messages of a delivery with the names of their writers, which it does not tell. Whom Meta does not name stays so."""
    fields = "name,username,profile_pic" if place == "instagram" else "name,profile_pic"
    names: dict[str, IncomingAuthor] = {}
    for post in batch.posts:
        person = post.author
        if post.kind is PostKind.DIRECT and person.handle == person.external_id and person.external_id not in names:
            try:
                names[person.external_id] = _profile(await found.graph.get(person.external_id, fields=fields), person)
            except (Refused, Unauthorized):
                continue
    told = tuple(replace(post, author=names.get(post.author.external_id, post.author)) for post in batch.posts)
    return replace(batch, posts=told)


def _profile(raw: Json, person: IncomingAuthor) -> IncomingAuthor:
    picture, username, name = raw.get("profile_pic"), raw.get("username"), raw.get("name")
    return replace(
        person,
        handle=str(username or name or person.handle),
        name=str(name or username or ""),
        url=f"https://www.instagram.com/{username}/" if username else None,
        avatar_url=picture if is_web(str(picture)) else None,
    )


# Lists


async def read_conversations(found: Page, place: str, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    """Read what is new in all conversations; returns the state to go on from, and whether more waits.

    A conversation that moves to the top while the list is read is missed where it was: so each walk reads messages
    down to where the walk before it began.
    """
    fields = f"id,updated_time,participants,messages.limit({_AT_ONCE}){{{_FIELDS}}}"
    walk = Newest(found.graph, f"{found.id}/conversations", state, _updated, platform=place, fields=fields, limit=20)
    before = moment(state["before"]) if state.get("before") else walk.mark
    us = named(found, place)
    for one in await walk.entries():
        await _read_conversation(found, one, before, told, us=us, place=place, now=now)
    kept = walk.state()
    going = walk.mark if not walk.more else before
    return {**kept, **({"before": going.isoformat()} if going else {})}, walk.more


def _updated(one: Any) -> datetime | None:
    return moment(one.get("updated_time")) if isinstance(one, dict) else None


async def _read_conversation(
    found: Page, one: Any, before: datetime | None, told: Told, *, us: IncomingAuthor, place: str, now: datetime
) -> None:
    if not isinstance(one, dict) or not isinstance(one.get("messages"), dict):
        told.add(
            unread(one, N_("A conversation without its messages."), [one.get("id")] if isinstance(one, dict) else ())
        )
        return
    page = page_of(one["messages"])
    for _ in range(_PAGES):
        for raw in page.entries:
            told.add(_listed(raw, us, place, now))
        times = [at for at in (moment(raw.get("created_time")) for raw in page.entries if isinstance(raw, dict)) if at]
        if not page.after or before is None or (times and min(times) <= before - OVERLAP):
            return
        page = await found.graph.edge(f"{one['id']}/messages", page.after, fields=_FIELDS, limit=_AT_ONCE)


def _listed(raw: Any, us: IncomingAuthor, place: str, now: datetime) -> IncomingPost | Rejected:
    try:
        message = _Listed.model_validate(raw)
    except ValidationError:
        return unread(raw, N_("A message without an id, a time or its sender."), [raw.get("id")] if isinstance(raw, dict) else ())  # fmt: skip
    author = us if message.from_.id == us.external_id else _author(message.from_, place)
    to = raw.get("to")
    others = [_id(one) for one in to.get("data", ())] if isinstance(to, dict) else []
    customer = author.external_id if author is not us else next((one for one in others if one), "")
    media = tuple(_media_listed(raw))
    return _post(
        message.id, customer, (author, us), min(message.created_time, now), message.message, media=media, payload=raw
    )


def _media_listed(raw: Json) -> Iterator[Media]:
    for one in _data(raw.get("attachments")):
        image, video = one.get("image_data"), one.get("video_data")
        name = str(one.get("name") or "")
        if isinstance(image, dict) and is_web(str(image.get("url"))):
            yield Media("image", image["url"], title=name)
        elif isinstance(video, dict) and is_web(str(video.get("url"))):
            preview = video.get("preview_url")
            yield Media("video", video["url"], preview_url=preview if is_web(str(preview)) else None, title=name)
        elif is_web(str(one.get("file_url"))):
            kind = "audio" if str(one.get("mime_type")).startswith("audio/") else "file"
            yield Media(kind, one["file_url"], title=name)
    if is_web(str(raw.get("sticker"))):
        yield Media("image", raw["sticker"])
    for one in _data(raw.get("shares")):
        if is_web(str(one.get("link"))):
            yield Media(
                "link", one["link"], title=str(one.get("name") or ""), description=str(one.get("description") or "")
            )


def _data(value: Any) -> list[Json]:
    listed = value.get("data") if isinstance(value, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


# Answers


def message_window(to: Json, *, human_agent: bool) -> Window:
    """A message is answered within 24 hours, and by a person within seven days where Meta has allowed that."""
    opened = moment(to.get("at")) or _LONG_AGO
    if human_agent:
        return Window(opened + HUMAN_TIME, _WRITES_AGAIN_WEEK, opened)
    return Window(opened + ANSWER_TIME, _WRITES_AGAIN_DAY, opened)


_WRITES_AGAIN_DAY = N_("Meta takes answers to a message for 24 hours. You can go on when the customer writes again.")
_WRITES_AGAIN_WEEK = N_("Meta takes answers to a message for 7 days. You can go on when the customer writes again.")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_PRIVATELY = N_("This cannot be answered privately. You can still answer in public.")
_PRIVATELY = N_("Meta takes a private reply to a comment once, within 7 days. You can still answer in public.")


def private_window(to: Json, *, possible: bool) -> Window:
    """A comment is answered privately once, within seven days, where its author lets anybody do that."""
    opened = moment(to.get("at")) or _LONG_AGO
    return Window(opened + HUMAN_TIME, _PRIVATELY, opened, once=True) if possible else Window(_LONG_AGO, _NOT_PRIVATELY)


def body_of(reply: OutgoingReply, now: datetime) -> Json:
    """The message as it is sent: after 24 hours under the tag that tells that a person answers."""
    to = reply.to
    if to.get("kind") != MESSAGE:
        place = "post_id" if to.get("kind") == "post" else "comment_id"
        return {"recipient": {place: to["id"]}, "message": {"text": reply.text}}
    body: Json = {"recipient": {"id": to["person"]}, "message": {"text": reply.text}, "messaging_type": "RESPONSE"}
    opened = moment(to.get("at"))
    if opened is not None and now >= opened + ANSWER_TIME:
        body |= {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    return body


async def send_message(found: Page, reply: OutgoingReply, now: datetime) -> Sent:
    """Send once. Raises ConnectorError, MaybeSent among them."""
    answer = await found.graph.post(f"{found.id}/messages", reply.prepared["body"])
    mid = answer.get("message_id")
    if not isinstance(mid, str) or not mid:
        raise Malformed(N_("Meta took the message but did not say where it stands."))
    return Sent(mid, None, now, {"kind": MESSAGE, "id": mid}, found.graph.budget)


async def find_message(found: Page, place: str, reply: OutgoingReply) -> Sent | None:
    """Look the message up in the conversation with its customer, since shortly before the first try."""
    person = reply.to.get("person")
    if not person:
        raise MaybeSent(
            N_("Meta does not say who wrote the comment, so the conversation with them cannot be looked up.")
        )
    since = may_stand_since(reply)
    us = named(found, place).external_id
    fields = "id,messages.limit(50){id,created_time,from,message}"
    listed = await found.graph.edge(f"{found.id}/conversations", platform=place, user_id=person, fields=fields)
    for one in listed.entries:
        if not isinstance(one, dict) or not isinstance(one.get("messages"), dict):
            raise Malformed(N_("Meta answered with a conversation that has no messages."))
        page = page_of(one["messages"])
        for raw in page.entries:
            at = moment(raw.get("created_time"))
            if at is not None and at < since:
                break
            if _id(raw.get("from")) == us and same(
                str(raw.get("message") or ""), reply.prepared["body"]["message"]["text"]
            ):
                return Sent(str(raw["id"]), None, at, {"kind": MESSAGE, "id": str(raw["id"])}, found.graph.budget)
        else:
            if page.after:
                raise MaybeSent(N_("There was too much written since the first try to look through it all."))
    return None
