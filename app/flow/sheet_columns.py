"""How the columns of a file are read: which is what of a post, guessed from their names and then said by an admin. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from app.connectors.base import IncomingPost, Json, SettingsModel
from app.connectors.forms import problem
from app.connectors.webhook_schema import PostIn, incoming
from app.flow.preferences import zones
from app.flow.sheet import Delimiter, Format, Row, read_csv, read_ndjson
from app.flow.sheet_dates import Order, order_of, read_date
from app.i18n import N_, _

WRITER = ("author.id", "author.handle", "author.name")
SAYS = ("text", "title")
_NOT_WORDS = re.compile(r"[^\w.]+")
_APART = re.compile(r"[\s|;]+")

# What a column may be of a post, and what such columns are called elsewhere.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": ("post_id", "external_id", "tweet_id", "review_id", "message_id", "comment_id", "ticket_id", "uuid", "guid"),
    "text": ("body", "message", "content", "comment", "review", "full_text", "post", "description", "nachricht", "mensaje"),
    "title": ("subject", "headline", "betreff", "asunto"),
    "posted_at": ("created_at", "date", "datetime", "time", "timestamp", "created", "published_at", "published", "sent_at",
                  "submitted_at", "datum", "fecha"),
    "author.id": ("author_id", "user_id", "customer_id", "user.id", "from_id", "from.id"),
    "author.name": ("author_name", "author", "name", "user_name", "customer_name", "user", "customer", "from", "reviewer",
                    "user.name", "verfasser", "autor"),
    "author.handle": ("handle", "screen_name", "username", "author_handle", "nickname", "email", "user.screen_name"),
    "author.followers": ("followers", "followers_count", "user.followers_count"),
    "thread": ("thread_id", "conversation_id", "conversation", "topic_id"),
    "in_reply_to": ("reply_to", "in_reply_to_id", "parent_id", "parent", "in_reply_to_status_id"),
    "url": ("link", "permalink", "address"),
    "language": ("lang", "locale", "sprache", "idioma"),
    "kind": (),
    "visibility": (),
    "own": ("is_own",),
    "media": ("image", "image_url", "picture", "photo", "attachments"),
    "quote": (),
    "poll": (),
}  # fmt: skip

TITLES: Mapping[str, str] = {
    "id": N_("Id"),
    "text": N_("Text"),
    "title": N_("Title"),
    "posted_at": N_("Date"),
    "author.id": N_("Author's id"),
    "author.name": N_("Author's name"),
    "author.handle": N_("Author's handle"),
    "author.followers": N_("Author's followers"),
    "thread": N_("Conversation"),
    "in_reply_to": N_("Answers the post with the id"),
    "url": N_("Address"),
    "language": N_("Language"),
    "kind": N_("Kind"),
    "visibility": N_("Visibility"),
    "own": N_("Written by us"),
    "media": N_("Addresses of pictures"),
    "quote": N_("Quoted post"),
    "poll": N_("Poll"),
}


class Reading(SettingsModel):
    """What an admin says of a file, besides its columns."""

    delimiter: Delimiter = Field(Delimiter.COMMA, title=N_("Between the cells"))
    order: Order = Field(Order.DAY, title=N_("Dates are written"))
    zone: str = Field("UTC", title=N_("Time zone"), description=N_("Of dates that name none."))
    queue_days: int = Field(
        0,
        ge=0,
        le=3650,
        title=N_("Queue posts of the last days"),
        description=N_("So many. Older ones are kept as history, which nobody is asked to answer. 0: all are history."),
    )

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone not in zones():
            raise ValueError(_("There is no such time zone. Choose one of the list."))
        return zone


class Shape(Reading):
    """How a file is read, and which of its posts are to be answered."""

    format: Format
    columns: tuple[str, ...]
    fields: Mapping[str, str] = Field(default_factory=dict)  # of a post -> column

    @model_validator(mode="after")
    def _of_the_file(self) -> Self:
        if not {*self.fields.values()} <= {*self.columns} or not self.fields.keys() <= FIELDS.keys():
            raise ValueError(_("Choose from the list."))
        return self

    @property
    def missing(self) -> str:
        """What has to be chosen before an import can start, in words; empty when nothing has."""
        if not any(name in self.fields for name in SAYS):
            return _("Say which column is the text.")
        if not any(name in self.fields for name in WRITER):
            return _("Say which column tells who wrote it.")
        return ""


def guessed(format_: Format, delimiter: Delimiter, columns: Sequence[str], lines: Sequence[str], zone: str) -> Shape:
    """The shape that the names of the columns and the first rows suggest."""
    named = {_plain(column): column for column in reversed(columns)}
    fields: dict[str, str] = {}
    for name, others in FIELDS.items():
        found = next((named[one] for one in (name, *others) if named.get(one) not in {None, *fields.values()}), None)
        if found is not None:
            fields[name] = found
    shape = Shape(format=format_, delimiter=delimiter, columns=tuple(columns), fields=fields, zone=zone)
    dated = shape.fields.get("posted_at", "")
    samples = [str(row.values.get(dated, "")) for row in rows_of(shape, lines) if row.values]
    return shape.model_copy(update={"order": order_of(samples)})


def _plain(column: str) -> str:
    return _NOT_WORDS.sub("_", column.strip().lower()).strip("_")


def rows_of(shape: Shape, lines: Sequence[str], line: int = 1, *, whole: bool = True) -> Iterable[Row]:
    """The rows that these lines hold, whatever the file's format."""
    if shape.format is Format.NDJSON:
        return read_ndjson(lines, line)
    return read_csv(lines, shape.columns, shape.delimiter, line, whole=whole)


