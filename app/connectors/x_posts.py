"""A post or a message of X as ours: docs.x.com, "Data dictionary", "Edit Posts", "Direct Messages"; the OpenAPI description.

Posts come with what they refer to (expansions), which costs nothing, so that no lookup is needed.
"""

import hashlib
import html
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, ValidationError

from app.connectors.base import IncomingAuthor, IncomingPost, Json, Media, PostKind, Rejected, Visibility
from app.connectors.x_hung import polls_of, quote_of
from app.i18n import N_

SITE = "https://x.com"
DM_LIMIT = 10_000  # characters of a message: docs.x.com, "Manage Direct Messages"
_TCO = re.compile(r"https://t\.co/\w+")
_LEADING_MENTIONS = re.compile(r"\A(?:@\w{1,15}\s+)+")

FIELDS = {
    "tweet.fields": "attachments,author_id,conversation_id,created_at,edit_history_tweet_ids,entities,"
    "id,in_reply_to_user_id,lang,note_tweet,referenced_tweets,text",
    "expansions": "attachments.media_keys,attachments.poll_ids,author_id,referenced_tweets.id,"
    "referenced_tweets.id.author_id",
    "user.fields": "id,name,profile_image_url,public_metrics,username",
    "media.fields": "alt_text,media_key,preview_image_url,type,url,variants",
    "poll.fields": "id,options",
}
USER_FIELDS = {"user.fields": FIELDS["user.fields"]}
DM_FIELDS = {
    "event_types": "MessageCreate",
    "dm_event.fields": "attachments,created_at,dm_conversation_id,entities,event_type,id,sender_id,text",
    "expansions": "attachments.media_keys,sender_id",
    "user.fields": FIELDS["user.fields"],
    "media.fields": FIELDS["media.fields"],
}

Many = Annotated[list[Any], BeforeValidator(lambda value: value if isinstance(value, list) else [])]
Nested = Annotated[Json, BeforeValidator(lambda value: value if isinstance(value, dict) else {})]
Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]


