"""A comment, or a video that a search found, as ours: developers.google.com/youtube/v3/docs/{comments,search}."""

import hashlib
import html
import json
from datetime import UTC
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, ValidationError

from app.connectors.base import IncomingAuthor, IncomingPost, Json, Media, PostKind, Rejected
from app.i18n import N_

SITE = "https://www.youtube.com"
Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]
Nested = Annotated[Json, BeforeValidator(lambda value: value if isinstance(value, dict) else {})]


class _Entity(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Snippet(_Entity):
    """What a comment says, and who."""

    textDisplay: str  # noqa: N815 - YouTube's name for it, here and below
    publishedAt: AwareDatetime  # noqa: N815
    updatedAt: AwareDatetime | None = None  # noqa: N815
    authorDisplayName: Text = ""  # noqa: N815
    authorChannelId: Nested = {}  # noqa: N815
    authorChannelUrl: Text = ""  # noqa: N815
    authorProfileImageUrl: Text = ""  # noqa: N815
    parentId: Text = ""  # noqa: N815
    videoId: Text = ""  # noqa: N815

    def author(self) -> IncomingAuthor:
        """As an author. A closed channel has no id left; its name must do."""
        name = self.authorDisplayName
        identity = str(self.authorChannelId.get("value") or self.authorChannelUrl or name)
        handle = name.removeprefix("@") or identity
        return IncomingAuthor(identity, handle, name, _web(self.authorChannelUrl), _web(self.authorProfileImageUrl))


class Comment(_Entity):
    """A comment, on a video or under another comment."""

    id: str
    snippet: Snippet


def read_comment(raw: Any, video: str, me: IncomingAuthor | None) -> IncomingPost:
    """A comment as ours; all under one top comment are one conversation. Raises ValidationError."""
    comment = Comment.model_validate(raw)
    said = comment.snippet
    author, video = said.author(), said.videoId or video
    top = said.parentId or comment.id
    return IncomingPost(
        external_id=comment.id,
        thread_id=top,
        author=author,
        text=said.textDisplay,
        posted_at=said.publishedAt.astimezone(UTC),
        kind=PostKind.COMMENT,
        url=f"{SITE}/watch?v={video}&lc={comment.id}" if video else None,
        in_reply_to=said.parentId or None,
        own=me is not None and author.external_id == me.external_id,
        ref={"comment": comment.id, "thread": top},
        payload=raw,
    )


class Found(_Entity):
    """A video that a search found."""

    id: Nested
    snippet: Nested
    publishedAt: AwareDatetime  # noqa: N815
    channelId: str  # noqa: N815


def read_video(raw: Any, me: IncomingAuthor | None) -> IncomingPost:
    """A video that names us. Search gives its title and the beginning of what it says of itself, escaped as HTML."""
    told = raw if isinstance(raw, dict) else {}
    snippet = told.get("snippet") if isinstance(told.get("snippet"), dict) else {}
    found = Found.model_validate({**told, "snippet": snippet, **(snippet or {}), "id": told.get("id")})
    video, author = str(found.id.get("videoId") or ""), str(found.snippet.get("channelTitle") or "")
    if not video:
        raise ValidationError.from_exception_data(
            "Found", [{"type": "missing", "loc": ("id", "videoId"), "input": raw}]
        )
    url = f"{SITE}/watch?v={video}"
    thumbnails = found.snippet.get("thumbnails")
    shown = thumbnails.get("medium") if isinstance(thumbnails, dict) else None
    title = html.unescape(str(found.snippet.get("title") or ""))
    return IncomingPost(
        external_id=video_name(video),
        thread_id=video_name(video),
        author=IncomingAuthor(found.channelId, html.unescape(author) or found.channelId, html.unescape(author),
                              f"{SITE}/channel/{found.channelId}"),
        text=html.unescape(str(found.snippet.get("description") or "")) or title,
        title=title,
        posted_at=found.publishedAt.astimezone(UTC),
        kind=PostKind.POST,
        url=url,
        own=me is not None and found.channelId == me.external_id,
        media=(Media("link", url, "", _web(shown.get("url") if isinstance(shown, dict) else None), title),),
        ref={"video": video},
        payload=raw,
    )  # fmt: skip


def video_name(video: str) -> str:
    """Videos and comments have ids of their own; this keeps them apart."""
    return f"video:{video}"


def rejected(value: Any, error: ValidationError) -> Rejected:
    """An entry that cannot be read, under a name that is the same at every fetch."""
    raw = value if isinstance(value, dict) else {"value": value}
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:32]
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the entry"
    name = raw.get("id")
    return Rejected(
        name if isinstance(name, str) and name else digest,
        N_("YouTube sent an entry that cannot be read: %(where)s: %(problem)s.")
        % {"where": where, "problem": first["msg"]},
        raw,
    )


def _web(url: Any) -> str | None:
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None
