"""A status of Mastodon's API as a post: docs.joinmastodon.org/entities/Status."""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from app.connectors.base import (
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Media,
    Poll,
    PostChange,
    PostKind,
    Quote,
    Rejected,
    Visibility,
)
from app.connectors.mastodon_threads import Placed
from app.connectors.text import plain
from app.i18n import N_

_VISIBILITY = {
    "public": Visibility.PUBLIC,
    "unlisted": Visibility.UNLISTED,
    "private": Visibility.FOLLOWERS,
    "direct": Visibility.DIRECT,
}
_QUOTED_LINK = re.compile(r'<p class="quote-inline">.*?</p>', re.DOTALL)  # docs.joinmastodon.org/client/quotes
_MEDIA = {"image": "image", "gifv": "video", "video": "video", "audio": "audio"}

Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
Many = Annotated[list[Any], BeforeValidator(lambda value: value if isinstance(value, list) else [])]
Number = Annotated[int | None, BeforeValidator(lambda value: value if isinstance(value, int) else None)]


def _readable(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


Moment = Annotated[AwareDatetime | None, WrapValidator(_readable)]


_MOMENT: TypeAdapter[datetime | None] = TypeAdapter(Moment)


class _Entity(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class Account(_Entity):
    """Who is on a server: docs.joinmastodon.org/entities/Account."""

    id: str
    acct: str
    url: Text = ""
    uri: Text = ""
    display_name: Text = ""
    avatar: Text = ""
    followers_count: Number = None

    def author(self, host: str) -> IncomingAuthor:
        """As an author. The profile's address is its identity: every make gives it, and it is the same everywhere."""
        handle = self.acct if "@" in self.acct else f"{self.acct}@{host}"
        return IncomingAuthor(
            external_id=self.url or self.uri or handle,
            handle=handle,
            name=self.display_name,
            url=_web(self.url),
            avatar_url=_web(self.avatar),
            followers=self.followers_count if self.followers_count is None else max(self.followers_count, 0),
        )


class Status(_Entity):
    """What somebody wrote."""

    id: str
    uri: str
    created_at: AwareDatetime
    account: Account
    content: Text = ""
    visibility: Text = "public"
    url: Text = ""
    edited_at: Moment = None
    spoiler_text: Text = ""
    language: Text = ""
    in_reply_to_id: str | None = None
    mentions: Many = []
    media_attachments: Many = []
    card: Any = None
    poll: Any = None
    quote: Any = None  # docs.joinmastodon.org/entities/Quote; some makes give the quoted status itself
    pleroma: Any = None  # where Pleroma keeps it
    reblog: Any = None

    @property
    def who_reads(self) -> Visibility:
        """Unknown words of other makes (local, list) are taken for the narrower: followers."""
        return _VISIBILITY.get(self.visibility, Visibility.FOLLOWERS)

    @property
    def quotes(self) -> Json | None:
        """What it says of a post that it quotes."""
        told = self.quote or (self.pleroma.get("quote") if isinstance(self.pleroma, dict) else None)
        return told if isinstance(told, dict) else None

    @property
    def quoted(self) -> "Status | None":
        """The quoted post; None when its author has not agreed, or we have blocked or muted them, or it is gone."""
        told = self.quotes or {}
        if told.get("state", "accepted") != "accepted":
            return None
        try:
            return Status.model_validate(told.get("quoted_status") or told)
        except ValidationError:
            return None

    @property
    def words(self) -> str:
        """The HTML of what it says, without the link to a quoted post that is shown beside it."""
        return own_words(self.content) if self.quoted else self.content


def own_words(content: str) -> str:
    """What the author wrote, without the line `RE: link` that a server puts before it for those who show no quotes."""
    return _QUOTED_LINK.sub("", content, count=1)


def read_account(value: Any, host: str) -> IncomingAuthor | None:
    """The account as an author, None when it cannot be read."""
    try:
        return Account.model_validate(value).author(host)
    except ValidationError:
        return None


def read_post(raw: Json, placed: Placed, me: IncomingAuthor | None, host: str) -> IncomingPost:
    """The status as a post, at its place in a thread. Raises ValidationError for what is no status."""
    status = Status.model_validate(raw)
    said = Status.model_validate(status.reblog) if status.reblog else status
    author = status.account.author(host)
    mine = me.external_id if me else ""
    mentions = [one for one in said.mentions if isinstance(one, dict)]
    names = {str(one.get("url")) for one in mentions}
    if (quoted := said.quoted) is not None:
        names.add(quoted.account.author(host).external_id)
    return IncomingPost(
        external_id=status.uri,
        thread_id=placed.root,
        author=author,
        text=plain(said.words),
        posted_at=status.created_at.astimezone(UTC),
        kind=_kind(said, placed, mine, named=bool(mine) and mine in names),
        visibility=said.who_reads,
        title=said.spoiler_text,
        html=said.words or None,
        url=_web(said.url),
        language=said.language or None,
        in_reply_to=placed.parent,
        own=author.external_id == mine,
        repost=status.reblog is not None,
        media=_media(said),
        ref={
            "id": said.id,
            "acct": said.account.acct,
            "visibility": said.who_reads.value,
            "spoiler_text": said.spoiler_text,
            "language": said.language,
            "mentions": [str(one["acct"]) for one in mentions if one.get("acct")],
        },
        payload=raw,
    )


def read_change(raw: Json, known: KnownPost, now: datetime) -> PostChange | None:
    """The newest version of a status that was edited, or is shown to others than before (moderators of some makes do that).

    None for one that stands as it was. Raises ValidationError.
    """
    status = Status.model_validate(raw)
    moved = status.who_reads.value != known.ref.get("visibility", status.who_reads.value)
    if not (status.edited_at or moved) or status.uri != known.external_id or status.reblog:
        return None
    text, media = plain(status.words), _media(status)
    if not (text.strip() or media):
        return None  # some makes give edits blank
    return PostChange(
        external_id=status.uri,
        changed_at=now if moved or status.edited_at is None else status.edited_at.astimezone(UTC),
        text=text,
        title=status.spoiler_text,
        html=status.words or None,
        media=media,
        visibility=status.who_reads,
    )


def rejected(value: Any, error: ValidationError) -> Rejected:
    """An entry that is no status, under a name that is the same at every fetch."""
    raw = value if isinstance(value, dict) else {"value": value}
    name = next((str(raw[key]) for key in ("uri", "id") if raw.get(key)), "")
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:32]
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the entry"
    return Rejected(
        name or digest,
        N_("The server sent a post that cannot be read: %(where)s: %(problem)s.")
        % {"where": where, "problem": first["msg"]},
        raw,
    )


def _kind(status: Status, placed: Placed, mine: str, *, named: bool) -> PostKind:
    if status.who_reads is Visibility.DIRECT:
        return PostKind.DIRECT
    if placed.parent_author and placed.parent_author == mine:
        return PostKind.REPLY
    if named:
        return PostKind.MENTION
    return PostKind.REPLY if status.in_reply_to_id else PostKind.POST


def _media(status: Status) -> tuple[Media, ...]:
    found = [_attachment(one) for one in status.media_attachments if isinstance(one, dict)]
    card = status.card if isinstance(status.card, dict) else {}
    if _web(card.get("url")):
        words, title = str(card.get("description") or ""), str(card.get("title") or "")
        found.append(Media("link", card["url"], words, _web(card.get("image")), title))
    found += [_quote(status), _poll(status.poll)]
    return tuple(one for one in found if one is not None)


def _attachment(raw: Json) -> Media | None:
    url = _web(raw.get("url")) or _web(raw.get("remote_url"))
    if url is None:
        return None
    kind = _MEDIA.get(str(raw.get("type")), "file")
    return Media(kind, url, str(raw.get("description") or ""), _web(raw.get("preview_url")))


def _quote(status: Status) -> Media | None:
    if status.quotes is None:
        return None
    quoted = status.quoted
    if quoted is None:
        return Media("quote", "", quote=Quote())
    who = quoted.account
    shown = next((one.get("preview_url") for one in quoted.media_attachments if isinstance(one, dict)), None)
    return Media(
        "quote",
        _web(quoted.url) or _web(quoted.uri) or "",
        plain(own_words(quoted.content)),
        _web(shown),
        who.display_name or who.acct,
        quote=Quote(who.acct, quoted.created_at.astimezone(UTC), quoted.language or None),
    )


def _poll(raw: Any) -> Media | None:
    """docs.joinmastodon.org/entities/Poll; results may be hidden until it ends, so they are told for all or not at all."""
    told = raw.get("options") if isinstance(raw, dict) else None
    options = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    if not options:
        return None
    votes = [one["votes_count"] for one in options if isinstance(one.get("votes_count"), int)]
    return Media(
        "poll",
        "",
        poll=Poll(
            tuple(str(one.get("title") or "") for one in options),
            tuple(votes) if len(votes) == len(options) else (),
            multiple=raw.get("multiple") is True,
            ends_at=_MOMENT.validate_python(raw.get("expires_at")),
        ),
    )


def _web(url: Any) -> str | None:
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None