class _Entity(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class User(_Entity):
    """Who wrote."""

    id: str
    username: str
    name: Text = ""
    profile_image_url: Text = ""
    public_metrics: Nested = {}

    def author(self) -> IncomingAuthor:
        """As an author; the id stays when the name changes."""
        followers = self.public_metrics.get("followers_count")
        return IncomingAuthor(
            external_id=self.id,
            handle=self.username,
            name=self.name,
            url=f"{SITE}/{self.username}",
            avatar_url=web(self.profile_image_url),
            followers=followers if isinstance(followers, int) else None,
        )


class Post(_Entity):
    """What somebody wrote in public. Each edit of it has an id of its own; the first is its name."""

    id: str
    author_id: str
    created_at: AwareDatetime
    text: str
    conversation_id: Text = ""
    lang: Text = ""
    in_reply_to_user_id: Text = ""
    edit_history_tweet_ids: Many = []
    referenced_tweets: Many = []
    entities: Nested = {}
    note_tweet: Nested = {}
    attachments: Nested = {}

    @property
    def name(self) -> str:
        """The id that stays over edits."""
        return next((one for one in self.edit_history_tweet_ids if isinstance(one, str)), self.id)

    @property
    def newest(self) -> str:
        """The id of the latest version."""
        found = [one for one in self.edit_history_tweet_ids if isinstance(one, str)]
        return found[-1] if found else self.id

    def refers(self, how: str) -> str | None:
        """The id of the post that it answers (`replied_to`), quotes (`quoted`) or passes on (`retweeted`)."""
        for one in self.referenced_tweets:
            if isinstance(one, dict) and one.get("type") == how and isinstance(one.get("id"), str):
                return str(one["id"])
        return None

    @property
    def written(self) -> str:
        """The whole text, with real addresses for X's short ones and without those of its own pictures."""
        note = self.note_tweet
        if isinstance(note.get("text"), str):
            return readable(note["text"], note.get("entities"))
        return readable(self.text, self.entities)


class Message(_Entity):
    """A direct message."""

    id: str
    dm_conversation_id: str
    sender_id: str
    created_at: AwareDatetime
    text: Text = ""
    entities: Nested = {}
    attachments: Nested = {}


class Included:
    """What came along with a page: users, media, polls, posts that others refer to."""

    def __init__(self, answer: Json) -> None:
        """Sort it by id."""
        told = answer.get("includes")
        self._told: Json = told if isinstance(told, dict) else {}
        self.users = self._by("users", "id")
        self.media = self._by("media", "media_key")
        self.polls = self._by("polls", "id")
        self.posts = self._by("tweets", "id")

    def author(self, name: str) -> IncomingAuthor:
        """Who that is; somebody whom X did not tell of (suspended, gone) is known by the id alone."""
        try:
            return User.model_validate(self.users.get(name)).author()
        except ValidationError:
            return IncomingAuthor(name, name)

    def _by(self, kind: str, key: str) -> dict[str, Json]:
        found = self._told.get(kind)
        return {str(one.get(key)): one for one in found if isinstance(one, dict)} if isinstance(found, list) else {}


def read_post(raw: Json, included: Included, me: IncomingAuthor | None) -> IncomingPost:
    """A post as ours. Raises ValidationError for what is none."""
    post = Post.model_validate(raw)
    passed_on = post.refers("retweeted")
    said = _referred(included, passed_on) or post
    parent = post.refers("replied_to")
    above = _referred(included, parent)
    mine = me.external_id if me else ""
    author = included.author(post.author_id)
    return IncomingPost(
        external_id=post.name,
        thread_id=post.conversation_id or post.name,
        author=author,
        text=said.written,
        posted_at=post.created_at.astimezone(UTC),
        kind=_kind(post, mine),
        url=f"{SITE}/{author.handle}/status/{post.id}",
        language=_language(post),
        in_reply_to=above.name if above else parent,
        own=post.author_id == mine,
        repost=passed_on is not None,
        media=hung_on(said, included),
        ref={"id": post.newest},
        payload=raw | _seen_with(post, included),
    )


def read_message(raw: Json, included: Included, me: IncomingAuthor | None) -> IncomingPost:
    """A direct message as ours. Raises ValidationError for what is none."""
    message = Message.model_validate(raw)
    return IncomingPost(
        external_id=dm_name(message.id),
        thread_id=dm_name(message.dm_conversation_id),
        author=included.author(message.sender_id),
        text=readable(message.text, message.entities),
        posted_at=message.created_at.astimezone(UTC),
        kind=PostKind.DIRECT,
        visibility=Visibility.DIRECT,
        own=me is not None and message.sender_id == me.external_id,
        media=media_of(message.attachments, message.entities, included),
        ref={"message": message.id, "conversation": message.dm_conversation_id},
        payload=raw,
    )


def dm_name(name: str) -> str:
    """Messages and posts have ids of the same kind; this keeps them apart."""
    return f"dm:{name}"


def readable(text: str, entities: Any) -> str:
    """Text as a person reads it: &, < and > unescaped, short addresses resolved, those of own pictures left out."""
    urls = entities.get("urls") if isinstance(entities, dict) else None
    real = {one["url"]: one for one in urls or () if isinstance(one, dict) and isinstance(one.get("url"), str)}

    def resolved(found: re.Match[str]) -> str:
        known = real.get(found.group())
        if known is None:
            return found.group()
        return "" if known.get("media_key") else str(known.get("expanded_url") or found.group())

    return html.unescape(_TCO.sub(resolved, text)).strip()


def without_mentions(text: str) -> str:
    """The text without the mentions that X itself puts before a reply."""
    return _LEADING_MENTIONS.sub("", text)


def rejected(value: Any, error: ValidationError) -> Rejected:
    """An entry that is no post, under a name that is the same at every fetch."""
    raw = value if isinstance(value, dict) else {"value": value}
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:32]
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the entry"
    return Rejected(
        str(raw.get("id") or digest),
        N_("X sent a post that cannot be read: %(where)s: %(problem)s.") % {"where": where, "problem": first["msg"]},
        raw,
    )


