"""The connector protocol: what a channel's code gets, gives and may raise.

A connector speaks HTTP (or mail) and knows no database and no web. It is one class with no state of its own; all it
needs comes in a `Link`, all it has to say goes out as frozen dataclasses, and everything that goes wrong is a
`ConnectorError` (see `app.errors`) that says whether it is permanent and, for a send, whether it was delivered.

To add one: subclass `Connector` in a file named after the channel, add it to `registry.BUILT_IN`
(or name it in the entry point group `careline.connectors`), write its fake server, and register both with the
conformance suite in `tests/connectors/`. docs/connectors.md walks through it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import httpx

from app.connectors.dial import Dial, Nowhere
from app.connectors.guide import OAuth, Places, Step
from app.connectors.shapes import (
    MOST_PARENTS,
    Allowance,
    Batch,
    Budget,
    Capabilities,
    Check,
    Fate,
    Filled,
    Hiding,
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Label,
    Length,
    Media,
    OutgoingReply,
    Period,
    Picture,
    Pictures,
    Poll,
    PostChange,
    PostKind,
    Quota,
    Quote,
    Rejected,
    Sent,
    SettingsModel,
    Spent,
    Standing,
    Template,
    Visibility,
    Window,
)
from app.errors import Refused
from app.i18n import N_

__all__ = [
    "MOST_PARENTS",
    "Allowance",
    "Batch",
    "Budget",
    "Capabilities",
    "Check",
    "Connector",
    "Fate",
    "Filled",
    "Hiding",
    "IncomingAuthor",
    "IncomingPost",
    "Json",
    "KnownPost",
    "Label",
    "Length",
    "Link",
    "Media",
    "NoSettings",
    "OutgoingReply",
    "Period",
    "Picture",
    "Pictures",
    "Poll",
    "PostChange",
    "PostKind",
    "Quota",
    "Quote",
    "Rejected",
    "Sent",
    "SettingsModel",
    "Spent",
    "Standing",
    "Template",
    "Visibility",
    "Window",
]


async def _untold(_told: Json) -> None:
    """Where no address for deliveries is stored."""


async def _unnoted(_budget: Budget | Spent) -> None:
    """Where nobody counts: the test of a connection that is not stored."""


@dataclass(frozen=True, slots=True)
class Link:
    """All that a call may use: settings, opened credentials, the guarded HTTP client, the time, and a way to keep
    refreshed credentials (`keep` commits at once, in a transaction of its own).
    """

    settings: Any  # an instance of the connector's Settings
    credentials: Any  # an instance of the connector's Credentials, or None
    http: httpx.AsyncClient  # never follow an address with anything else
    now: datetime  # the database's clock
    keep: Callable[[SettingsModel], Awaitable[None]]
    account: IncomingAuthor | None = None  # who we are, once known
    note: Callable[[Budget | Spent], Awaitable[None]] = _unnoted  # keeps at once what is left, or was used
    room: Mapping[str, int] = field(default_factory=dict)  # by allowance: what this call may use; absent: no bound
    hook: str = ""  # where deliveries for this feed are taken (`receive`); empty where there is no such address
    told: Json = field(default_factory=dict)  # what is kept beside that address, as it was arranged
    tell: Callable[[Json], Awaitable[None]] = _untold  # keeps more of it at once; keys that are not named stay
    cursor: Json = field(default_factory=dict)  # the feed's, for `receive`: how far its polls are
    take_turn: Callable[[], AbstractAsyncContextManager[Any]] | None = None
    dial: Dial = field(default_factory=Nowhere)  # the guarded way to what is no HTTP

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Any]:
        """While inside, nobody else refreshes this account's credentials. Yields those that are stored now."""
        if self.take_turn is None:
            yield self.credentials
            return
        async with self.take_turn() as stored:
            yield stored


class NoSettings(SettingsModel):
    """Nothing to set."""


