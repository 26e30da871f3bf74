"""What a delivery to a webhook feed looks like: one post (or change of one), or {"posts": [...]}. Unknown fields are kept, not read."""

import hashlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.connectors.base import (
    IncomingAuthor,
    IncomingPost,
    Json,
    Media,
    Poll,
    PostChange,
    PostKind,
    Quote,
    Rejected,
    Visibility,
)
from app.connectors.wire import is_web
from app.i18n import N_, _

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
MOST = 500  # posts in one delivery
LANGUAGE = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"  # BCP 47, as far as it can be told by its letters


def is_web_address(url: str) -> str:
    """The address itself when it is http(s) with a host. Raises ValueError otherwise."""
    if not is_web(url):
        message = _("an address starts with https:// or http://")
        raise ValueError(message)
    return url


Address = Annotated[str, Field(max_length=2000), AfterValidator(is_web_address)]
Name = Annotated[str, Field(min_length=1, max_length=400)]


class MediaKind(StrEnum):
    """What hangs on a post."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    LINK = "link"
    FILE = "file"


class _Taken(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class AuthorIn(_Taken):
    """Who wrote a post."""

    id: Name = Field(description="Never changes for this person.")
    handle: str = Field(default="", max_length=200, description="What they are called by; empty: the name or id.")
    name: str = Field(default="", max_length=200)
    url: Address | None = None
    avatar_url: Address | None = None
    followers: int | None = Field(default=None, ge=0, le=2_000_000_000)


class MediaIn(_Taken):
    """Something that hangs on a post."""

    url: Address
    kind: MediaKind = MediaKind.IMAGE
    description: str = Field(default="", max_length=5000, description="What it shows, for those who cannot see it.")
    preview_url: Address | None = None
    title: str = Field(default="", max_length=500)


class QuoteIn(_Taken):
    """A post that this one quotes. Without `text` it is gone, or not for everybody to see."""

    url: Address | None = None
    text: str = Field(default="", max_length=20_000, description="What it says.")
    name: str = Field(default="", max_length=200, description="Its author's name.")
    handle: str = Field(default="", max_length=200)
    posted_at: AwareDatetime | None = Field(default=None, ge=EARLIEST)
    language: str | None = Field(default=None, max_length=35, pattern=LANGUAGE)


class OptionIn(_Taken):
    """What can be chosen in a poll."""

    text: str = Field(min_length=1, max_length=500)
    votes: int | None = Field(default=None, ge=0, le=2_000_000_000, description="Empty: not told.")


class PollIn(_Taken):
    """A poll that hangs on a post."""

    options: list[OptionIn] = Field(min_length=2, max_length=50)
    multiple: bool = Field(default=False, description="Several options may be chosen.")
    ends_at: AwareDatetime | None = Field(default=None, ge=EARLIEST)


class PostIn(_Taken):
    """One post as the sending system gives it. Only `id`, `text` and `author.id` are required."""

    id: Name = Field(description="Unique within the sending system; the same post keeps it for ever.")
    text: str = Field(max_length=100_000, description="Plain text. HTML goes into `html`.")
    author: AuthorIn
    thread: Name | None = Field(
        default=None, description="The conversation. Empty: `in_reply_to`, else the post itself."
    )
    in_reply_to: Name | None = Field(default=None, description="The id of the post that this one answers.")
    kind: PostKind = PostKind.POST
    visibility: Visibility | None = Field(default=None, description="Empty: direct for a direct message, else public.")
    posted_at: AwareDatetime | None = Field(
        default=None, ge=EARLIEST, description="ISO 8601 with its offset. Empty: now."
    )
    title: str = Field(default="", max_length=1000)
    html: str | None = Field(default=None, max_length=500_000)
    url: Address | None = None
    language: str | None = Field(default=None, max_length=35, pattern=LANGUAGE)
    own: bool = Field(default=False, description="Written by your own people: kept as an answer, never queued.")
    repost: bool = Field(default=False, description="Somebody else's post passed on.")
    media: list[MediaIn] = Field(default_factory=list, max_length=50)
    quote: QuoteIn | None = None
    poll: PollIn | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.text.strip() or self.title.strip() or self.media or self.quote or self.poll):
            message = N_("text is empty, and there is neither a title nor media")
            raise ValueError(message)
        return self


class ChangeKind(StrEnum):
    """What a delivery says in `type` when it is about a post delivered before."""

    EDITED = "post.edited"
    DELETED = "post.deleted"


class ChangeIn(_Taken):
    """What became of a post. An edit gives the whole new text; a `title` left out is as it was.

    So is what hangs on the post, where `media`, `quote` and `poll` are all left out; else those given are all there are.
    """

    type: ChangeKind
    id: Name = Field(description="The id of the post.")
    at: AwareDatetime | None = Field(default=None, ge=EARLIEST, description="When it happened. Empty: now.")
    text: str = Field(default="", max_length=100_000)
    title: str | None = Field(default=None, max_length=1000)
    html: str | None = Field(default=None, max_length=500_000)
    media: list[MediaIn] | None = Field(default=None, max_length=50)
    quote: QuoteIn | None = None
    poll: PollIn | None = None
    visibility: Visibility | None = Field(default=None, description="Who can read it now. Empty: as before.")


def is_change(entry: object) -> bool:
    """Whether an entry of a delivery is about a post delivered before."""
    return isinstance(entry, dict) and entry.get("type") in set(ChangeKind)


def changed(change: ChangeIn, source: str, now: datetime) -> PostChange:
    """The change with its post's name made global by the sending system's. A time in the future becomes now."""
    return PostChange(
        external_id=f"{source}:{change.id}",
        changed_at=min(change.at or now, now),
        deleted=change.type is ChangeKind.DELETED,
        text=change.text,
        title=change.title,
        html=change.html,
        media=_hanging(change.media or [], change.quote, change.poll) if _tells_what_hangs(change) else None,
        visibility=change.visibility,
    )


def _tells_what_hangs(change: ChangeIn) -> bool:
    return not (change.media is None and change.quote is None and change.poll is None)


def _hanging(media: list[MediaIn], quote: QuoteIn | None, poll: PollIn | None) -> tuple[Media, ...]:
    """All that hangs on a post."""
    hanging = [_media(one) for one in media]
    if quote is not None:
        whose = Quote(quote.handle or quote.name, quote.posted_at, quote.language)
        hanging.append(Media("quote", quote.url or "", quote.text, title=quote.name, quote=whose))
    if poll is not None:
        told = [one.votes for one in poll.options if one.votes is not None]
        votes = tuple(told) if len(told) == len(poll.options) else ()
        options = tuple(one.text for one in poll.options)
        hanging.append(Media("poll", "", poll=Poll(options, votes, poll.multiple, poll.ends_at)))
    return tuple(hanging)


def _media(one: MediaIn) -> Media:
    return Media(one.kind.value, one.url, one.description, one.preview_url, one.title)


def incoming(post: PostIn, payload: Json, source: str, now: datetime) -> IncomingPost:
    """The post with its names made global by the sending system's. A time in the future becomes now."""
    direct = post.kind is PostKind.DIRECT or post.visibility is Visibility.DIRECT
    visibility = post.visibility or (Visibility.DIRECT if direct else Visibility.PUBLIC)
    thread = post.thread or post.in_reply_to or post.id
    return IncomingPost(
        external_id=f"{source}:{post.id}",
        thread_id=f"{source}:{thread}",
        author=_author(post.author, source),
        text=post.text,
        posted_at=min(post.posted_at or now, now),
        kind=PostKind.DIRECT if direct else post.kind,
        visibility=Visibility.DIRECT if direct else visibility,
        title=post.title,
        html=post.html,
        url=post.url,
        language=post.language,
        in_reply_to=f"{source}:{post.in_reply_to}" if post.in_reply_to else None,
        own=post.own,
        repost=post.repost,
        media=_hanging(post.media, post.quote, post.poll),
        ref={"id": post.id, "thread": thread, "visibility": Visibility.DIRECT.value if direct else visibility.value},
        payload=payload,
    )


