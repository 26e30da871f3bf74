"""Bluesky's chat service, as the lexicons `chat.bsky.convo.*` describe it; no peer on loopback serves it.

A log begins at the moment of its first call. What a member deletes is deleted for that member alone. A stranger's first
message makes a request, which is accepted by its own call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import regex

from app.connectors.base import Json

DEFS = "chat.bsky.convo.defs"
PRIVILEGED = frozenset({"getConvo", "getLog", "getMessages", "listConvos", "sendMessage", "deleteMessageForSelf"})
LOGGED = 20  # entries in a page of the log


class ChatFailure(Exception):
    """What the service answers instead."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


@dataclass(slots=True)
class Message:
    id: str
    by: str
    text: Any
    sent_at: datetime
    more: Json
    gone: bool = False


@dataclass(slots=True)
class Convo:
    id: str
    members: list[str]
    status: str = "request"
    kind: str = "directConvo"
    locked: bool = False
    messages: list[Message] = field(default_factory=list)

    @property
    def shown(self) -> list[Message]:
        """The newest first."""
        return list(reversed(self.messages))


class Chat:
    """The conversations of `us`."""

    def __init__(self, us: str, now: Callable[[], datetime], profile: Callable[[str], Json]) -> None:
        self.us = us
        self.now = now
        self.profile = profile
        self.convos: dict[str, Convo] = {}
        self.log: list[Json] = []
        self.log_starts = 0  # what went before is not kept any more
        self.disabled: set[str] = set()  # DIDs who take no messages
        self.blocked_by: set[str] = set()
        self.sent = 0

    # -- what happens there

    def say(self, by: str, text: Any, *, convo: Convo | None = None, **more: Any) -> Message:
        """A message of somebody to us, or of ours."""
        convo = convo or self.with_(by)
        self.sent += 1
        message = Message(f"3lchat{self.sent:07d}", by, text, self.now(), more)
        convo.messages.append(message)
        entry = {"message": self.view(convo, message), "relatedProfiles": [self.profile(by)]}
        self.note("logCreateMessage", convo, **entry)
        return message

    def with_(self, did: str) -> Convo:
        found = next((one for one in self.convos.values() if one.members == [did, self.us]), None)
        if found is None:
            found = self.begin([did, self.us])
        return found

    def begin(self, members: list[str], kind: str = "directConvo") -> Convo:
        convo = Convo(f"3lconvo{len(self.convos):06d}", members, kind=kind)
        self.convos[convo.id] = convo
        self.note("logBeginConvo", convo)
        return convo

    def forget(self, convo: Convo, message_id: str) -> None:
        """We delete a message for ourselves in the app; of an empty conversation nothing is left."""
        message = next(one for one in convo.messages if one.id == message_id)
        message.gone = True
        self.note("logDeleteMessage", convo, message=self.view(convo, message))
        if all(one.gone for one in convo.messages):
            del self.convos[convo.id]
            self.note("logLeaveConvo", convo)

    def react(self, convo: Convo, message: Message) -> None:
        value = {"value": "👍", "sender": {"did": message.by}, "createdAt": _stamp(self.now())}
        view = self.view(convo, message) | {"reactions": [value]}
        self.note("logAddReaction", convo, message=view, reaction=value)

    def note(self, kind: str, convo: Convo, **more: Any) -> None:
        rev = f"{len(self.log) + 1:013d}"
        self.log.append({"$type": f"{DEFS}#{kind}", "rev": rev, "convoId": convo.id, **more})

    # -- the surface

    def serve(self, method: str, asked: Mapping[str, str], body: Json) -> Json:
        calls: dict[str, Callable[[], Json]] = {
            "getLog": lambda: self._get_log(asked.get("cursor")),
            "listConvos": lambda: self._list("convos", asked, asked.get("status")),
            "listConvoRequests": lambda: self._list("requests", asked, "request"),
            "getConvo": lambda: {"convo": self._convo_view(self._mine(asked["convoId"]))},
            "getMessages": lambda: self._get_messages(asked),
            "acceptConvo": lambda: self._accept(body),
            "sendMessage": lambda: self._send(body),
        }
        return calls[method]()

    def _mine(self, convo_id: str) -> Convo:
        if convo_id not in self.convos:
            raise ChatFailure("InvalidConvo", "Convo not found")
        return self.convos[convo_id]

    def _get_log(self, cursor: str | None) -> Json:
        if cursor is None:
            return {"logs": [], "cursor": f"{len(self.log):013d}"}
        if int(cursor) < self.log_starts:
            raise ChatFailure("InvalidRequest", "Cursor is too old")
        page = self.log[int(cursor) :][:LOGGED]
        return {"logs": page, "cursor": f"{int(cursor) + len(page):013d}"}

    def _list(self, key: str, asked: Mapping[str, str], status: str | None) -> Json:
        found = [one for one in self.convos.values() if status in {None, one.status} and one.messages]
        found.sort(key=lambda one: one.messages[-1].sent_at, reverse=True)
        start, limit = int(asked.get("cursor", 0)), int(asked.get("limit", 50))
        page = found[start : start + limit]
        union = {"$type": f"{DEFS}#convoView"} if key == "requests" else {}
        body: Json = {key: [union | self._convo_view(one) for one in page]}
        return body | ({"cursor": str(start + limit)} if len(found) > start + limit else {})

    def _get_messages(self, asked: Mapping[str, str]) -> Json:
        convo = self._mine(asked["convoId"])
        start, limit = asked.get("cursor"), int(asked.get("limit", 50))
        found = [one for one in convo.shown if start is None or one.id < start]
        body: Json = {"messages": [self.view(convo, one) for one in found[:limit]]}
        return body | ({"cursor": found[limit - 1].id} if len(found) > limit else {})

    def _accept(self, body: Json) -> Json:
        convo = self._mine(body["convoId"])
        if convo.status == "accepted":
            return {}
        convo.status = "accepted"
        self.note("logAcceptConvo", convo)
        return {"rev": self.log[-1]["rev"]}

    def _send(self, body: Json) -> Json:
        convo, message = self._mine(body["convoId"]), body["message"]
        text = message["text"]
        if len(text.encode()) > 10_000 or len(regex.findall(r"\X", text)) > 1000:
            raise ChatFailure("InvalidRequest", "Input/message/text must not be longer than 1000 graphemes")
        if convo.locked:
            raise ChatFailure("ConvoLocked", "Convo is locked")
        if convo.status == "request":
            raise ChatFailure("InvalidRequest", "Convo is not accepted")
        said = self.say(self.us, text, convo=convo, facets=message.get("facets", []))
        return self.view(convo, said, plain=True)

    # -- views

    def _convo_view(self, convo: Convo) -> Json:
        view: Json = {
            "id": convo.id,
            "rev": f"{len(self.log):013d}",
            "members": [self._member(did) for did in convo.members],
            "muted": False,
            "status": convo.status,
            "unreadCount": 1,
            "kind": {"$type": f"{DEFS}#{convo.kind}"},
        }
        if convo.messages:
            view["lastMessage"] = self.view(convo, convo.messages[-1])
        return view

    def _member(self, did: str) -> Json:
        member = {key: value for key, value in self.profile(did).items() if key != "labels"}
        if did != self.us:
            member["viewer"] = {"muted": False, "blockedBy": did in self.blocked_by}
        return member | ({"chatDisabled": True} if did in self.disabled else {})

    def view(self, convo: Convo, message: Message, *, plain: bool = False) -> Json:
        base: Json = {
            "id": message.id,
            "rev": message.id,
            "sender": {"did": message.by},
            "sentAt": _stamp(message.sent_at),
        }
        if message.gone:
            return {"$type": f"{DEFS}#deletedMessageView", **base}
        union = {} if plain else {"$type": f"{DEFS}#messageView"}
        return {**union, **base, "text": message.text, **message.more}


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
