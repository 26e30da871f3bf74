"""Reddit, by its API: inbox, mentions, subreddits and searches in; comments and messages out.

Rules: reddit.com/dev/api, github.com/reddit-archive/reddit/wiki/OAuth2.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    Json,
    KnownPost,
    Link,
    OutgoingReply,
    PostChange,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.length import refuse_long
from app.connectors.oauth import ClientAuth, OAuth, OAuthCredentials, Paste, Places, Scope, Step
from app.connectors.reddit_api import TOKEN, Api, listing
from app.connectors.reddit_posts import SITE, Thing, author_of, read_change, read_thing
from app.connectors.reddit_walk import Walk, path_of
from app.connectors.sent import may_stand_since, same
from app.errors import Malformed, MaybeSent, RateLimited, Refused
from app.i18n import N_, _

LIMIT = 10_000  # characters of a comment or message
_PAGES = 5  # of what we wrote that are looked through
_UNASKED_WAIT = timedelta(minutes=10)

SIGN_IN = OAuth(
    authorize="https://www.reddit.com/api/v1/authorize",
    token=TOKEN,
    scopes=(
        Scope("identity", N_("tells who we are")),
        Scope("read", N_("reads subreddits and searches")),
        Scope("privatemessages", N_("reads the inbox, and answers messages")),
        Scope("submit", N_("sends comments")),
        Scope("edit", N_("deletes comments")),
        Scope("history", N_("looks among our own comments for one whose arrival is in doubt")),
    ),
    client=ClientAuth.BASIC,
    pkce=False,
    extra={"duration": "permanent"},
)


class Source(StrEnum):
    """What a feed brings."""

    INBOX = "inbox"
    MENTIONS = "mentions"
    SUBREDDIT = "subreddit"
    COMMENTS = "comments"
    SEARCH = "search"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {
            Source.INBOX: _("The inbox: answers, mentions and messages"),
            Source.MENTIONS: _("Mentions"),
            Source.SUBREDDIT: _("Posts of a subreddit"),
            Source.COMMENTS: _("Comments of a subreddit"),
            Source.SEARCH: _("A search"),
        }[self]


class RedditSettings(SettingsModel):
    """Which posts to bring."""

    source: Source = Field(default=Source.INBOX, title=N_("Bring"))
    subreddit: str = Field(
        default="",
        title=N_("Subreddit"),
        description=N_("Its name without r/; several joined by +. Optional for a search."),
        max_length=200,
        pattern=r"^\w*(\+\w+)*$",
        examples=["ultralight"],
    )
    value: str = Field(default="", title=N_("Search"), description=N_("Only for a search."), max_length=500)

    @field_validator("subreddit", mode="before")
    @classmethod
    def _without_prefix(cls, value: Any) -> Any:
        return value.strip().strip("/").removeprefix("r/") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _value_where_needed(self) -> "RedditSettings":
        if self.source in {Source.SUBREDDIT, Source.COMMENTS} and not self.subreddit:
            message = _("Say which subreddit.")
            raise ValueError(message)
        if self.source is Source.SEARCH and not self.value:
            message = _("Say what to search for.")
            raise ValueError(message)
        return self


class RedditCredentials(OAuthCredentials):
    """An app of ours: a web app that we sign in with, or a script with its own name and password."""

    username: str = Field(
        title=N_("Our name on Reddit"),
        description=N_("Reddit wants it in each request."),
        pattern=r"^[\w-]{1,30}$",
        examples=["northwindhelp"],
    )
    password: SecretStr = Field(
        default=SecretStr(""),
        title=N_("Password"),
        description=N_("Only for a script app, which signs in with it. Leave it empty for a web app."),
        max_length=500,
    )

    @property
    def is_script(self) -> bool:
        """Whether it signs in by name and password."""
        return bool(self.password.get_secret_value())


class RedditConnector(Connector):
    """Everything hangs on lists of things; there are a hundred calls a minute for them."""

    name: ClassVar[str] = "reddit"
    title: ClassVar[str] = "Reddit"
    help: ClassVar[str] = N_(
        "Brings the inbox, mentions, posts or comments of a subreddit, or a search from Reddit, and answers with comments "
        "and messages. On Reddit, under Preferences, Apps, create a web app to sign in with, or a script."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        delete=True,
        threads=True,
        find_sent=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        length_limit=LIMIT,
        looks=100,  # in one call
    )
    Settings: ClassVar[type[SettingsModel]] = RedditSettings
    Credentials: ClassVar[type[SettingsModel] | None] = RedditCredentials
    oauth: ClassVar[OAuth | None] = SIGN_IN

    def sign_in(self, credentials: Any) -> OAuth | None:
        """By OAuth, but for a script."""
        return None if credentials.is_script else SIGN_IN

    def guide(self, places: Places) -> tuple[Step, ...]:
        """What to create on Reddit."""
        create = N_("Under Preferences, Apps, create an app of the type web app (or script), and paste:")
        copy = N_("The client id stands under the app's name. A script needs our password as well.")
        return (
            Step(N_("Create an app"), create, f"{SITE}/prefs/apps", (Paste(N_("Redirect URI"), places.redirect),)),
            Step(N_("Copy the client id and secret"), copy),
        )

    async def who(self, link: Link) -> IncomingAuthor | None:
        """Whose tokens these are."""
        return await _me(Api(link, SIGN_IN))

    async def check(self, link: Link) -> Check:
        """Say who we are there, and show the newest entry of this feed."""
        api = Api(link, SIGN_IN)
        me = await _me(api)
        path, asked = path_of(link.settings)
        found, _after = listing(await api.get(path, asked | {"limit": 5}))
        return Check(
            message=N_("Signed in to Reddit as u/%(handle)s.") % {"handle": me.handle},
            account=me,
            sample=next((post for raw in found if (post := _readable(raw, me))), None),
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new, newest pages first, at most three pages a call; `more` goes on below them."""
        api = Api(link, SIGN_IN)
        return await Walk(api, link.account or author_of(link.credentials.username), cursor).batch()

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for things by name. What is gone shows as [deleted]; messages cannot be asked for."""
        known = {one.external_id: one for one in posts if not one.external_id.startswith("t4")}
        if not known:
            return ()
        found, _after = listing(await Api(link, SIGN_IN).get("/api/info", {"id": ",".join(known)}))
        things = {
            raw["data"].get("name"): raw for raw in found if isinstance(raw, dict) and isinstance(raw.get("data"), dict)
        }
        changes = [PostChange(name, link.now, deleted=True) for name in known if name not in things]
        for name, one in known.items():
            try:
                change = read_change(things[name], one) if name in things else None
            except ValidationError:
                continue
            changes += [change] if change else []
        return tuple(changes)

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Any account can answer in public."""
        return True

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """What is sent, frozen. Raises Refused when it is too long."""
        refuse_long(len(reply.text), LIMIT)
        return {"thing_id": reply.after.get("name", reply.to["name"]), "text": reply.text}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once: a comment under a post or comment, a message under a message. Reddit knows no repeat."""
        said = await Api(link, SIGN_IN).post("/api/comment", {**reply.prepared, "api_type": "json"})
        told = said.get("json")
        if not isinstance(told, dict):
            raise Malformed(N_("Reddit took the reply but did not say where it stands."))
        _refuse(told)
        data = told.get("data")
        things = data.get("things") if isinstance(data, dict) else None
        sent = _sent(things[0]) if isinstance(things, list) and things else None
        if sent is None:
            raise Malformed(N_("Reddit took the reply but did not say where it stands."))
        return sent

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look through what we wrote since shortly before the first try, for this text under this parent."""
        api = Api(link, SIGN_IN)
        since = may_stand_since(reply)
        direct = reply.prepared["thing_id"].startswith("t4")
        path = "/message/sent" if direct else f"/user/{link.credentials.username}/comments"
        asked: dict[str, str | int] = {"limit": 100, "sort": "new"}
        for _page in range(_PAGES):
            found, after = listing(await api.get(path, asked))
            for raw in found:
                thing = _thing(raw)
                if datetime.fromtimestamp(thing.created_utc, UTC) < since:
                    return None
                if same(thing.body, reply.prepared["text"]) and thing.parent_id == reply.prepared["thing_id"]:
                    return _sent(raw)
            if after is None:
                return None
            asked["after"] = after
        raise MaybeSent(N_("Our account wrote too much on Reddit since the first try to look through it all."))

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our comment; one that is gone already is no error. Messages cannot be taken back."""
        name = str(reply.ref.get("name") or reply.external_id)
        if name.startswith("t4"):
            raise Refused(N_("A message on Reddit cannot be taken back."))
        if await Api(link, SIGN_IN).post("/api/del", {"id": name}):
            raise Malformed(N_("Reddit did not say whether it deleted the comment. It is tried again."))


async def _me(api: Api) -> IncomingAuthor:
    name = (await api.get("/api/v1/me")).get("name")
    if not isinstance(name, str) or not name:
        raise Malformed(N_("Reddit did not say which account this is."))
    return author_of(name)


def _readable(raw: Any, me: IncomingAuthor) -> Any:
    try:
        return read_thing(raw, me)
    except ValidationError:
        return None


def _refuse(told: Json) -> None:
    """Reddit's refusals come with status 200: [code, words, field]. Raises ConnectorError."""
    errors = told.get("errors")
    if not isinstance(errors, list) or not errors:
        return
    first = [str(part) for part in errors[0]] if isinstance(errors[0], list) else [str(errors[0])]
    code, words = first[0], first[1] if len(first) > 1 else first[0]
    if code == "RATELIMIT":
        seconds = told.get("ratelimit")
        wait = timedelta(seconds=float(seconds)) if isinstance(seconds, int | float) else _UNASKED_WAIT
        raise RateLimited(N_("Reddit lets us write again later: %(said)s") % {"said": words[:200]}, wait)
    raise Refused(N_("Reddit refuses the reply: %(said)s") % {"said": words[:200]})


def _thing(raw: Any) -> Thing:
    """What cannot be read is no proof that the reply is not there. Raises Malformed."""
    try:
        return Thing.model_validate(raw.get("data") if isinstance(raw, dict) else raw)
    except ValidationError as error:
        raise Malformed(N_("Reddit showed something among what we wrote that cannot be read.")) from error


def _sent(raw: Any) -> Sent | None:
    try:
        thing = Thing.model_validate(raw.get("data") if isinstance(raw, dict) else raw)
    except ValidationError:
        return None
    where = SITE + thing.permalink if thing.permalink.startswith("/") else None
    return Sent(thing.name, where, datetime.fromtimestamp(thing.created_utc, UTC), {"name": thing.name})
