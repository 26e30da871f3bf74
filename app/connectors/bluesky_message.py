"""Answers in Bluesky's chat: sent once, found again by looking. A message can be deleted only for oneself.

Sources: the lexicons `chat.bsky.convo.sendMessage` and `acceptConvo`; `chat.bsky.convo.defs#messageInput` for the limits.
"""

from dataclasses import replace

from app.connectors.base import Capabilities, Json, OutgoingReply, Sent, Visibility
from app.connectors.bluesky_chat import conversation, messages_page, name_of
from app.connectors.bluesky_json import as_dict, as_list, parse_time
from app.connectors.bluesky_records import facets, require_room
from app.connectors.bluesky_xrpc import Xrpc, XrpcError
from app.connectors.wire import CLOCKS_APART, uploading
from app.errors import Malformed, MaybeSent, Refused
from app.i18n import N_

GRAPHEMES = 1000
BYTES = 10_000
_PAGES = 5  # of a conversation that are looked through


def is_message(ref: Json) -> bool:
    """Whether this is the `ref` of a message."""
    return "convo" in ref


def able(usual: Capabilities) -> Capabilities:
    """A message may be longer than a post and carries no pictures; there is no key to repeat it under."""
    return replace(
        usual, idempotent=False, delete=False, parents=False, pictures=None, visibilities=(Visibility.DIRECT,),
        length_limit=GRAPHEMES, byte_limit=BYTES,
    )  # fmt: skip


def message_of(reply: OutgoingReply) -> Json:
    """What is sent, frozen. Raises Refused when Bluesky would never take it."""
    require_room(reply.text, GRAPHEMES, BYTES)
    if reply.pictures:
        raise Refused(N_("A message on Bluesky carries no pictures. Send it without."))
    found = facets(reply.text, {})
    return {"convoId": reply.to["convo"], "message": {"text": reply.text} | ({"facets": found} if found else {})}


async def send_message(api: Xrpc, reply: OutgoingReply) -> Sent:
    """Send once. Raises ConnectorError, MaybeSent among them."""
    convo_id = reply.prepared["convoId"]
    with uploading():
        await _require_open(api, convo_id)
    try:
        answer = await api.write("chat.bsky.convo.sendMessage", reply.prepared)
    except XrpcError as error:
        if error.error == "ConvoLocked":
            raise Refused(N_("This conversation is locked: it takes no more messages.")) from error
        raise
    return _sent(answer, convo_id, api)


async def _require_open(api: Xrpc, convo_id: str) -> None:
    """The conversation takes messages from us; a request is accepted now, since answering does that in the app, too."""
    convo = await conversation(api, convo_id)
    if convo is None:
        raise Refused(N_("This conversation is gone: we have left it, or its other side has."))
    us = await api.did()
    for member in map(as_dict, as_list(convo.get("members"))):
        viewer = as_dict(member.get("viewer"))
        if member.get("did") != us and (viewer.get("blockedBy") is True or viewer.get("blocking")):
            raise Refused(N_("The author and we have blocked one another, so nobody would see the reply."))
        if member.get("did") != us and member.get("chatDisabled") is True:
            raise Refused(N_("The author can take no messages on Bluesky (any more)."))
    if convo.get("status") == "request":
        await api.write("chat.bsky.convo.acceptConvo", {"convoId": convo_id})


async def find_message(api: Xrpc, reply: OutgoingReply) -> Sent | None:
    """The message among what we wrote there since shortly before the first try.

    Raises MaybeSent when there is more to look through than a call may read: that is no proof that it is not there.
    """
    since = (reply.attempted_at or reply.created_at) - CLOCKS_APART
    ours, at = await api.did(), None
    for _ in range(_PAGES):
        messages, at = await messages_page(api, reply.prepared["convoId"], at)
        for message in messages:
            sent_at = parse_time(message.get("sentAt"))
            if sent_at is not None and sent_at < since:
                return None
            mine = as_dict(message.get("sender")).get("did") == ours
            if mine and _essence(str(message.get("text"))) == _essence(reply.text):
                return _sent(message, reply.prepared["convoId"], api)
        if at is None:
            return None
    raise MaybeSent(N_("Too much was written in this conversation since the first try to look through it all."))


def _essence(text: str) -> str:
    return "".join(text.split())


def _sent(message: Json, convo_id: str, api: Xrpc) -> Sent:
    message_id = message.get("id")
    if not isinstance(message_id, str) or not message_id:
        raise Malformed(N_("%(service)s did not say where the reply stands.") % {"service": api.credentials.service})
    ref = {"convo": convo_id, "message": message_id}
    return Sent(
        name_of(convo_id, message_id),
        f"https://bsky.app/messages/{convo_id}",
        parse_time(message.get("sentAt")),
        ref,
        api.budget,
    )
