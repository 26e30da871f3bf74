"""A post, comment or message of Reddit as ours: reddit.com/dev/api ("things": t1 comment, t3 post, t4 message)."""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.connectors.base import (
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Media,
    PostChange,
    PostKind,
    Rejected,
    Visibility,
)
from app.i18n import N_

SITE = "https://www.reddit.com"
GONE = {"[deleted]", "[removed]"}  # what Reddit shows in place of a text or a name
_LINK = re.compile(r"/comments/(\w+)/")
Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]
Stamp = Annotated[float | None, BeforeValidator(lambda value: None if isinstance(value, bool) else value)]


class Thing(BaseModel):
    """What a post, a comment and a message have; each leaves out what it has not."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(pattern=r"^t[134]_\w+$")
    created_utc: float = Field(ge=0, le=32_503_680_000)
    author: Text = ""
    body: Text = ""  # of comments and messages
    selftext: Text = ""  # of posts
    title: Text = ""
    subject: Text = ""  # of messages, and of what the inbox tells
    url: Text = ""
    permalink: Text = ""
    context: Text = ""  # in the inbox: where a comment stands
    parent_id: Text = ""
    link_id: Text = ""
    first_message_name: Text = ""
    type: Text = ""  # in the inbox: username_mention, comment_reply, post_reply
    is_self: bool = True
    edited: Stamp = None

    @property
    def said(self) -> str:
        """Its text; a post without one says its title."""
        return self.body if self.name[:2] != "t3" else self.selftext or self.title

    @property
    def gone(self) -> bool:
        """Whether its author or a moderator took it away."""
        text = self.selftext if self.name.startswith("t3") else self.body
        return text in GONE or (self.author in {"", *GONE} and not text)

    @property
    def thread(self) -> str:
        """The post that it stands under, or the message that it began with."""
        if self.name.startswith("t4"):
            return self.first_message_name or self.name
        found = _LINK.search(self.context or self.permalink)
        return self.name if self.name.startswith("t3") else self.link_id or (f"t3_{found[1]}" if found else self.name)


def read_thing(raw: Any, me: IncomingAuthor | None) -> IncomingPost | None:
    """A thing as a post of ours; None when it is gone already. Raises ValidationError for what is none."""
    data = raw.get("data") if isinstance(raw, dict) else raw
    thing = Thing.model_validate(data)
    if thing.gone:
        return None
    author = author_of(thing.author)
    direct = thing.name.startswith("t4")
    where = thing.permalink or thing.context
    return IncomingPost(
        external_id=thing.name,
        thread_id=thing.thread,
        author=author,
        text=thing.said,
        title=thing.title if thing.name.startswith("t3") and thing.selftext else thing.subject if direct else "",
        posted_at=datetime.fromtimestamp(thing.created_utc, UTC),
        kind=_kind(thing),
        visibility=Visibility.DIRECT if direct else Visibility.PUBLIC,
        url=SITE + where if where.startswith("/") else None,
        in_reply_to=thing.parent_id or None,
        own=me is not None and author.external_id == me.external_id,
        media=_media(thing),
        ref={"name": thing.name},
        payload=data if isinstance(data, dict) else {},
    )


def read_change(raw: Any, known: KnownPost) -> PostChange | None:
    """What became of a thing. Raises ValidationError."""
    thing = Thing.model_validate(raw.get("data") if isinstance(raw, dict) else raw)
    if thing.gone:
        return PostChange(
            known.external_id, datetime.fromtimestamp(thing.edited or thing.created_utc, UTC), deleted=True
        )
    if thing.edited is None:
        return None
    return PostChange(known.external_id, datetime.fromtimestamp(thing.edited, UTC), text=thing.said)


def author_of(name: str) -> IncomingAuthor:
    """Names on Reddit cannot be changed, so they are identities, whichever list shows them."""
    shown = name or "[deleted]"
    return IncomingAuthor(shown.casefold(), shown, url=f"{SITE}/user/{shown}" if shown not in GONE else None)


def rejected(value: Any, error: ValidationError) -> Rejected:
    """An entry that cannot be read, under a name that is the same at every fetch."""
    data = value.get("data") if isinstance(value, dict) else None
    raw: Json = data if isinstance(data, dict) else {"value": value}
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:32]
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the entry"
    return Rejected(
        str(raw.get("name") or digest),
        N_("Reddit sent an entry that cannot be read: %(where)s: %(problem)s.")
        % {"where": where, "problem": first["msg"]},
        raw,
    )


def _kind(thing: Thing) -> PostKind:
    if thing.name.startswith("t4"):
        return PostKind.DIRECT
    if thing.type == "username_mention":
        return PostKind.MENTION
    if thing.type in {"comment_reply", "post_reply"}:
        return PostKind.REPLY
    return PostKind.POST if thing.name.startswith("t3") else PostKind.COMMENT


def _media(thing: Thing) -> tuple[Media, ...]:
    if thing.is_self or not thing.url.startswith(("https://", "http://")):
        return ()
    if thing.url.partition("?")[0].endswith((".jpg", ".jpeg", ".png", ".gif", ".webp")):
        return (Media("image", thing.url, "", thing.url),)
    return (Media("link", thing.url, title=thing.title),)
