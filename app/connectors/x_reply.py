"""Replies and messages: the body that is frozen, sending it, and finding it again among our own.

Rules: docs.x.com, "Create or Edit Post", "Manage Direct Messages", "Post timelines"; the OpenAPI description.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from app.connectors.base import Capabilities, IncomingAuthor, Json, Length, OutgoingReply, Pictures, Sent, Visibility
from app.connectors.length import count, refuse_long
from app.connectors.sent import may_stand_since, same
from app.connectors.text import essence
from app.connectors.x_api import Api, entries
from app.connectors.x_posts import (
    DM_FIELDS,
    DM_LIMIT,
    SITE,
    Message,
    Post,
    dm_name,
    readable,
    without_mentions,
)
from app.errors import Malformed, MaybeSent, Refused
from app.i18n import N_

One = TypeVar("One", Post, Message)
_PAGES = 5  # of own posts that are looked through


def able(to: Json, usual: Capabilities) -> Capabilities:
    """A message may be longer than a post, and carries one picture."""
    if "message" not in to:
        return replace(usual, visibilities=(Visibility.PUBLIC,))
    pictures: Pictures | None = replace(usual.pictures, most=1) if usual.pictures else None
    return replace(
        usual, length_limit=DM_LIMIT, length_counts=Length.CHARACTERS, pictures=pictures, threads=False, find_sent=True,
        visibilities=(Visibility.DIRECT,),
    )  # fmt: skip


def body_of(reply: OutgoingReply, usual: Capabilities) -> Json:
    """What is sent, frozen. Raises Refused when X would never take it."""
    can = able(reply.to, usual)
    refuse_long(count(reply.text, can.length_counts), can.length_limit)
    if can.pictures and len(reply.pictures) > can.pictures.most:
        raise Refused(N_("A message on X carries one picture. Send the others in messages of their own."))
    if "message" in reply.to:
        return {"conversation": reply.to["conversation"], "text": reply.text}
    return {"text": reply.text, "reply": {"in_reply_to_tweet_id": reply.after.get("id", reply.to["id"])}}


async def send(api: Api, me: IncomingAuthor, prepared: Json, media: list[str]) -> Sent:
    """Send once. Raises ConnectorError, MaybeSent among them."""
    if "conversation" in prepared:
        body: Json = {"text": prepared["text"]} | (
            {"attachments": [{"media_id": one} for one in media]} if media else {}
        )
        path = f"/2/dm_conversations/{prepared['conversation']}/messages"
        said = _data(await api.send("POST", "message", path, body)).get("dm_event_id")
        return _message_sent(said, prepared["conversation"], api.link.now)
    body = prepared | ({"media": {"media_ids": media}} if media else {})
    name = _data(await api.send("POST", "post", "/2/tweets", body)).get("id")
    if not isinstance(name, str) or not name:
        raise _unnamed()
    return Sent(name, f"{SITE}/{me.handle}/status/{name}", api.link.now, {"id": name})


async def find(api: Api, me: IncomingAuthor, reply: OutgoingReply) -> Sent | None:
    """The reply among what we wrote since shortly before the first try.

    Raises MaybeSent when there is more to look through than a call may read: that is no proof that it is not there.
    """
    since = may_stand_since(reply)
    if "conversation" in reply.prepared:
        return await _find_message(api, me, reply, since)
    asked: dict[str, str | int] = {
        "max_results": 100,
        "exclude": "retweets",
        "start_time": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tweet.fields": "author_id,conversation_id,created_at,entities,id,note_tweet,referenced_tweets,text",
    }
    for _ in range(_PAGES):
        answer = await api.get("timeline", f"/2/users/{me.external_id}/tweets", asked)
        await api.paid(answer)
        for raw in entries(answer):
            post = _read(Post, raw)
            if _is(post, reply):
                return Sent(post.name, f"{SITE}/{me.handle}/status/{post.id}", post.created_at, {"id": post.newest})
        token = _next(answer)
        if token is None:
            return None
        asked["pagination_token"] = token
    raise _too_much()


async def _find_message(api: Api, me: IncomingAuthor, reply: OutgoingReply, since: datetime) -> Sent | None:
    conversation = reply.prepared["conversation"]
    asked: dict[str, str | int] = {**DM_FIELDS, "max_results": 100}
    for _ in range(_PAGES):
        answer = await api.get("messages", f"/2/dm_conversations/{conversation}/dm_events", asked)
        for raw in entries(answer):
            message = _read(Message, raw)
            if message.created_at < since:
                return None
            mine = message.sender_id == me.external_id
            if mine and same(readable(message.text, message.entities), reply.prepared["text"]):
                return _message_sent(message.id, conversation, message.created_at)
        token = _next(answer)
        if token is None:
            return None
        asked["pagination_token"] = token
    raise _too_much()


def _read(model: type[One], raw: Any) -> One:
    """What cannot be read is no proof that the reply is not there. Raises Malformed."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise Malformed(N_("X showed something among our own posts that cannot be read.")) from error


def _is(post: Post, reply: OutgoingReply) -> bool:
    if post.refers("replied_to") != reply.prepared["reply"]["in_reply_to_tweet_id"]:
        return False
    mine = essence(reply.prepared["text"])
    return mine in {essence(post.written), essence(without_mentions(post.written))}


def _message_sent(name: Any, conversation: str, at: datetime) -> Sent:
    if not isinstance(name, str) or not name:
        raise _unnamed()
    return Sent(dm_name(name), None, at, {"message": name, "conversation": conversation})


def _data(answer: Json) -> Json:
    found = answer.get("data")
    return found if isinstance(found, dict) else {}


def _next(answer: Json) -> str | None:
    meta = answer.get("meta")
    token = meta.get("next_token") if isinstance(meta, dict) else None
    return token if isinstance(token, str) and token else None


def _unnamed() -> Malformed:
    return Malformed(N_("X took the reply but did not say where it stands."))


def _too_much() -> MaybeSent:
    return MaybeSent(N_("Our account wrote too much on X since the first try to look through it all."))