def post_of(row: Row, shape: Shape, source: str, now: datetime) -> IncomingPost | str:
    """The post that a row stands for, or why it is none."""
    if row.values is None:
        return row.problem
    try:
        entry = _entry(row.values, shape, ZoneInfo(shape.zone))
    except ValueError as error:
        return str(error)
    try:
        return incoming(PostIn.model_validate(entry), row.values, source, now)
    except ValidationError as error:
        return " ".join(_told(one) for one in error.errors(include_url=False)[:3])


def _told(error: ErrorDetails) -> str:
    """What is wrong with a cell, in words."""
    place = [str(one) for one in error["loc"]]
    name = next((one for one in (".".join(place), *place[:1]) if one in TITLES), "")
    if not name:
        return problem(error)
    return N_("The column for %(field)s cannot be used: %(problem)s") % {
        "field": TITLES[name],
        "problem": problem(error),
    }


def is_recent(post: IncomingPost, shape: Shape, since: datetime) -> bool:
    """Whether somebody is to be asked to answer a post of an import that began at `since`."""
    return post.posted_at > since - timedelta(days=shape.queue_days) if shape.queue_days else False


def _entry(values: Mapping[str, Any], shape: Shape, zone: ZoneInfo) -> Json:
    """The row in the words of a delivery (`app.connectors.webhook_schema`). Raises ValueError, in words."""
    given = {name: _cleaned(values.get(column)) for name, column in shape.fields.items()}
    given = {name: value for name, value in given.items() if value not in (None, "")}
    entry: Json = {name: value for name, value in given.items() if "." not in name}
    entry["text"] = entry.get("text", "")
    entry["author"] = _author(given)
    if "posted_at" in entry:
        entry["posted_at"] = read_date(str(entry["posted_at"]), shape.order, zone)
    if isinstance(entry.get("media"), str):
        entry["media"] = [{"url": url} for url in _APART.split(entry["media"])]
    for name in ("kind", "visibility"):
        if name in entry:
            entry[name] = str(entry[name]).lower()
    if "language" in entry:
        entry["language"] = str(entry["language"]).replace("_", "-")
    entry.setdefault("id", _digest(values))
    return entry


def _cleaned(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _author(given: Mapping[str, Any]) -> Json:
    """Who wrote it: by their id, else by what they are called."""
    named = next((str(given[name]) for name in WRITER if name in given), None)
    if named is None:
        raise ValueError(N_("It does not say who wrote it."))
    author = {name.partition(".")[2]: value for name, value in given.items() if name.startswith("author.")}
    return author if "id" in author else author | {"id": f"called:{named.casefold()}"[:400]}


def _digest(values: Mapping[str, Any]) -> str:
    """A name for a row that has none: the same row is the same post, whenever it is imported."""
    words = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return f"sha256={hashlib.sha256(words.encode('utf-8', 'replace')).hexdigest()[:32]}"
