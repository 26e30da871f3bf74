"""What a message of Telegram's holds: words, files, polls, places, quotes.

Rules: core.telegram.org/bots/api (Message, PhotoSize, Sticker, Poll, Venue, TextQuote, ExternalReplyInfo). Messages are
numbered chat by chat; in private chats and small groups each bot sees numbers of its own.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.connectors.base import IncomingAuthor, Json, Media, Poll, Quote

FILES = "https://api.telegram.org/file/"  # and a file's id: names a file, and shows it to nobody
_KINDS = {
    "animation": "video",
    "video": "video",
    "video_note": "video",
    "voice": "audio",
    "audio": "audio",
    "document": "file",
    "sticker": "image",
}
_WORDLESS = ("paid_media", "story", "game", "invoice", "giveaway", "checklist", "rich_message", "gift", "unique_gift")
_FILE_ID = re.compile(r"[\w-]{1,200}")
_LAST = 32_503_680_000  # the year 3000

Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Person(_Part):
    """Who wrote."""

    id: int
    is_bot: bool = False
    first_name: Text = ""
    last_name: Text = ""
    username: Text = ""


class Chat(_Part):
    """Where a message stands."""

    id: int
    type: str
    title: Text = ""
    username: Text = ""

    @property
    def is_shared(self) -> bool:
        """Whether its messages have the same number for everybody."""
        return self.type in {"supergroup", "channel"}


class Message(_Part):
    """What Careline reads of a message."""

    message_id: int
    date: int = Field(ge=0, le=_LAST)
    edit_date: int | None = Field(default=None, ge=0, le=_LAST)
    chat: Chat
    sender: Person | None = Field(default=None, alias="from")
    sender_chat: Chat | None = None
    business: Text = Field(default="", alias="business_connection_id")
    message_thread_id: int | None = None
    is_topic_message: bool = False
    is_automatic_forward: bool = False
    text: Text = ""
    caption: Text = ""

    @property
    def at(self) -> datetime:
        """When it was sent."""
        return datetime.fromtimestamp(self.date, UTC)


def place(side: str, chat: Chat, number: int) -> str:
    """The name of a message, as seen from one side: the bot's, or that of a business account for which it speaks."""
    return f"{chat.id}:{number}" if chat.is_shared else f"{side}:{chat.id}:{number}"


def words(message: Message, raw: Json) -> str:
    """What a message of whatever type says; empty for one that only tells of the chat (somebody joined)."""
    told = {
        name: raw[name] for name in ("poll", "venue", "contact", "dice", "sticker") if isinstance(raw.get(name), dict)
    }
    if said := message.text or message.caption:
        return said
    for name, fields in (
        ("poll", ("question",)),
        ("venue", ("title", "address")),
        ("contact", ("first_name", "last_name", "phone_number")),
        ("dice", ("emoji", "value")),
        ("sticker", ("emoji",)),
    ):
        if name in told:
            return " ".join(str(told[name][field]) for field in fields if told[name].get(field))
    return next((f"[{name}]" for name in _WORDLESS if raw.get(name)), "")


def moment(value: Any) -> datetime | None:
    """A Unix time in seconds."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) and 0 <= value <= _LAST else None


def author_of(message: Message) -> IncomingAuthor:
    """A person, or a chat that speaks for itself (a channel, a group's nameless administrators)."""
    if message.sender is not None and message.sender_chat is None:
        who = message.sender
        name = f"{who.first_name} {who.last_name}".strip()
        url = f"https://t.me/{who.username}" if who.username else None
        return IncomingAuthor(str(who.id), who.username or str(who.id), name, url)
    chat = message.sender_chat or message.chat
    return IncomingAuthor(str(chat.id), chat.username or str(chat.id), chat.title)


def url_of(message: Message) -> str | None:
    """Where a message can be looked at, by those who may."""
    if not message.chat.is_shared:
        return None
    where = message.chat.username or f"c/{str(message.chat.id).removeprefix('-100')}"
    return f"https://t.me/{where}/{message.message_id}"


def files_of(raw: Json) -> Iterator[Media]:
    """The files of a message. Their bytes are fetched before it is stored: only the bot may ask for them."""
    sizes = [one for one in raw.get("photo") or () if isinstance(one, dict)]
    found = [("image", max(sizes, key=lambda one: one.get("width") or 0))] if sizes else []
    for name, kind in _KINDS.items():
        told = raw.get(name)
        moves = isinstance(told, dict) and (told.get("is_animated") or told.get("is_video"))
        if isinstance(told, dict) and not moves and not (name == "document" and "animation" in raw):
            found.append((kind, told))
    for kind, one in found:
        known = one.get("file_id")
        if isinstance(known, str) and _FILE_ID.fullmatch(known):
            yield Media(kind, FILES + known, title=str(one.get("file_name") or one.get("title") or ""))


def others_of(message: Message, raw: Json, above: Message | None, us: IncomingAuthor) -> Iterator[Media]:
    """A poll, a place, and what the message quotes."""
    if isinstance(poll := raw.get("poll"), dict):
        yield Media("poll", "", title=str(poll.get("question") or ""), poll=_poll(poll))
    venue = raw.get("venue")
    spot = venue.get("location") if isinstance(venue, dict) else raw.get("location")
    if isinstance(spot, dict):
        at = f"{spot.get('latitude')},{spot.get('longitude')}"
        yield Media("link", f"https://www.openstreetmap.org/search?query={at}", title=at)
    quote, other = raw.get("quote"), raw.get("external_reply")
    part = str(quote.get("text") or "") if isinstance(quote, dict) else ""
    theirs = above is not None and above.sender is not None and str(above.sender.id) != us.external_id
    if above is not None and (part or (theirs and message.chat.type != "private")):
        who = author_of(above)
        whole = words(above, raw["reply_to_message"])
        yield Media(
            "quote", url_of(above) or "", part or whole, title=who.name or who.handle, quote=Quote(who.handle, above.at)
        )
    elif part or isinstance(other, dict):
        yield Media("quote", "", part, quote=Quote())


def _poll(raw: Json) -> Poll:
    options = [one for one in raw.get("options") or () if isinstance(one, dict)]
    votes = [one["voter_count"] for one in options if isinstance(one.get("voter_count"), int)]
    return Poll(
        tuple(str(one.get("text") or "") for one in options),
        tuple(votes) if len(votes) == len(options) else (),
        multiple=raw.get("allows_multiple_answers") is True,
        ends_at=moment(raw.get("close_date")),
    )
