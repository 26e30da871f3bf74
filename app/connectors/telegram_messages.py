"""What an update of Telegram's tells: messages to the bot, posts of channels, edits, and who blocked it.

Rules: core.telegram.org/bots/api (Update, Message, MessageEntity, ChatMemberUpdated).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from app.connectors.base import IncomingAuthor, IncomingPost, Json, PostChange, PostKind, Rejected, Visibility
from app.connectors.telegram_parts import Chat, Message, author_of, files_of, moment, others_of, place, url_of, words
from app.i18n import N_

_SAID = ("message", "channel_post", "business_message")
_EDITED = ("edited_message", "edited_channel_post", "edited_business_message")


def read_update(
    raw: Any, us: IncomingAuthor, settings: Any, now: datetime
) -> Sequence[IncomingPost | PostChange | Rejected]:
    """What an update brings to this feed; nothing where it does not want it, or where nobody says anything."""
    told = raw if isinstance(raw, dict) else {}
    one: IncomingPost | PostChange | None = None
    try:
        if isinstance(member := told.get("my_chat_member"), dict):
            one = _blocked(member, us, told)
        elif isinstance(gone := told.get("deleted_business_messages"), dict):
            return _gone(gone, now)
        elif name := next((name for name in _EDITED if name in told), None):
            one = _change(told[name], us, settings)
        elif name := next((name for name in _SAID if name in told), None):
            one = read_message(told[name], us, settings)
    except ValidationError as error:
        return [_rejected(raw, error)]
    return [one] if one is not None else []


def read_message(raw: Any, us: IncomingAuthor, settings: Any) -> IncomingPost | None:
    """A message as a post. Raises ValidationError for what is none."""
    message = Message.model_validate(raw)
    above = _above(raw)
    kind = _kind(message, raw, above, us, settings)
    said = words(message, raw)
    media = (*files_of(raw), *others_of(message, raw, above, us))
    if kind is None or not (said or media):
        return None
    side, direct = message.business or us.external_id, message.chat.type == "private"
    author = author_of(message)
    ours = bool(message.business) and message.sender is not None and message.sender.id != message.chat.id
    return IncomingPost(
        external_id=place(side, message.chat, message.message_id),
        thread_id=_thread(side, message, above),
        author=author,
        text=said,
        posted_at=message.at,
        kind=kind,
        visibility=Visibility.DIRECT if direct else Visibility.PUBLIC,
        url=url_of(message),
        in_reply_to=None if above is None else place(side, message.chat, above.message_id),
        own=ours or author.external_id == us.external_id,
        media=media,
        ref={
            "chat": message.chat.id,
            "shared": message.chat.is_shared,
            "id": message.message_id,
            "topic": message.message_thread_id if message.is_topic_message else None,
            "direct": direct,
            "from": message.sender.id if message.sender and not message.sender_chat else None,
            "business": message.business,
            "at": message.date,
        },
        payload=raw,
    )


def _kind(message: Message, raw: Json, above: Message | None, us: IncomingAuthor, settings: Any) -> PostKind | None:
    """What the message is to us; None for what this feed does not bring."""
    match message.chat.type:
        case "private":
            return PostKind.NOTICE if message.text == "/start" else PostKind.DIRECT  # a button that opens the chat
        case "channel":
            return PostKind.POST if settings.channels else None
    return None if message.is_automatic_forward else _in_group(message, raw, above, us, settings)


def _in_group(message: Message, raw: Json, above: Message | None, us: IncomingAuthor, settings: Any) -> PostKind | None:
    if above is not None and above.sender is not None and str(above.sender.id) == us.external_id:
        return PostKind.REPLY
    if _names(message, raw, us):
        return PostKind.MENTION
    if above is not None and above.is_automatic_forward and settings.channels:
        return PostKind.COMMENT  # under a channel's post, which its group shows
    return (PostKind.REPLY if above is not None else PostKind.POST) if settings.everything else None


def _names(message: Message, raw: Json, us: IncomingAuthor) -> bool:
    """Whether it names the bot, by its username or otherwise, or is a command that it may take for its own."""
    said = message.text or message.caption
    if re.search(rf"(?<![\w@])@{re.escape(us.handle)}\b", said, re.IGNORECASE):
        return True
    entities = [one for one in raw.get("entities") or raw.get("caption_entities") or () if isinstance(one, dict)]
    people = [one["user"].get("id") for one in entities if isinstance(one.get("user"), dict)]
    command = any(one.get("type") == "bot_command" and one.get("offset") == 0 for one in entities)
    return int(us.external_id) in people or (command and "@" not in said.partition(" ")[0])


def _above(raw: Any) -> Message | None:
    """The message that this one answers. In a topic every message answers the one that opened it: that is none."""
    told = raw.get("reply_to_message") if isinstance(raw, dict) else None
    if not isinstance(told, dict) or "forum_topic_created" in told:
        return None
    try:
        return Message.model_validate(told)
    except ValidationError:
        return None


def _thread(side: str, message: Message, above: Message | None) -> str:
    """A private chat is one conversation; in a group an answer belongs to what it answers."""
    if message.chat.type == "private":
        return f"{side}:{message.chat.id}"
    root = message.message_thread_id or (above.message_id if above is not None else message.message_id)
    return place(side, message.chat, root)


def _change(raw: Any, us: IncomingAuthor, settings: Any) -> PostChange | None:
    """A message that was edited. Telegram tells of a change of its own (a preview came) in the same way."""
    message = Message.model_validate(raw)
    if read_message(raw, us, settings) is None:
        return None
    return PostChange(
        place(message.business or us.external_id, message.chat, message.message_id),
        moment(message.edit_date) or message.at,
        text=words(message, raw),
    )


def _gone(told: Json, now: datetime) -> list[PostChange]:
    """Messages that were deleted in a business account, by either side. Of its other chats a bot is told nothing."""
    chat, side = Chat.model_validate(told.get("chat")), str(told.get("business_connection_id") or "")
    numbers = [one for one in told.get("message_ids") or () if isinstance(one, int)]
    return [PostChange(place(side, chat, number), now, deleted=True) for number in numbers]


def _blocked(told: Json, us: IncomingAuthor, update: Json) -> IncomingPost | None:
    """Somebody blocked the bot in their private chat: a word for whoever answers there."""
    message = Message.model_validate({**told, "message_id": 0})
    now = told.get("new_chat_member")
    if message.chat.type != "private" or not isinstance(now, dict) or now.get("status") != "kicked":
        return None
    chat = f"{us.external_id}:{message.chat.id}"
    return IncomingPost(
        external_id=f"{chat}:blocked:{update.get('update_id')}",
        thread_id=chat,
        author=author_of(message),
        text="[bot was blocked by the user]",  # as Telegram says it
        posted_at=message.at,
        kind=PostKind.NOTICE,
        visibility=Visibility.DIRECT,
        ref={
            "chat": message.chat.id,
            "shared": False,
            "id": None,
            "topic": None,
            "direct": True,
            "from": message.chat.id,
            "business": "",
            "at": message.date,
        },
        payload=update,
    )


def _rejected(raw: Any, error: ValidationError) -> Rejected:
    """An update that cannot be read, under its number."""
    kept: Json = raw if isinstance(raw, dict) else {"update": raw}
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the update"
    return Rejected(
        str(kept.get("update_id") or hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:32]),
        N_("Telegram sent a message that cannot be read: %(where)s: %(problem)s.")
        % {"where": where, "problem": first["msg"]},
        kept,
    )
