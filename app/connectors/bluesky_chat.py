"""Messages of Bluesky's chat: read by its log from now on, by conversations for what stood there before.

Sources: the lexicons `chat.bsky.convo.getLog` (which begins at the moment of the first call, and tells of every
conversation, requests among them), `listConvos`, `listConvoRequests`, `getMessages`, `getConvo` and `defs`. A chat is a
service of its own, reached through our own server (atproto.com/specs/xrpc, "Service Proxying"). Reading marks nothing as
read and accepts no request; groups are left out, since an answer there is read by everybody in them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.connectors.base import (
    Batch,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    PostChange,
    PostKind,
    Rejected,
    Visibility,
)
from app.connectors.bluesky_json import as_dict, as_list, parse_time
from app.connectors.bluesky_posts import hung_on, read_author
from app.connectors.bluesky_xrpc import Xrpc, XrpcError
from app.connectors.text import storable, storable_json
from app.errors import Malformed
from app.i18n import N_

PAGE = 100  # messages; the most that the lexicon allows
CONVERSATIONS = 10  # in a call of a look back, each with a page of messages
_MOST_LISTS = 20  # pages of conversations in a look back
_MOST_PAGES = 5  # of one conversation in a look back
_MOST_LOGS = 4  # pages of the log in a call
_SILENCE = timedelta(
    days=1
)  # nobody says how long the log is kept: after this long the conversations are looked through
_OVERLAP = timedelta(minutes=10)
_LISTS = {
    "accepted": ("chat.bsky.convo.listConvos", "convos"),
    "request": ("chat.bsky.convo.listConvoRequests", "requests"),
}
_DEFS = "chat.bsky.convo.defs#"


def name_of(convo: str, message: str) -> str:
    """What identifies a message."""
    return f"chat:{convo}/{message}"


@dataclass(slots=True)
class Told:
    """What a call brought, each message once."""

    did: str
    now: datetime
    posts: dict[str, IncomingPost] = field(default_factory=dict)
    changes: dict[str, PostChange] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)

    def take(self, convo: Json, message: Json) -> None:
        """A message of a conversation, or what is left of one that was deleted for us."""
        convo_id, message_id = storable(str(convo.get("id"))), storable(str(message.get("id")))
        name, kind = name_of(convo_id, message_id), str(message.get("$type"))
        if kind == f"{_DEFS}deletedMessageView":
            self.changes[name] = PostChange(name, self.now, deleted=True)
        if kind != f"{_DEFS}messageView":
            return
        try:
            self.posts[name] = read_message(convo, message, self.did, self.now)
        except Malformed as error:
            self.rejected.append(Rejected(name, error.message, storable_json(message)))

    def batch(self, cursor: Json, *, more: bool, api: Xrpc, cut: bool) -> Batch:
        """All of it, the oldest first."""
        notice = N_("The first look back ended after %(count)s conversations.") % {"count": CONVERSATIONS * _MOST_LISTS}
        return Batch(
            posts=tuple(sorted(self.posts.values(), key=lambda post: post.posted_at)),
            changes=tuple(self.changes.values()),
            cursor=cursor,
            more=more,
            rejected=tuple(self.rejected),
            budget=api.budget,
            notice=notice if cut else "",
        )


def read_message(convo: Json, message: Json, our_did: str, now: datetime) -> IncomingPost:
    """A message between somebody and us. Raises Malformed when it is none that could be shown."""
    convo_id, message_id, text = storable(str(convo["id"])), message.get("id"), message.get("text")
    sender, sent_at = as_dict(message.get("sender")).get("did"), parse_time(message.get("sentAt"))
    if not (
        isinstance(message_id, str) and message_id and isinstance(text, str) and isinstance(sender, str) and sent_at
    ):
        raise Malformed(N_("A message came without an id, a text, its sender or its time."))
    author = _author(convo, storable(sender))
    answers = as_dict(message.get("replyTo")).get("id")
    return IncomingPost(
        external_id=name_of(convo_id, storable(message_id)),
        thread_id=f"chat:{convo_id}",
        author=author,
        text=storable(text),
        posted_at=min(sent_at, now),
        kind=PostKind.DIRECT,
        visibility=Visibility.DIRECT,
        url=f"https://bsky.app/messages/{convo_id}",
        in_reply_to=name_of(convo_id, storable(answers)) if isinstance(answers, str) else None,
        own=author.external_id == our_did,
        media=tuple(hung_on(message, message)),
        ref={"convo": convo_id, "message": storable(message_id)},
        payload=storable_json(message),
    )


def _author(convo: Json, did: str) -> IncomingAuthor:
    for member in as_list(convo.get("members")):
        if as_dict(member).get("did") == did:
            return read_author(member)
    return IncomingAuthor(did, did)


def is_between_two(convo: Json) -> bool:
    """Whether only we and one other are in it."""
    kind = as_dict(convo.get("kind")).get("$type")
    return kind == f"{_DEFS}directConvo" if kind else len(as_list(convo.get("members"))) <= 2  # noqa: PLR2004 - us and them


async def read_messages(api: Xrpc, link: Link, cursor: Json) -> Batch:
    """What the log tells since the cursor, and a step of the look back where one is under way."""
    told = Told(await api.did(), link.now)
    log, back = cursor.get("log"), cursor.get("back")
    last = parse_time(cursor.get("at"))
    if last is not None and link.now - last > _SILENCE and back is None:
        back = _look_back_since(last)
    try:
        log, more = await _read_log(api, log, told)
    except XrpcError:
        if log is None:
            raise
        (log, more), back = await _read_log(api, None, told), _look_back_since(last)  # the log's beginning has gone on
    if cursor.get("log") is None:
        back = back or _look_back_since(None)
    cut = False
    for _ in _LISTS:
        if back is not None:
            back, ended = await _step_back(api, back, told)
            cut = cut or ended
    kept = {"log": log, "at": link.now.isoformat()} | ({"back": back} if back else {})
    return told.batch(kept, more=more or back is not None, api=api, cut=cut)


async def newest_message(api: Xrpc, now: datetime) -> IncomingPost | None:
    """The last message of the conversation that was busy last."""
    told = Told(await api.did(), now)
    for status in _LISTS:
        convos, _ = await _conversations(api, status, None)
        for convo in convos:
            told.take(convo, as_dict(convo.get("lastMessage")))
        if told.posts:
            return max(told.posts.values(), key=lambda post: post.posted_at)
    return None


async def _read_log(api: Xrpc, log: str | None, told: Told) -> tuple[str, bool]:
    """Pages of the log: where it stands now, and whether there may be more."""
    convos: dict[str, Json] = {}
    for _ in range(_MOST_LOGS):
        answer = await api.query("chat.bsky.convo.getLog", cursor=log)
        lines, following = _lines(answer, "logs", "getLog"), answer.get("cursor")
        if not isinstance(following, str | None):
            raise _of_another_shape(api)
        for line in map(as_dict, lines):
            await _take_logged(api, line, convos, told)
        before, log = log, following or log
        if not lines or log == before:
            return log or "", False
    return log or "", True


async def _take_logged(api: Xrpc, line: Json, convos: dict[str, Json], told: Told) -> None:
    convo_id, kind = line.get("convoId"), line.get("$type")
    if kind not in {f"{_DEFS}logCreateMessage", f"{_DEFS}logDeleteMessage"} or not isinstance(convo_id, str):
        return
    message = as_dict(line.get("message"))
    if kind == f"{_DEFS}logDeleteMessage":
        name = name_of(storable(convo_id), storable(str(message.get("id"))))
        told.changes[name] = PostChange(name, told.now, deleted=True)
        return
    if convo_id not in convos:
        convos[convo_id] = await conversation(api, convo_id) or {}
    if convos[convo_id] and is_between_two(convos[convo_id]):
        told.take(convos[convo_id], message)


async def conversation(api: Xrpc, convo_id: str) -> Json | None:
    """A conversation of ours; None when we are not in it any more."""
    try:
        answer = await api.query("chat.bsky.convo.getConvo", convoId=convo_id)
    except XrpcError as error:
        if error.error == "InvalidConvo":
            return None
        raise
    convo = as_dict(answer.get("convo"))
    if convo.get("id") != convo_id:
        raise _of_another_shape(api)
    return convo


def _look_back_since(when: datetime | None) -> Json:
    return {"status": "accepted", "at": None, "pages": 0, "since": when and (when - _OVERLAP).isoformat()}


async def _step_back(api: Xrpc, back: Json, told: Told) -> tuple[Json | None, bool]:
    """A page of conversations with their messages; how the look back goes on, and whether it was cut short."""
    since, status = parse_time(back.get("since")), back["status"]
    try:
        convos, following = await _conversations(api, status, back["at"])
    except XrpcError:
        if back["at"] is None:
            raise
        return {**back, "at": None}, False  # the list's cursor is not understood any more
    for convo in convos:
        if is_between_two(convo) and not _is_older(as_dict(convo.get("lastMessage")), since):
            await _take_conversation(api, convo, since, told)
    pages, done = back["pages"] + 1, following is None or following == back["at"]
    done = done or (bool(convos) and all(_is_older(as_dict(one.get("lastMessage")), since) for one in convos))
    if not done and pages < _MOST_LISTS:
        return {**back, "at": following, "pages": pages}, False
    after = {**back, "status": "request", "at": None, "pages": 0} if status == "accepted" else None
    return after, not done


async def _take_conversation(api: Xrpc, convo: Json, since: datetime | None, told: Told) -> None:
    """Its newest page of messages; all since a moment, where that is known."""
    at = None
    for _ in range(_MOST_PAGES if since else 1):
        messages, at = await messages_page(api, convo["id"], at)
        for message in messages:
            if not _is_older(message, since):
                told.take(convo, message)
        if at is None or any(_is_older(message, since) for message in messages):
            return


async def messages_page(api: Xrpc, convo_id: str, at: str | None) -> tuple[list[Json], str | None]:
    """A page of a conversation, the newest message first, and the cursor of the next one."""
    answer = await api.query("chat.bsky.convo.getMessages", convoId=convo_id, limit=PAGE, cursor=at)
    return [as_dict(one) for one in _lines(answer, "messages", "getMessages")], _following(answer)


async def _conversations(api: Xrpc, status: str, at: str | None) -> tuple[list[Json], str | None]:
    method, key = _LISTS[status]
    asked = {"status": status} if status == "accepted" else {}
    answer = await api.query(method, limit=CONVERSATIONS, cursor=at, **asked)
    convos = [as_dict(one) for one in _lines(answer, key, method)]
    return [one for one in convos if isinstance(one.get("id"), str) and "members" in one], _following(answer)


def _is_older(message: Json, since: datetime | None) -> bool:
    sent_at = parse_time(message.get("sentAt"))
    return since is not None and sent_at is not None and sent_at < since


def _lines(answer: Json, key: str, method: str) -> Iterable[Any]:
    lines = answer.get(key)
    if not isinstance(lines, list):
        raise Malformed(
            N_("The server's answer to %(method)s has no list of %(key)s. Is this a Bluesky server?")
            % {"method": method, "key": key}
        )
    return lines


def _following(answer: Json) -> str | None:
    following = answer.get("cursor")
    return following if isinstance(following, str) and following else None


def _of_another_shape(api: Xrpc) -> Malformed:
    return Malformed(
        N_("%(host)s answered with JSON of another shape than its API promises.") % {"host": api.credentials.service}
    )
