"""YouTube, by its Data API v3: comments on our videos and videos that name us in, comments out.

Rules: developers.google.com/youtube/v3/docs, checked against the API's discovery document.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field, SecretStr, ValidationError, model_validator

from app.connectors.base import (
    Allowance,
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    Json,
    KnownPost,
    Link,
    OutgoingReply,
    Period,
    PostChange,
    Quota,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.length import refuse_long
from app.connectors.oauth import ClientAuth, OAuth, OAuthCredentials, Paste, Places, Scope, Step
from app.connectors.sent import may_stand_since, same
from app.connectors.youtube_api import LIST, SEARCH, UNITS, WRITE, Api, Gone, items
from app.connectors.youtube_posts import SITE, Comment
from app.connectors.youtube_walk import Walk
from app.errors import Malformed, MaybeSent, Refused
from app.i18n import N_, _

LIMIT = 10_000  # characters of a comment
DAILY = 10_000  # units that each project has at first
_PAGES = 5  # of comments that are looked through
_CONSOLE = "https://console.cloud.google.com/apis"
_SCOPE = "https://www.googleapis.com/auth/youtube.force-ssl"

SIGN_IN = OAuth(
    authorize="https://accounts.google.com/o/oauth2/v2/auth",
    token="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
    scopes=(Scope(_SCOPE, N_("reads comments, and writes and deletes ours; YouTube has no narrower one for writing")),),
    client=ClientAuth.POST,
    extra={"access_type": "offline", "prompt": "consent"},
)


class Source(StrEnum):
    """What a feed brings."""

    COMMENTS = "comments"
    SEARCH = "search"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {Source.COMMENTS: _("Comments on our videos"), Source.SEARCH: _("Videos that a search finds")}[self]


class YouTubeSettings(SettingsModel):
    """Which posts to bring."""

    source: Source = Field(default=Source.COMMENTS, title=N_("Bring"))
    value: str = Field(
        default="",
        title=N_("Search"),
        description=N_("Only for a search, which costs a hundred times as much as a look at the comments."),
        max_length=200,
        examples=["northwind tent"],
    )

    @model_validator(mode="after")
    def _value_where_needed(self) -> "YouTubeSettings":
        if self.source is Source.SEARCH and not self.value:
            message = _("Say what to search for.")
            raise ValueError(message)
        return self


class YouTubeCredentials(OAuthCredentials):
    """An API key that reads, or an app and the tokens of our channel, which answers as well."""

    client_id: str = Field(
        default="", title=N_("Client id"), description=N_("To answer. Empty: an API key reads."), max_length=500
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        title=N_("API key"),
        description=N_("Only for an account that reads and never answers."),
        max_length=500,
    )
    channel: str = Field(
        default="",
        title=N_("Channel"),
        description=N_("Needed with an API key: our channel's handle or id."),
        max_length=100,
        examples=["@northwind"],
    )
    daily_units: int = Field(
        default=DAILY,
        title=N_("Units in a day"),
        description=N_("The project's quota, as the console shows it. Feeds share it and spread it out."),
        ge=100,
        le=1_000_000_000,
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> "YouTubeCredentials":
        if not self.client_id and not (self.api_key.get_secret_value() and self.channel):
            message = _("Give a client id to sign in with, or an API key and a channel.")
            raise ValueError(message)
        return self


class YouTubeConnector(Connector):
    """Comments cost a unit a look, a search a hundred, an answer fifty, of ten thousand a day."""

    name: ClassVar[str] = "youtube"
    title: ClassVar[str] = "YouTube"
    help: ClassVar[str] = N_(
        "Brings comments on our channel's videos, or videos that a search finds, and answers with comments. In Google's "
        "cloud console enable the YouTube Data API v3 for a project and create an OAuth client, or an API key that only "
        "reads. What calls cost is counted against the project's daily quota and spread over the day."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        delete=True,
        find_sent=True,
        visibilities=(Visibility.PUBLIC,),
        length_limit=LIMIT,
        looks=50,  # in one call of one unit
    )
    Settings: ClassVar[type[SettingsModel]] = YouTubeSettings
    Credentials: ClassVar[type[SettingsModel] | None] = YouTubeCredentials
    oauth: ClassVar[OAuth | None] = SIGN_IN

    def sign_in(self, credentials: Any) -> OAuth | None:
        """By OAuth unless the account has an API key alone."""
        return SIGN_IN if credentials.client_id else None

    def guide(self, places: Places) -> tuple[Step, ...]:
        """What to create in Google's cloud console."""
        enable = N_("In a project of Google's cloud console, enable the YouTube Data API v3.")
        client = N_("Under credentials create an OAuth client for a web application, and paste:")
        publish = N_("Publish the consent screen: an app in testing is signed out after seven days.")
        return (
            Step(N_("Enable the API"), enable, f"{_CONSOLE}/library/youtube.googleapis.com"),
            Step(
                N_("Create a client"),
                client,
                f"{_CONSOLE}/credentials",
                (Paste(N_("Authorised redirect URI"), places.redirect),),
            ),
            Step(N_("Publish it"), publish),
        )

    def allowances(self, settings: Any, credentials: Any, *, replying: bool = False) -> tuple[Allowance, ...]:
        """All draws from the day's units."""
        cost = WRITE if replying else SEARCH if settings.source is Source.SEARCH else LIST
        quota = Quota(credentials.daily_units, Period.PACIFIC_DAY, cost)
        return (Allowance(UNITS, N_("Quota units in a day"), quota),)

    async def who(self, link: Link) -> IncomingAuthor | None:
        """Whose channel this is."""
        return await _me(Api(link, SIGN_IN))

    async def check(self, link: Link) -> Check:
        """Say which channel we are, and show the newest post of this feed."""
        api = Api(link, SIGN_IN)
        me = await _me(api)
        batch = await Walk(Api(replace(link, room={UNITS: 0}), SIGN_IN), me, {}).batch()
        reads_only = N_("The account has an API key only: it reads and cannot answer.")
        return Check(
            message=N_("Signed in to YouTube as %(name)s.") % {"name": me.name or me.handle},
            account=me,
            sample=batch.posts[-1] if batch.posts else None,
            notices=() if link.credentials.client_id else (reads_only,),
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new, newest first, at most three pages a call; `more` goes on below them."""
        api = Api(link, SIGN_IN)
        return await Walk(api, link.account or await _me(api), cursor).batch()

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for comments and videos by their ids: one that is missing is gone, a comment tells when it was edited."""
        api = Api(link, SIGN_IN)
        comments = {str(one.ref["comment"]): one for one in posts if "comment" in one.ref}
        videos = {str(one.ref["video"]): one for one in posts if "video" in one.ref}
        changes: list[PostChange] = []
        if comments:
            asked = {"part": "snippet", "id": ",".join(comments), "textFormat": "plainText"}
            found = {
                str(one.get("id")): one for one in items(await api.get("/comments", asked)) if isinstance(one, dict)
            }
            changes += [
                change for name, known in comments.items() if (change := _comment(found.get(name), known, link))
            ]
        if videos:
            answer = await api.get("/videos", {"part": "id", "id": ",".join(videos)})
            there = {str(one.get("id")) for one in items(answer) if isinstance(one, dict)}
            gone = [known for name, known in videos.items() if name not in there]
            changes += [PostChange(known.external_id, link.now, deleted=True) for known in gone]
        return tuple(changes)

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Any channel can comment."""
        return True

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """What is sent, frozen. Raises Refused when it is too long."""
        refuse_long(len(reply.text), LIMIT)
        target = {"video": reply.to["video"]} if "video" in reply.to else {"thread": reply.to["thread"]}
        return {"text": reply.text} | target

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Comment once: under the first comment of the thread, or on the video. YouTube knows no repeat."""
        api, prepared = Api(link, SIGN_IN), reply.prepared
        if "video" in prepared:
            top = {"snippet": {"textOriginal": prepared["text"]}}
            body: Json = {"snippet": {"videoId": prepared["video"], "topLevelComment": top}}
            said = await api.post("/commentThreads", {"part": "snippet"}, body)
        else:
            body = {"snippet": {"parentId": prepared["thread"], "textOriginal": prepared["text"]}}
            said = await api.post("/comments", {"part": "snippet"}, body)
        name = said.get("id")
        if not isinstance(name, str) or not name:
            raise Malformed(N_("YouTube took the comment but did not say how it is called."))
        return _sent(name, link.now, prepared)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look through the comments of that thread or video for ours with this text, since shortly before the try."""
        api, prepared = Api(link, SIGN_IN), reply.prepared
        me = link.account or await _me(api)
        since = may_stand_since(reply)
        path, asked = _list_of(prepared)
        for _page in range(_PAGES):
            answer = await api.get(path, asked)
            for raw in items(answer):
                comment = _one(raw)
                at = comment.snippet.publishedAt
                mine = comment.snippet.author().external_id == me.external_id and at >= since
                if mine and same(comment.snippet.textDisplay, prepared["text"]):
                    return _sent(comment.id, at, prepared)
                if path == "/commentThreads" and at < since:
                    return None
            token = answer.get("nextPageToken")
            if not isinstance(token, str) or not token:
                return None
            asked["pageToken"] = token
        raise MaybeSent(N_("There are too many comments there to look through them all."))

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our comment; one that is gone already is no error."""
        name = reply.ref.get("comment")
        if not name:
            raise Refused(N_("Nobody told Careline which comment this reply is. Change it on YouTube itself."))
        try:
            await Api(link, SIGN_IN).delete("/comments", {"id": name})
        except Gone:
            return


async def _me(api: Api) -> IncomingAuthor:
    held = api.link.credentials
    asked: dict[str, str | int] = {"part": "snippet"}
    if held.client_id:
        asked["mine"] = "true"
    else:
        asked |= {"id": held.channel} if held.channel.startswith("UC") else {"forHandle": held.channel}
    found = [one for one in (await api.get("/channels", asked)).get("items") or () if isinstance(one, dict)]
    if not found or not isinstance(found[0].get("id"), str):
        raise Malformed(N_("YouTube knows no channel of this account. Check the channel, or with whom you signed in."))
    name, told = found[0]["id"], found[0].get("snippet")
    snippet: Json = told if isinstance(told, dict) else {}
    handle = str(snippet.get("customUrl") or name).removeprefix("@")
    return IncomingAuthor(name, handle, str(snippet.get("title") or ""), f"{SITE}/channel/{name}")


def _comment(raw: Any, known: KnownPost, link: Link) -> PostChange | None:
    if raw is None:
        return PostChange(known.external_id, link.now, deleted=True)
    try:
        said = Comment.model_validate(raw).snippet
    except ValidationError:
        return None
    if said.updatedAt is None or said.updatedAt <= said.publishedAt:
        return None
    return PostChange(known.external_id, said.updatedAt.astimezone(UTC), text=said.textDisplay)


def _list_of(prepared: Json) -> tuple[str, dict[str, str | int]]:
    asked: dict[str, str | int] = {"part": "snippet", "textFormat": "plainText", "maxResults": 100}
    if "video" in prepared:
        return "/commentThreads", asked | {"videoId": prepared["video"], "order": "time"}
    return "/comments", asked | {"parentId": prepared["thread"]}


def _one(raw: Any) -> Comment:
    """What cannot be read is no proof that the reply is not there. Raises Malformed."""
    told = raw.get("snippet") if isinstance(raw, dict) else None
    inner = told.get("topLevelComment", raw) if isinstance(told, dict) else raw
    try:
        return Comment.model_validate(inner)
    except ValidationError as error:
        raise Malformed(N_("YouTube showed a comment that cannot be read.")) from error


def _sent(name: str, at: datetime, prepared: Json) -> Sent:
    video = prepared.get("video")
    url = f"{SITE}/watch?v={video}&lc={name}" if video else None
    return Sent(name, url, at, {"comment": name, "thread": prepared.get("thread", name)})
