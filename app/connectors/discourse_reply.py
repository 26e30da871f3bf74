"""Answers: what is frozen, sending it into the topic or as a private message, finding it again, changing it.

Rules: docs.discourse.org ("Creates a new topic, a new post, or a private message", "Creates an upload", "Update a single
post"). A forum gives the same answer to the same request for two minutes (app/controllers/posts_controller.rb, `create`),
which is too short to rely on: a reply in doubt is looked for.
"""

import re
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from app.connectors.base import Json, OutgoingReply, Picture, Sent, Standing, Visibility
from app.connectors.discourse_api import Forum, Gone
from app.connectors.discourse_posts import Post, name_of
from app.connectors.discourse_topics import listed
from app.connectors.discourse_walk import first_of, posts_of
from app.connectors.length import refuse_long
from app.connectors.sent import may_stand_since
from app.connectors.text import essence
from app.connectors.wire import uploading
from app.errors import Malformed, MaybeSent, Refused
from app.i18n import N_

LIMIT = 32_000  # characters: the site setting max_post_length, as it comes
_LONGEST_TITLE = 250
_LATEST = 100  # posts of a topic that are looked through
_UNSAFE = re.compile(r"[\[\]|\\\r\n]+")
NO_MORE = N_("The reply does not stand on %(host)s any more.")


def prepared(reply: OutgoingReply) -> Json:
    """What is sent, frozen. Raises Refused when it is too long."""
    refuse_long(len(reply.text), LIMIT)
    to = reply.to
    under = reply.after or to
    body: Json = {"raw": reply.text, "under": under["id"], "topic": under["topic"], "number": under["number"]}
    if reply.visibility is Visibility.DIRECT and not to.get("direct") and not reply.after:
        title = f"Re: {to.get('title') or to['user']}"[:_LONGEST_TITLE]
        return body | {"message": {"title": title, "target_recipients": to["user"], "archetype": "private_message"}}
    return body


async def sent(forum: Forum, reply: OutgoingReply) -> Sent:
    """Send once: where the post stands now that is answered, or as a message to its author. Raises ConnectorError."""
    frozen = reply.prepared
    with uploading():
        place = frozen.get("message") or await _place(forum, frozen)
        tail = "".join([await _uploaded(forum, picture, number) for number, picture in enumerate(reply.pictures, 1)])
    answer = await forum.post("/posts.json", {**place, "raw": frozen["raw"] + tail})
    if answer.get("action") == "enqueued" or "pending_post" in answer:
        raise Refused(
            N_("%(host)s holds the reply until a moderator approves it. Have it approved there; do not send it again.")
            % {"host": forum.host}
        )
    standing = _standing(forum, answer, frozen["raw"] + tail, frozen["raw"])
    if standing is None:
        raise Malformed(N_("%(host)s took the reply but did not say where it stands.") % {"host": forum.host})
    return standing


async def _place(forum: Forum, frozen: Json) -> Json:
    """Posts are moved between topics, so the forum is asked where this one is. Raises Refused when it is gone."""
    post = await standing_post(forum, frozen["under"])
    if post is None:
        raise Refused(N_("The post that is answered does not stand on %(host)s any more.") % {"host": forum.host})
    return {"topic_id": post.topic_id, "reply_to_post_number": post.post_number}


async def standing_post(forum: Forum, number: int) -> Post | None:
    """A post as it is now; None when it is gone. Raises ConnectorError."""
    raw = await forum.seen(f"/posts/{number}.json")
    try:
        post = Post.model_validate(raw) if raw is not None else None
    except ValidationError as error:
        raise forum.odd() from error
    return None if post is None or post.gone else post


async def _uploaded(forum: Forum, picture: Picture, number: int) -> str:
    """The Markdown of a picture that the forum has taken."""
    file = {"file": (f"picture-{number}.{picture.kind.rpartition('/')[2]}", picture.content, picture.kind)}
    taken = await forum.upload("/uploads.json", file, {"upload_type": "composer", "synchronous": "true"})
    short = taken.get("short_url")
    if not isinstance(short, str) or not short.startswith("upload://"):
        raise Malformed(N_("%(host)s took a picture but did not say how it is called.") % {"host": forum.host})
    alt = _UNSAFE.sub(" ", picture.alt).strip()
    return f"\n\n![{alt}|{picture.width}x{picture.height}]({short})"


