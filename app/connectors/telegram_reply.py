"""Answers of the bot: messages, pictures with a caption, edits, deletions.

Rules: core.telegram.org/bots/api (sendMessage, sendPhoto, sendMediaGroup, ReplyParameters, editMessageText,
editMessageCaption, deleteMessages), core.telegram.org/api/config (message_length_max and caption_length_max count code
points). Telegram lists no messages of ours and drops no repeat: a send whose answer is lost stays in doubt.
"""

from datetime import timedelta
from typing import Any

from app.connectors.base import Json, OutgoingReply, Sent, Standing, Visibility, Window
from app.connectors.telegram_api import Bot
from app.connectors.telegram_parts import moment
from app.errors import Malformed, Refused
from app.i18n import N_

LONGEST, LONGEST_CAPTION = 4096, 1024  # characters
_ANSWER_TIME = timedelta(hours=24)
LATE = N_("For a business account a bot may answer for 24 hours after the customer wrote.")
_SAME = "message is not modified"
_GONE = ("message to delete not found", "message to edit not found", "message_id_invalid")


def prepared(reply: OutgoingReply) -> Json:
    """The message, frozen. Raises Refused when it is too long, or when nobody would get it."""
    refuse_long(reply.text, LONGEST_CAPTION if reply.pictures else LONGEST)
    to = reply.to
    words = {"caption" if reply.pictures else "text": reply.text}
    if reply.visibility is Visibility.DIRECT and not to["direct"]:
        if to["from"] is None:
            raise Refused(N_("A chat wrote this, not a person: there is nobody to write to in private."))
        under = {"reply_parameters": {"message_id": reply.after["id"]}} if reply.after else {}
        return {"chat_id": to["from"], **under, **words}
    number = reply.after.get("id", to["id"])
    body: Json = {"chat_id": to["chat"], **words}
    body |= {"business_connection_id": to["business"]} if to["business"] else {}
    body |= {"reply_parameters": {"message_id": number}} if number else {}
    return body | ({"message_thread_id": to["topic"]} if to["topic"] else {})


def window_of(to: Json) -> Window | None:
    """Until when a message can be answered; None: for as long as it stands."""
    opened = moment(to.get("at")) if to.get("business") else None
    return None if opened is None else Window(opened + _ANSWER_TIME, LATE, opened)


def refuse_long(text: str, most: int) -> None:
    """Raises Refused for what Telegram does not take."""
    if len(text) > most:
        raise Refused(N_("The reply is %(excess)s characters too long for Telegram.") % {"excess": len(text) - most})


async def sent(bot: Bot, reply: OutgoingReply) -> Sent:
    """Send once. Raises ConnectorError."""
    body, pictures = reply.prepared, reply.pictures
    files = {f"picture{n}": (f"picture{n}.jpg", one.content, one.kind) for n, one in enumerate(pictures, 1)}
    if not files:
        answer = await bot.call("sendMessage", body, sending=True)
    elif len(files) == 1:
        answer = await bot.upload("sendPhoto", body, {"photo": files["picture1"]})
    else:
        caption = body["caption"]
        listed: list[Json] = [{"type": "photo", "media": f"attach://{name}"} for name in files]
        listed[0]["caption"] = caption
        body = {name: value for name, value in body.items() if name != "caption"} | {"media": listed}
        answer = await bot.upload("sendMediaGroup", body, files)
    told = answer if isinstance(answer, list) else [answer]
    numbers = [one.get("message_id") for one in told if isinstance(one, dict)]
    if not numbers or not all(isinstance(one, int) for one in numbers):
        raise Malformed(N_("Telegram took the reply but did not say where it stands."))
    return _standing(bot, reply, told[0], numbers)


def _standing(bot: Bot, reply: OutgoingReply, first: Json, numbers: list[Any]) -> Sent:
    chat, to = reply.prepared["chat_id"], reply.to
    shared = to["shared"] and chat == to["chat"]
    business = reply.prepared.get("business_connection_id", "")
    name = f"{chat}:{numbers[0]}" if shared else f"{business or bot.id}:{chat}:{numbers[0]}"
    at = moment(first.get("date")) or bot.link.now
    ref = {"id": numbers[0], "ids": numbers, "chat": chat, "caption": bool(reply.pictures), "business": business}
    told = first.get("chat")
    username = told.get("username") if isinstance(told, dict) and shared else None
    return Sent(name, f"https://t.me/{username}/{numbers[0]}" if username else None, at, ref)


async def edited(bot: Bot, reply: Standing, text: str) -> None:
    """Make our message say this, its pictures kept. Raises Refused when it is gone."""
    chat, number = _place(reply)
    caption = bool(reply.ref.get("caption"))
    refuse_long(text, LONGEST_CAPTION if caption else LONGEST)
    body = {"chat_id": chat, "message_id": number, "caption" if caption else "text": text}
    body |= {"business_connection_id": reply.ref["business"]} if reply.ref.get("business") else {}
    try:
        await bot.call("editMessageCaption" if caption else "editMessageText", body)
    except Refused as error:
        if _SAME not in error.message:
            raise


async def deleted(bot: Bot, reply: Standing) -> None:
    """Delete our message; one that is gone already is no error. Raises Refused when it stands for longer than 48 hours."""
    chat, number = _place(reply)
    numbers = reply.ref.get("ids") or [number]
    try:
        if business := reply.ref.get("business"):
            await bot.call("deleteBusinessMessages", {"business_connection_id": business, "message_ids": numbers})
        elif len(numbers) == 1:
            await bot.call("deleteMessage", {"chat_id": chat, "message_id": number})
        else:
            await bot.call("deleteMessages", {"chat_id": chat, "message_ids": numbers})
    except Refused as error:
        if any(words in error.message.casefold() for words in _GONE):
            return
        raise


def _place(reply: Standing) -> tuple[Any, int]:
    if "id" not in reply.ref:
        raise Refused(N_("Nobody told Careline which message this reply is. Change it in Telegram itself."))
    return reply.ref["chat"], reply.ref["id"]
