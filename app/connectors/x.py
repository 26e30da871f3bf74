"""X, by its API v2: mentions, searches, answers to our posts and direct messages in; replies, messages, pictures out.

Rules: docs.x.com (API v2), checked against its OpenAPI description, "X API v2", version 2.159.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import ValidationError

from app.connectors import x_activity, x_stream
from app.connectors.base import (
    Allowance,
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    Json,
    KnownPost,
    Length,
    Link,
    OutgoingReply,
    Pictures,
    PostChange,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.oauth import OAuth, Paste, Places, Step
from app.connectors.x_api import Api, Gone, allowance, reads
from app.connectors.x_look import looked, message_looked
from app.connectors.x_media import uploaded
from app.connectors.x_posts import (
    USER_FIELDS,
    User,
)
from app.connectors.x_reply import able, body_of, find, send
from app.connectors.x_settings import SIGN_IN, Source, XCredentials, XSettings
from app.connectors.x_walk import Walk, query_of
from app.errors import Malformed, Refused
from app.i18n import N_

LIMIT = 280
SHOWN = 5  # posts that a check reads
MESSAGES_LOOKED_AT = 3  # a call each, of 15 in a quarter of an hour
_PORTAL = "https://console.x.com"
_ENDPOINT = {"mentions": "mentions", "search": "search", "replies": "search", "messages": "messages"}


class XConnector(Connector):
    """One endpoint a feed. A post read is never paid twice: `since_id`, and expansions in place of lookups."""

    name: ClassVar[str] = "x"
    title: ClassVar[str] = "X"
    help: ClassVar[str] = N_(
        "Brings mentions, a search, answers to our newest posts, or direct messages from X, and sends replies. Create "
        "an app in the developer console with sign-in by OAuth 2.0, and sign in with it here. Posts read are counted "
        "against the month's allowance and spread over it."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        delete=True,
        threads=True,
        find_sent=True,
        streams=True,
        hooks=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        length_limit=LIMIT,
        length_counts=Length.X,
        looks=100,  # in one call; each post counts as one read a day
        pictures=Pictures(most=4, bytes=5_000_000, pixels=16_000_000, alt=1000),
    )
    Settings: ClassVar[type[SettingsModel]] = XSettings
    Credentials: ClassVar[type[SettingsModel] | None] = XCredentials
    oauth: ClassVar[OAuth | None] = SIGN_IN

    def guide(self, places: Places) -> tuple[Step, ...]:
        """What to create in X's developer console."""
        steps = [
            Step(
                N_("Create an app"),
                N_("In the console, create a project with an app. Its plan must have mentions."),
                _PORTAL,
            ),
            Step(
                N_("Set up sign-in"),
                N_("Under user authentication settings choose read, write and direct messages, a web app, and paste:"),
                paste=(Paste(N_("Callback URI"), places.redirect),),
            ),
            Step(N_("Copy the client id and secret"), N_("From 'Keys and tokens', into the form here; then sign in.")),
        ]
        if places.hook:
            told = N_("Where the plan has account activity, register this address and subscribe our account to it:")
            steps.append(Step(N_("Deliveries, if you like"), told, paste=(Paste(N_("Webhook URL"), places.hook),)))
        return tuple(steps)

    def app_of(self, credentials: Any) -> str:
        """An app of X has one webhook address for all its accounts."""
        return str(credentials.client_id)

    def allowances(self, settings: Any, credentials: Any, *, replying: bool = False) -> tuple[Allowance, ...]:
        """Polls draw from their endpoint and, but for messages, from the month's reads; replies from writing."""
        if replying:
            names = ("message",) if settings.source is Source.MESSAGES else ("post", "post-day")
            return tuple(allowance(name) for name in names)
        endpoint = allowance(_ENDPOINT[settings.source.value])
        if settings.source is Source.MESSAGES:
            return (endpoint,)
        return endpoint, reads(credentials.monthly_reads)

    async def who(self, link: Link) -> IncomingAuthor | None:
        """Whose tokens these are."""
        return await _me(Api(link, SIGN_IN))

    async def check(self, link: Link) -> Check:
        """Say who we are there, and show the newest post of this feed."""
        api = Api(link, SIGN_IN)
        me = await _me(api)
        few = replace(link, settings=link.settings.model_copy(update={"backlog": SHOWN}))
        found = await Walk(Api(few, SIGN_IN), me, {}).batch()
        sample = found.posts[-1] if found.posts else None
        return Check(message=N_("Signed in to X as @%(handle)s.") % {"handle": me.handle}, account=me, sample=sample)

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new, newest pages first, at most three pages a call; `more` goes on below them."""
        api = Api(link, SIGN_IN)
        return await Walk(api, await _known(api, cursor), cursor).batch()

    async def listen(self, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
        """Posts as they are written. Raises Refused where a stream is asked for that the feed cannot have."""
        if not link.settings.stream:
            return
        api = Api(link, SIGN_IN)
        token = link.credentials.bearer_token.get_secret_value()
        if not token or link.settings.source not in {Source.MENTIONS, Source.SEARCH}:
            raise Refused(N_("This feed has no stream: it needs a bearer token, and a search or mentions."))
        me = await _known(api, cursor)
        rule = query_of(link.settings, me, ()) or f"@{me.handle} -from:{me.external_id} -is:retweet"
        async for batch in x_stream.listen(api, token, me, rule, cursor):
            yield batch

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Verify and read a delivery of the Account Activity API."""
        return x_activity.received(link, headers, body)

    def challenge(self, link: Link, query: Mapping[str, str]) -> str:
        """Answer X's check of our address."""
        return x_activity.answer_of(link.credentials.consumer_secret.get_secret_value(), query)

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """What became of posts: X wants what is deleted there deleted everywhere. An edit has an id of its own."""
        api = Api(link, SIGN_IN)
        messages = [known for known in posts if "message" in known.ref][:MESSAGES_LOOKED_AT]
        changes = [change for known in messages for change in await message_looked(api, known, link.now)]
        written = {str(known.ref["id"]): known for known in posts if "id" in known.ref}
        return (*changes, *(await looked(api, written) if written else ()))

    def able(self, to: Json, visibility: Visibility | None = None) -> Capabilities:
        """Messages may be longer, and carry one picture."""
        return able(to, self.capabilities)

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Any account can answer a public post."""
        return True

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """What is sent, frozen. Raises Refused when X would never take it."""
        return body_of(reply, self.capabilities)

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once; pictures go ahead. The same text again is refused by X, which means that it may stand."""
        api = Api(link, SIGN_IN)
        me = link.account or await _me(api)
        media = await uploaded(api, reply.pictures, direct="conversation" in reply.prepared)
        return await send(api, me, reply.prepared, media)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look through what we wrote since shortly before the first try."""
        api = Api(link, SIGN_IN)
        return await find(api, link.account or await _me(api), reply)

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our reply; one that is gone already is no error."""
        api = Api(link, SIGN_IN)
        message, name = reply.ref.get("message"), reply.ref.get("id")
        if not message and not name:
            raise Refused(N_("Nobody told Careline which post this reply is. Change it on X itself."))
        path = f"/2/dm_events/{message}" if message else f"/2/tweets/{name}"
        try:
            said = await api.send("DELETE", "delete", path)
        except Gone:
            return
        data = said.get("data")
        if not isinstance(data, dict) or "deleted" not in data:
            raise Malformed(N_("X did not say whether it deleted the reply. It is tried again."))
        if not data["deleted"]:
            raise Refused(N_("X did not delete the reply. Is it of another account? Delete it there."))


async def _me(api: Api) -> IncomingAuthor:
    try:
        return User.model_validate((await api.get("me", "/2/users/me", USER_FIELDS)).get("data")).author()
    except ValidationError as error:
        raise Malformed(N_("X did not say which account the access token is for.")) from error


async def _known(api: Api, cursor: Json) -> IncomingAuthor:
    """Who we are, as was found out before: X allows few questions for it."""
    known = cursor.get("me")
    if api.link.account is not None:
        return api.link.account
    return IncomingAuthor(known, known) if isinstance(known, str) and known else await _me(api)