def _author(author: AuthorIn, source: str) -> IncomingAuthor:
    return IncomingAuthor(
        external_id=f"{source}:{author.id}",
        handle=author.handle or author.name or author.id,
        name=author.name,
        url=author.url,
        avatar_url=author.avatar_url,
        followers=author.followers,
    )


def reasons(error: ValidationError) -> str:
    """Every field that is not acceptable, by its path, and why: `author.id: Field required`."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    said = [
        f"{'.'.join(map(str, one['loc'])) or 'post'}: {one['msg'].removeprefix('Value error, ')}" for one in found[:10]
    ]
    return "; ".join(said)


def read_entry(
    entry: Any, source: str, now: datetime, payload: Json | None = None
) -> IncomingPost | PostChange | Rejected:
    """One entry: a post, a change of one, or why it is neither. `payload` is kept with it, where it is not the entry."""
    kept = entry if isinstance(entry, dict) else {"entry": entry}
    try:
        if is_change(entry):
            return changed(ChangeIn.model_validate(entry), source, now)
        return incoming(PostIn.model_validate(entry), kept if payload is None else payload, source, now)
    except ValidationError as error:
        return Rejected(_name(kept, source), reasons(error), kept)


def _name(payload: Json, source: str) -> str:
    given = payload.get("id")
    if isinstance(given, str | int) and given != "":
        return f"{source}:{given}"[:500]
    return f"{source}:sha256={hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()}"
