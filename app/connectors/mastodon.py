"""Mastodon, and any server that speaks its API (GoToSocial, Pleroma, Akkoma, Friendica ...).

Rules: docs.joinmastodon.org/methods/{notifications,timelines,accounts,search,statuses,instance}.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator

from app.connectors import mastodon_stream
from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
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
from app.connectors.mastodon_api import Gone, Server
from app.connectors.mastodon_app import SIGN_IN, MastodonCredentials, made_app
from app.connectors.mastodon_check import checked
from app.connectors.mastodon_instance import USUAL_LIMIT
from app.connectors.mastodon_media import uploaded
from app.connectors.mastodon_parents import above
from app.connectors.mastodon_posts import read_account, read_change
from app.connectors.mastodon_quote import posted
from app.connectors.mastodon_reply import body_of, edited_body, find_among_own, lead_of, sent_as
from app.connectors.mastodon_walk import Walk
from app.connectors.oauth import OAuth, Places, Step
from app.errors import ConnectorError, Malformed, Refused
from app.i18n import N_, _

OTHER_ACCOUNT = N_(
    "The reply stands on %(host)s, but under another account than the one now connected. Change it there."
)
_PICTURES = Pictures(most=4, bytes=8_000_000, pixels=16_000_000, alt=1500)  # what servers since 3.0 take at least


NO_EDITS = N_("%(host)s cannot change what was sent. Delete the reply there and write another one.")


class Source(StrEnum):
    """What a feed brings."""

    MENTIONS = "mentions"
    HASHTAG = "hashtag"
    ACCOUNT = "account"
    SEARCH = "search"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {
            Source.MENTIONS: _("Mentions"),
            Source.HASHTAG: _("A hashtag"),
            Source.ACCOUNT: _("An account's posts"),
            Source.SEARCH: _("A search"),
        }[self]


class MastodonSettings(SettingsModel):
    """Which posts to bring."""

    source: Source = Field(
        default=Source.MENTIONS, title=N_("Bring"), description=N_("Mentions include direct messages.")
    )
    value: str = Field(
        default="",
        title=N_("Hashtag, account or words"),
        description=N_("Not needed for mentions. A hashtag, an account like @name@server, or the words to search for."),
        max_length=500,
        examples=["#northwind"],
    )
    include_reposts: bool = Field(
        default=False, title=N_("Include boosts"), description=N_("Posts that others passed on.")
    )

    @model_validator(mode="after")
    def _value_where_needed(self) -> "MastodonSettings":
        if self.source is not Source.MENTIONS and not self.value.strip("#@ "):
            message = _("Say what to follow: a hashtag, an account or words.")
            raise ValueError(message)
        return self


class MastodonConnector(Connector):
    """Mentions, hashtags, accounts and searches in; replies and direct messages out."""

    name: ClassVar[str] = "mastodon"
    title: ClassVar[str] = "Mastodon"
    help: ClassVar[str] = N_(
        "Brings mentions and direct messages, a hashtag, an account or a search from Mastodon or a server that speaks "
        "its API, and sends replies."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        edit=True,
        delete=True,
        threads=True,
        streams=True,
        idempotent=True,
        find_sent=True,
        visibilities=(Visibility.PUBLIC, Visibility.UNLISTED, Visibility.FOLLOWERS, Visibility.DIRECT),
        length_limit=USUAL_LIMIT,
        length_counts=Length.MASTODON,
        parents=True,
        looks=8,  # a call each: half of what the server allows in five minutes, at the shortest interval of a feed
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = MastodonSettings
    Credentials: ClassVar[type[SettingsModel] | None] = MastodonCredentials
    oauth: ClassVar[OAuth | None] = SIGN_IN
    registers: ClassVar[bool] = True

    def guide(self, places: Places) -> tuple[Step, ...]:
        """Nothing has to be created: our app is made by program when the admin signs in."""
        return (
            Step(
                N_("Sign in on the server"),
                N_("Give the server's address and choose the button: the server asks whether Careline may do this."),
            ),
            Step(
                N_("Or paste a token"),
                N_(
                    "For a server without such a page: under Preferences, Development, create an application with the "
                    "scopes read, write:statuses and write:media, and copy its access token."
                ),
            ),
        )

    async def register(self, link: Link, redirect: str) -> SettingsModel:
        """Make our app there, once for each redirect address."""
        return await made_app(link, redirect)

    async def who(self, link: Link) -> IncomingAuthor | None:
        """Whom the token belongs to."""
        return await self._me(Server(link))

    async def check(self, link: Link) -> Check:
        """Say who we are there, what the server is, and show its newest post for this feed."""
        server = Server(link)
        return await checked(link, server, await self._me(server))

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new, newest pages first, at most three pages a call; `more` goes on below them."""
        server = Server(link)
        me = link.account or await self._me(server)
        return await Walk(server, link.settings, me, cursor).batch()

    async def listen(self, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
        """Mentions or a hashtag as they are written, with edits and deletions, where the server streams them."""
        server = Server(link)
        me = link.account or await self._me(server)
        async for batch in mastodon_stream.listen(link, server, me, cursor):
            yield batch

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for each status; one that is gone, or no longer for us to see, is deleted to us."""
        server = Server(link)
        found = [await _looked(server, known, link.now) for known in posts]
        return tuple(change for change in found if change is not None)

    async def parents(self, link: Link, post: KnownPost) -> tuple[IncomingPost, ...]:
        """The status's context in one call; on servers that give an empty one, a few levels, a call each."""
        return await above(Server(link), status_path(post.ref), link.account)

    def lead(self, to: Json) -> str:
        """The mention of who is answered; without it they would not be told."""
        return lead_of(to)

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Only on the same server: each gives a status an id of its own (docs.joinmastodon.org/entities/Status)."""
        return ours.handle.rpartition("@")[2] == addressed.handle.rpartition("@")[2]

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """The body of the status. Raises Refused when it is too long, or would reach people it is not for."""
        return body_of(reply, self.capabilities)

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once. A second try first looks whether the first one stands.

        Servers keep an `Idempotency-Key` for an hour at most, and some ignore it.
        """
        server = Server(link)
        if reply.attempted_at is not None:
            found = await self._look_before_repeating(server, reply)
            if found is not None:
                return found
        body = {**reply.prepared, **await uploaded(server, reply.pictures)}
        raw = await posted(server, body, reply.key)
        sent = sent_as(raw, server.budget)
        if sent is None:
            raise Malformed(N_("%(host)s took the reply but did not say where it stands.") % {"host": server.host})
        return sent

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look through our own statuses since shortly before the first try, for this text under this post."""
        return await self._find(Server(link), reply)

    async def edit(self, link: Link, reply: Standing, text: str) -> None:
        """Edit our status: its pictures, warning and language are named again, as the server drops them else."""
        server, path = Server(link), _own_path(reply)
        try:
            now = await server.get_object(path)
            body = edited_body(reply, text, now, self.capabilities)
        except Gone:
            raise Refused(N_("The reply does not stand on %(host)s any more.") % {"host": server.host}) from None
        except ValidationError:
            raise Malformed(N_("%(host)s does not say what the reply is now.") % {"host": server.host}) from None
        try:
            await server.put(path, body)
        except Gone:
            me, writer = await self._me(server), read_account(now.get("account"), server.host)
            ours = writer is not None and writer.external_id == me.external_id
            raise Refused((NO_EDITS if ours else OTHER_ACCOUNT) % {"host": server.host}) from None

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our status. What the server does not find is gone, unless it stands there for others to see."""
        server, path = Server(link), _own_path(reply)
        try:
            await server.delete(path)
        except Gone:
            await _require_gone(server, path)

    async def _look_before_repeating(self, server: Server, reply: OutgoingReply) -> Sent | None:
        try:
            return await self._find(server, reply)
        except ConnectorError as error:
            error.delivered = None  # this look failed, the first try may stand all the same
            raise

    async def _find(self, server: Server, reply: OutgoingReply) -> Sent | None:
        account = await server.get_object("/api/v1/accounts/verify_credentials")
        return await find_among_own(server, str(account.get("id")), reply)

    async def _me(self, server: Server) -> IncomingAuthor:
        me = read_account(await server.get_object("/api/v1/accounts/verify_credentials"), server.host)
        if me is None:
            raise Malformed(N_("%(host)s did not say which account the access token is for.") % {"host": server.host})
        return me


def status_path(ref: Json) -> str:
    """Where the server answers for the status with this `ref`."""
    return f"/api/v1/statuses/{quote(str(ref.get('id')), safe='')}"


async def _looked(server: Server, known: KnownPost, now: datetime) -> PostChange | None:
    try:
        raw = await server.get_object(status_path(known.ref))
        return read_change(raw, known, now)
    except Gone:
        return PostChange(known.external_id, now, deleted=True)
    except ValidationError:
        return None  # some makes answer with less than the API promises; the next look may see more


def _own_path(reply: Standing) -> str:
    if "id" not in reply.ref:
        raise Refused(N_("Nobody told Careline which status this reply is. Change it on the server itself."))
    return status_path(reply.ref)


async def _require_gone(server: Server, path: str) -> None:
    """A server says of somebody else's status, too, that there is none to delete. Raises Refused when it stands."""
    try:
        await server.get_object(path)
    except Gone:
        return
    raise Refused(OTHER_ACCOUNT % {"host": server.host})