def _standing(forum: Forum, raw: Any, whole: str, text: str) -> Sent | None:
    """Where a post of ours stands. What follows our words (its pictures) is kept, as an edit writes it again."""
    try:
        post = Post.model_validate(raw)
    except ValidationError:
        return None
    ref = {"id": post.id, "topic": post.topic_id, "number": post.post_number, "tail": whole[len(text) :]}
    url = f"{forum.base}/t/{post.topic_slug or '-'}/{post.topic_id}/{post.post_number}"
    return Sent(name_of(forum, post.topic_id, post.post_number), url, post.created_at, ref)


async def found(forum: Forum, reply: OutgoingReply) -> Sent | None:
    """The reply among the latest posts of its topic, or among the messages that we sent. Raises ConnectorError."""
    since = may_stand_since(reply)
    frozen = reply.prepared
    if message := frozen.get("message"):
        raws = await _messages(forum, message["title"], since)
        parent = None
    else:
        under = await standing_post(forum, frozen["under"])
        raws = await _latest(forum, under.topic_id if under else frozen["topic"])
        parent = under.post_number if under else frozen["number"]
    me = await forum.me()
    for raw in raws:
        try:
            post = Post.model_validate(raw)
        except ValidationError as error:
            raise forum.odd() from error
        ours = post.yours or (post.user_id is not None and forum.author(post.user_id, "").external_id == me.external_id)
        placed = parent is None or (post.reply_to_post_number or 1) == parent
        if ours and placed and post.created_at >= since and essence(post.raw).startswith(essence(frozen["raw"])):
            tail = essence(post.raw)[len(essence(frozen["raw"])) :]
            if not tail or tail.startswith("!["):
                return _standing(forum, raw, post.raw, frozen["raw"])
    return None


async def _latest(forum: Forum, topic: int) -> list[Json]:
    """The latest posts of a topic, with what was written in them; none when the topic is gone."""
    answer = await forum.seen(f"/t/{topic}.json", include_raw="true")
    if answer is None:
        return []
    stream = answer.get("post_stream")
    ids = stream.get("stream") if isinstance(stream, dict) else None
    if not isinstance(ids, list):
        raise MaybeSent(N_("The topic on %(host)s is too long to look through it.") % {"host": forum.host})
    raws = {raw.get("id"): raw for raw in posts_of(answer)}
    missing = [number for number in ids[-_LATEST:] if isinstance(number, int) and number not in raws]
    if missing:
        asked: dict[str, str | int | list[int]] = {"post_ids[]": missing, "include_raw": "true"}
        more = await forum.get(f"/t/{topic}/posts.json", **asked)
        raws |= {raw.get("id"): raw for raw in posts_of(more)}
        if not raws.keys() >= set(missing):
            raise forum.odd()
    return list(raws.values())


async def _messages(forum: Forum, title: str, since: datetime) -> list[Json]:
    """The first posts of messages that we sent since then under this title."""
    path = f"/topics/private-messages-sent/{forum.username}.json"
    topics, whole = await listed(forum, path, {}, lambda topic: topic.active_at < since)
    if not whole:
        raise MaybeSent(N_("We sent too much on %(host)s to look through it.") % {"host": forum.host})
    firsts = []
    for topic in topics:
        if topic.created_at >= since and topic.title.strip() == title.strip():
            answer = await forum.seen(f"/t/{topic.id}.json", include_raw="true")
            first = first_of(answer) if answer is not None else None
            firsts += [first] if first is not None else []
    return firsts


async def edited(forum: Forum, reply: Standing, text: str) -> None:
    """Make our post say this, its pictures kept. Raises Refused when it is gone."""
    refuse_long(len(text), LIMIT)
    raw = text + str(reply.ref.get("tail") or "")
    post = await standing_post(forum, _number(reply))
    if post is None:
        raise Refused(NO_MORE % {"host": forum.host})
    if post.raw == raw:
        return
    try:
        answer = await forum.put(f"/posts/{post.id}.json", {"post": {"raw": raw}})
    except Gone:
        raise Refused(NO_MORE % {"host": forum.host}) from None
    told = answer.get("post")
    if not isinstance(told, dict) or told.get("id") != post.id:
        raise forum.odd()


async def deleted(forum: Forum, reply: Standing) -> None:
    """Delete our post, or the message that begins with it; one that is gone already is no error."""
    post = await standing_post(forum, _number(reply))
    if post is None:
        return
    try:
        await forum.delete(f"/t/{post.topic_id}.json" if post.post_number == 1 else f"/posts/{post.id}.json")
    except Gone:
        return


def _number(reply: Standing) -> int:
    number = reply.ref.get("id")
    if not isinstance(number, int):
        raise Refused(N_("Nobody told Careline which post this reply is. Change it on the forum itself."))
    return number