class Connector:
    """One channel. Methods raise `ConnectorError` and nothing else; a bug is a bug and fails the feed alone."""

    name: ClassVar[str]
    title: ClassVar[str]
    help: ClassVar[str] = ""  # one paragraph for the admin: what it brings, what to create there
    capabilities: ClassVar[Capabilities] = Capabilities()
    Settings: ClassVar[type[SettingsModel]] = NoSettings  # of a feed
    Credentials: ClassVar[type[SettingsModel] | None] = None  # of an account; None: no account needed
    accounts_of: ClassVar[str] = ""  # the channel whose accounts it uses; empty: it has its own
    account_needed: ClassVar[bool] = True  # False: a feed works without one, only without replies
    drops_forged: ClassVar[bool] = False  # a delivery whose signature does not fit is answered like any other (WebSub)
    oauth: ClassVar[OAuth | None] = None  # sign-in by OAuth; Credentials mix in `app.connectors.oauth.OAuthCredentials`
    registers: ClassVar[bool] = False  # our app is made by program (`register`), so nobody types a client id

    def guide(self, places: Places) -> tuple[Step, ...]:
        """What the admin does on the channel before an account works, with our addresses to paste there."""
        return ()

    def sign_in(self, credentials: Any) -> OAuth | None:
        """How these credentials sign in by OAuth, with all addresses filled; None where they do not."""
        return self.oauth.at(credentials) if self.oauth else None

    async def register(self, link: Link, redirect: str) -> SettingsModel:
        """The credentials with an app of ours at their server, where apps are registered by program. Settings: None."""
        return self._credentials(link)

    def document(self, credentials: Any, redirect: str) -> Json | None:
        """What tells servers of our app, where its id is the address of that; None where there is none."""
        return None

    async def leave(self, link: Link, url: str) -> str:
        """Where the browser goes to agree, when the server wants to be told beforehand. Settings: None."""
        return url

    async def signed_in(self, link: Link) -> SettingsModel:
        """The credentials to keep after a sign-in: a place to change a short-lived token for a lasting one.

        Settings: None.
        """
        return self._credentials(link)

    async def who(self, link: Link) -> IncomingAuthor | None:
        """Who these credentials are there, so that signing in again as somebody else is noticed. Settings: None."""
        return None

    def ends_at(self, credentials: Any) -> datetime | None:
        """When a person has to connect the account again, as far as it is known."""
        ends: datetime | None = getattr(credentials, "ends_at", None)
        return ends

    def app_of(self, credentials: Any) -> str:
        """The app whose one webhook address serves all its accounts; empty where each feed has its own.

        A delivery to that address is given to every feed of the app: `receive` takes what concerns the link.
        """
        return ""

    def challenge(self, link: Link, query: Mapping[str, str]) -> str:
        """The answer to a GET on the webhook's address: plain text, or a JSON object. Raises Unauthorized, Refused.

        An app's address is proved by its accounts, before there are feeds: settings are None then.
        Refused is told as 404, Unauthorized as 403. `query` comes from anybody: compare secrets with `hmac.compare_digest`.
        """
        raise Refused(N_("This channel asks for no proof of the address."))

    async def proved(self, link: Link, query: Mapping[str, str]) -> None:
        """Keep (`link.tell`) what the channel said with a `challenge` that was answered, such as how long it delivers."""

    async def check(self, link: Link) -> Check:
        """Say who we are there and fetch one real post, changing nothing."""
        raise NotImplementedError

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new since `cursor` (empty at the first sync), at most a few pages a call."""
        raise NotImplementedError

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Verify and read one pushed delivery. Raises Unauthorized for a bad signature, Malformed for bad content."""
        raise NotImplementedError

    def allowances(self, settings: Any, credentials: Any, *, replying: bool = False) -> tuple[Allowance, ...]:
        """Which allowances a poll of such a feed, or a reply, draws from besides the credential's own."""
        return ()

    async def complete(self, link: Link, batch: Batch) -> Batch:
        """Fetch what a delivery only names (who wrote it, what a mention says), before it is stored."""
        return batch

    def listen(self, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
        """Bring what is new as it comes, until the connection ends; polling stays beneath (`capabilities.streams`).

        The first batch, which may be empty, says that the connection stands. To end without one says that there is no
        stream for this feed, which is no trouble. A batch's cursor is kept unless a poll moved the feed's meanwhile.
        """
        raise NotImplementedError

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Say what became of these posts, at most `capabilities.looks` of them; nothing for those that stand unchanged.

        For channels whose lists do not tell of edits and deletions.
        """
        raise NotImplementedError

    async def parents(self, link: Link, post: KnownPost) -> tuple[IncomingPost, ...]:
        """Bring the posts above this one, the topmost first: the nearest MOST_PARENTS of them at most.

        Nothing when there are none for us to see (any more). They are for reading only; `ref` is what `look_again` needs.
        """
        raise NotImplementedError

    def lead(self, to: Json) -> str:
        """What `prepare` puts before the text of a reply to the post with this `ref` (a mention); it counts as well."""
        return ""

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Whether an account of ours can answer a public post that another one, the addressed, brought.

        Only where the post has the same `ref` for both.
        """
        return False

    def able(self, to: Json, visibility: Visibility | None = None) -> Capabilities:
        """What can be done in answer to the post with this `ref`, where not all kinds of posts allow the same.

        `visibility` is the audience that was chosen; None: whichever the channel would take.
        """
        return self.capabilities

    def window(self, settings: Any, to: Json, visibility: Visibility, now: datetime) -> Window | None:
        """Until when a reply of this audience to the post with this `ref` is taken; None: for as long as it stands.

        `settings` are the feed's. `prepare` refuses what comes too late, in the words of `Window.after`.
        """
        return None

    def labels(self, ref: Json) -> tuple[Label, ...]:
        """What the channel's moderation, or its author, says of the post with this `ref`."""
        return ()

    def hideable(self, ref: Json) -> bool:
        """Whether the post with this `ref` can be hidden by us, where some can and some cannot."""
        return self.capabilities.hide

    async def hide(self, link: Link, post: KnownPost, *, hidden: bool) -> None:
        """Hide a post on the channel, or show it again. Whatever is not certain raises, and is repeated."""
        raise NotImplementedError

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """Freeze what will be sent, before it is enqueued: record bytes, key, Message-ID. No network.

        Raises Refused when the channel would never take it (too long).
        """
        return {}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once. Raise MaybeSent (or any error with `delivered` None) when the outcome is not certain."""
        raise NotImplementedError

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look the reply up among our own posts; None when it certainly does not stand there."""
        raise NotImplementedError

    async def edit(self, link: Link, reply: Standing, text: str) -> None:
        """Make our reply say this, its pictures and audience kept. One that says it already is no error.

        Raises Refused when it stands there no more; whatever is not certain raises otherwise, and is repeated.
        """
        raise NotImplementedError

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our reply. One that is gone already is no error; whatever is not certain raises, and is repeated."""
        raise NotImplementedError

    def _credentials(self, link: Link) -> SettingsModel:
        held: SettingsModel = link.credentials
        return held
