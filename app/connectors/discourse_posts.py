"""A post of a Discourse forum as ours.

Rules: docs.discourse.org ("List latest posts across topics", "Retrieve a single post"); what a post's HTML holds
(lightboxes, emoji, attachments): lib/pretty_text.rb and lib/cooked_post_processor.rb there; polls: its poll plugin.
"""

import hashlib
import html
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from app.connectors.base import (
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Media,
    Poll,
    PostChange,
    PostKind,
    Rejected,
    Visibility,
)
from app.connectors.discourse_api import Forum
from app.connectors.text import plain
from app.i18n import N_

_SAID = frozenset({1, 2})  # post_type: regular, and a moderator's word; the others are small actions and whispers
_MOMENT: TypeAdapter[datetime | None] = TypeAdapter(AwareDatetime | None)
_EMOJI = re.compile(r'<img[^>]*\bclass="emoji[^>]*?\balt="([^"]*)"[^>]*>')
_LIGHTBOX_NOTE = re.compile(r'<div class="meta">.*?</div>', re.DOTALL)
_LOCAL = re.compile(r'\b(href|src)="(/[^"]*)"')
_FOUND = re.compile(r"<(a|img|source)\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_NO_PICTURE = frozenset({"emoji", "avatar", "site-icon", "thumbnail", "onebox-avatar"})
_SOUNDS, _FILMS = (".mp3", ".ogg", ".oga", ".wav", ".m4a", ".opus"), (".mp4", ".webm", ".mov", ".m4v", ".ogv")

Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]


class Post(BaseModel):
    """What Careline reads of a post; lists, single posts, topics and deliveries each leave out something."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int = Field(ge=1)
    topic_id: int = Field(ge=1)
    post_number: int = Field(ge=1)
    created_at: AwareDatetime
    updated_at: AwareDatetime | None = None
    user_id: int | None = None
    username: Text = ""
    name: Text = ""
    avatar_template: Text = ""
    raw: Text = ""
    cooked: Text = ""
    reply_to_post_number: int | None = None
    post_type: int = 1
    version: int = 1
    yours: bool = False
    deleted_at: Any = None
    user_deleted: bool = False
    topic_title: Text = ""
    topic_slug: Text = ""
    topic_archetype: Text = ""  # only in deliveries

    @property
    def gone(self) -> bool:
        """Whether it was deleted; moderators are still shown what was, and authors leave a line for a day."""
        return self.deleted_at is not None or self.user_deleted

    @property
    def said(self) -> str:
        """As it was written (Markdown); else the words of what it became."""
        return self.raw or plain(self.cooked)

    @property
    def parent(self) -> int | None:
        """The number of the post that it answers: the topic's first where it names none."""
        if self.post_number == 1:
            return None
        return self.reply_to_post_number or 1

    @property
    def speaks(self) -> bool:
        """Whether somebody says something in it."""
        return self.post_type in _SAID and not self.gone


def name_of(forum: Forum, topic: int, number: int) -> str:
    """The name of a post: its place, as answers name their parents by place alone. It changes only when it is moved."""
    return f"{forum.base}/t/{topic}/{number}"


def read_post(raw: Any, forum: Forum, me: IncomingAuthor | None, *, direct: bool) -> IncomingPost | None:
    """A post; None for what nobody says (a small action, a deleted one). Raises ValidationError for what is none."""
    post = Post.model_validate(raw)
    if not post.speaks:
        return None
    author = _author(post, forum)
    parent = post.parent
    return IncomingPost(
        external_id=name_of(forum, post.topic_id, post.post_number),
        thread_id=f"{forum.base}/t/{post.topic_id}",
        author=author,
        text=post.said,
        title=post.topic_title if parent is None else "",
        html=shown(post.cooked, forum) or None,
        posted_at=post.created_at.astimezone(UTC),
        kind=_kind(post, me, direct=direct),
        visibility=Visibility.DIRECT if direct else Visibility.PUBLIC,
        url=f"{forum.base}/t/{post.topic_slug or '-'}/{post.topic_id}/{post.post_number}",
        in_reply_to=None if parent is None else name_of(forum, post.topic_id, parent),
        own=post.yours or (me is not None and author.external_id == me.external_id),
        media=(*_media(post.cooked, forum), *_polls(raw)),
        ref={
            "id": post.id,
            "topic": post.topic_id,
            "number": post.post_number,
            "direct": direct,
            "user": post.username,
            "title": post.topic_title[:200],
            "said": digest(post.said),
            "version": post.version,
        },
        payload=raw if isinstance(raw, dict) else {},
    )