def hung_on(post: Post, included: Included) -> tuple[Media, ...]:
    """All that hangs on a post: media, its poll, and the post that it quotes, where that came along."""
    found = [*media_of(post.attachments, post.entities, included), *polls_of(post.attachments, included.polls)]
    quoted = _referred(included, post.refers("quoted"))
    return (*found, _quoted(quoted, included)) if quoted else tuple(found)


def _quoted(post: Post, included: Included) -> Media:
    author = included.author(post.author_id)
    url = f"{SITE}/{author.handle}/status/{post.id}"
    return quote_of(author, post.written, url, post.created_at.astimezone(UTC), _language(post))


def _language(post: Post) -> str | None:
    return None if post.lang in {"", "und", "zxx"} or post.lang.startswith("q") else post.lang


def media_of(attachments: Json, entities: Json, included: Included) -> tuple[Media, ...]:
    """Pictures, videos and link cards."""
    keys = attachments.get("media_keys")
    found = [_medium(included.media[one]) for one in keys if one in included.media] if isinstance(keys, list) else []
    urls = entities.get("urls")
    found += [_card(one) for one in urls if isinstance(one, dict)] if isinstance(urls, list) else []
    return tuple(one for one in found if one is not None)


def web(url: Any) -> str | None:
    """The address, if it is one of the web."""
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None


def moment_of(name: str) -> datetime:
    """When an id was made: milliseconds since X's own epoch, above 22 bits (github.com/twitter-archive/snowflake)."""
    return datetime.fromtimestamp(((int(name) >> 22) + _EPOCH) / 1000, UTC)


def name_at(moment: datetime) -> str:
    """The lowest id of that time."""
    return str(max(int(moment.timestamp() * 1000) - _EPOCH, 0) << 22)


_EPOCH = 1_288_834_974_657  # milliseconds since 1970


def newest(names: Iterable[str]) -> str | None:
    """The latest of some ids: they are numbers that grow."""
    return max((one for one in names if one.isascii() and one.isdigit()), key=int, default=None)


def _referred(included: Included, name: str | None) -> Post | None:
    try:
        return Post.model_validate(included.posts.get(name)) if name else None
    except ValidationError:
        return None


def _seen_with(post: Post, included: Included) -> Json:
    """What it refers to, for the record: it came with it and would have to be read again."""
    names = [post.refers("replied_to"), post.refers("quoted"), post.refers("retweeted")]
    with_it = [included.posts[one] for one in names if one in included.posts]
    return {"includes": with_it} if with_it else {}


def _kind(post: Post, mine: str) -> PostKind:
    if mine and post.in_reply_to_user_id == mine and post.refers("replied_to"):
        return PostKind.REPLY
    named = post.entities.get("mentions")
    if mine and isinstance(named, list) and any(isinstance(one, dict) and one.get("id") == mine for one in named):
        return PostKind.MENTION
    return PostKind.REPLY if post.refers("replied_to") else PostKind.POST


def _medium(raw: Json) -> Media | None:
    alt = str(raw.get("alt_text") or "")
    if raw.get("type") == "photo":
        url = web(raw.get("url"))
        return Media("image", url, alt, url) if url else None
    variants = raw.get("variants")
    plays = [one for one in variants if isinstance(one, dict) and one.get("content_type") == "video/mp4"] if isinstance(
        variants, list) else []  # fmt: skip
    best = max(plays, key=lambda one: one.get("bit_rate") or 0, default={})
    preview = web(raw.get("preview_image_url"))
    url = web(best.get("url")) or preview
    return Media("video", url, alt, preview) if url else None


def _card(raw: Json) -> Media | None:
    """A link whose page told of itself; one without a title is in the text already."""
    url, title = web(raw.get("unwound_url")) or web(raw.get("expanded_url")), raw.get("title")
    if url is None or not isinstance(title, str) or not title:
        return None
    images = raw.get("images")
    first = images[0] if isinstance(images, list) and images and isinstance(images[0], dict) else {}
    return Media("link", url, str(raw.get("description") or ""), web(first.get("url")), title)