def read_change(raw: Any, known: KnownPost, forum: Forum, now: datetime) -> PostChange | None:
    """What became of a post. None for one that stands as it was. Raises ValidationError."""
    post = Post.model_validate(raw)
    if post.gone:
        return PostChange(known.external_id, now, deleted=True)
    if (digest(post.said), post.version) == (known.ref.get("said"), known.ref.get("version")):
        return None
    return changed(post, forum, known.external_id)


def changed(post: Post, forum: Forum, name: str) -> PostChange:
    """The version of a post that stands now."""
    return PostChange(
        name,
        (post.updated_at or post.created_at).astimezone(UTC),
        text=post.said,
        html=shown(post.cooked, forum) or None,
        media=_media(post.cooked, forum),
    )


def rejected(raw: Any, error: ValidationError) -> Rejected:
    """A post that cannot be read, under a name that is the same at every fetch."""
    kept: Json = raw if isinstance(raw, dict) else {"value": raw}
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the entry"
    return Rejected(
        str(kept.get("id") or hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:32]),
        N_("The forum sent a post that cannot be read: %(where)s: %(problem)s.")
        % {"where": where, "problem": first["msg"]},
        kept,
    )


def digest(text: str) -> str:
    """What tells one version of a text from another."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shown(cooked: str, forum: Forum) -> str:
    """A post's HTML: addresses made whole, emoji as their names, without what a lightbox says of its picture."""
    bare = _LIGHTBOX_NOTE.sub("", _EMOJI.sub(r"\1", cooked))
    return _LOCAL.sub(lambda found: f'{found[1]}="{forum.absolute(html.unescape(found[2]))}"', bare)


def _kind(post: Post, me: IncomingAuthor | None, *, direct: bool) -> PostKind:
    if post.user_id is not None and post.user_id < 0:
        return PostKind.NOTICE  # the system, or the forum's own bot
    if direct:
        return PostKind.DIRECT
    if me is not None and re.search(rf"(?<![\w@])@{re.escape(me.handle)}\b", post.said, re.IGNORECASE):
        return PostKind.MENTION
    return PostKind.POST if post.post_number == 1 else PostKind.REPLY


def _author(post: Post, forum: Forum) -> IncomingAuthor:
    """Posts whose author's account was removed belong to nobody any more; each forum has one nobody."""
    if post.user_id is None:
        return IncomingAuthor(f"{forum.base}/user/0", post.username or "[deleted]")
    return forum.author(post.user_id, post.username or str(post.user_id), post.name, post.avatar_template)


def _media(cooked: str, forum: Forum) -> tuple[Media, ...]:
    """Pictures, films, sounds and files of a post. A picture in a lightbox is a link around its small version."""
    found: dict[str, Media] = {}
    large = ""
    for tag, inside in _FOUND.findall(cooked):
        has = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(inside)}
        classes = set(has.get("class", "").split())
        url = forum.absolute(has.get("href") or has.get("src") or "")
        if not url.startswith(("https://", "http://")):
            continue
        if tag == "a" and "lightbox" in classes:
            large = url
        elif tag == "a" and "attachment" in classes:
            found[url] = Media("file", url, title=url.rpartition("/")[2])
        elif tag == "source":
            kind = _kind_of(url)
            found |= {url: Media(kind, url)} if kind else {}
        elif tag == "img" and not classes & _NO_PICTURE:
            found[large or url] = Media("image", large or url, has.get("alt", ""), url)
            large = ""
    return tuple(found.values())


def _kind_of(url: str) -> str:
    path = url.partition("?")[0].lower()
    return "audio" if path.endswith(_SOUNDS) else "video" if path.endswith(_FILMS) else ""


def _polls(raw: Any) -> tuple[Media, ...]:
    told = raw.get("polls") if isinstance(raw, dict) else None
    polls = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return tuple(Media("poll", "", title=str(one.get("title") or ""), poll=_poll(one)) for one in polls)


def _poll(one: Json) -> Poll:
    listed = one.get("options")
    options = [option for option in listed if isinstance(option, dict)] if isinstance(listed, list) else []
    votes = [option["votes"] for option in options if isinstance(option.get("votes"), int)]
    try:
        ends = _MOMENT.validate_python(one.get("close"))
    except ValidationError:
        ends = None
    return Poll(
        tuple(plain(str(option.get("html") or "")) for option in options),
        tuple(votes) if len(votes) == len(options) else (),
        multiple=one.get("type") == "multiple",
        ends_at=ends,
    )
