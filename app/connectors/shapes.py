"""The shapes of the connector protocol: what a connector is given, what it returns, and what it says that it can do.

All of them are frozen; app/connectors/base.py has the protocol itself and names them all.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from app.i18n import _

Json: TypeAlias = dict[str, Any]

MOST_PARENTS = 20  # how far a thread is fetched upward


class Length(StrEnum):
    """How a channel counts the length of a reply (`app.connectors.length` does the counting)."""

    GRAPHEMES = "graphemes"  # what a person sees as one character (Bluesky)
    CHARACTERS = "characters"  # Unicode code points
    MASTODON = "mastodon"  # graphemes; a link counts 23, a remote mention without its server
    X = "x"  # weighted: a link 23, an emoji 2, most letters 1, those of large alphabets 2
    THREADS = "threads"  # Unicode code points, but an emoji as many as it has UTF-8 bytes


class PostKind(StrEnum):
    """What a post is to us."""

    MENTION = "mention"  # names us
    REPLY = "reply"  # answers a post of ours, or of the thread
    DIRECT = "direct"  # only for us to read
    POST = "post"  # found by search, hashtag or account
    COMMENT = "comment"  # under an article or a post of a page
    NOTICE = "notice"  # a machine's word (a bounce, an automatic answer): it opens no item and is never answered


class Visibility(StrEnum):
    """Who can read a post or reply."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    FOLLOWERS = "followers"
    DIRECT = "direct"

    @property
    def words(self) -> str:
        """For people."""
        return {
            Visibility.PUBLIC: _("Public"),
            Visibility.UNLISTED: _("Unlisted"),
            Visibility.FOLLOWERS: _("Followers"),
            Visibility.DIRECT: _("Direct"),
        }[self]


class Period(StrEnum):
    """After which time a counted allowance is full again."""

    MONTH = "month"  # on the first, in UTC
    PACIFIC_DAY = "pacific_day"  # at midnight in California, where Google counts


@dataclass(frozen=True, slots=True)
class Pictures:
    """What pictures a reply may carry. They are checked before they are sent, in the browser and on the server."""

    most: int  # in one reply
    bytes: int  # of one; a larger one is made smaller
    pixels: int  # of one; a larger one is made smaller
    alt: int  # characters of its description
    kinds: tuple[str, ...] = ("image/jpeg", "image/png")  # as they are sent; others are turned into one of these


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel lets us do. The desk draws only what is True here."""

    reply: bool = False
    direct: bool = False
    edit: bool = False  # what a sent reply says can be changed
    delete: bool = False  # a sent reply can be deleted
    pictures: Pictures | None = None  # None: a reply carries none
    threads: bool = False
    push: bool = False  # posts are pushed to us, nothing is fetched
    streams: bool = False  # `listen` brings posts as they come
    typed: bool = False  # what is pushed is typed by people into a page of ours; no system delivers it
    hooks: bool = False  # deliveries are taken beside fetching
    idempotent: bool = False  # the channel itself drops a repeat of the same send
    find_sent: bool = False  # our own posts can be looked up to settle an `unknown`
    templates: bool = False  # `fetch` brings approved texts, which go out when a window is closed
    hide: bool = False  # a post can be hidden there, and shown again (`Connector.hideable` says which)
    parents: bool = False  # the posts above one can be fetched
    looks: int = 0  # posts that `look_again` may be asked about at once; 0: it cannot, or changes come by themselves
    visibilities: tuple[Visibility, ...] = ()  # those a reply may have
    length_limit: int | None = None  # None: no limit we know of
    length_counts: Length = Length.CHARACTERS
    byte_limit: int | None = None  # a second limit in UTF-8 bytes, where there is one


@dataclass(frozen=True, slots=True)
class Window:
    """Until when a channel takes an answer to a post, and what it takes afterwards."""

    until: datetime  # an answer in the agent's own words is taken before this moment
    after: str = ""  # what the channel takes later, or why it takes nothing more: a sentence (N_) for the agent
    opened: datetime | None = None  # when it opened, for the countdown
    once: bool = False  # the channel takes one such answer to the post and no second one

    def open_at(self, now: datetime) -> bool:
        """Whether an answer in the agent's own words is taken now."""
        return now < self.until


class SettingsModel(BaseModel):
    """A feed's settings or an account's credentials.

    The admin form renders itself from the model: each field's `title`, `description`, type, default, bounds and
    examples (`Field(json_schema_extra={"secret": True})` or `SecretStr` for password fields, `StrEnum` for choices).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


@dataclass(frozen=True, slots=True)
class IncomingAuthor:
    """Who wrote a post, as the channel knows them. `external_id` never changes; `handle` may."""

    external_id: str
    handle: str
    name: str = ""
    url: str | None = None
    avatar_url: str | None = None
    followers: int | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """Whose post is quoted, when it was written, in which language."""

    handle: str = ""
    posted_at: datetime | None = None
    language: str | None = None

    def told(self) -> Json:
        """As JSON."""
        return asdict(self) | {"posted_at": self.posted_at and self.posted_at.isoformat()}


@dataclass(frozen=True, slots=True)
class Poll:
    """What can be chosen, and how often it was when the post was read. Votes that go on are no edit of the post."""

    options: tuple[str, ...]
    votes: tuple[int, ...] = ()  # one for each option; empty: not told
    multiple: bool = False
    ends_at: datetime | None = None

    def told(self) -> Json:
        """As JSON."""
        return asdict(self) | {"ends_at": self.ends_at and self.ends_at.isoformat()}


@dataclass(frozen=True, slots=True)
class Media:
    """Something that hangs on a post. `url` is remote: the web shows it only through the proxy.

    Of a quote, `description` is what the quoted post says and `title` its author's name; both are empty when it is gone or
    not for us to see. A poll has no address.
    """

    kind: str  # image | video | audio | link | file | quote | poll
    url: str
    description: str = ""
    preview_url: str | None = None
    title: str = ""
    quote: Quote | None = None
    poll: Poll | None = None
    content: bytes | None = field(default=None, repr=False)  # what came with the post itself; kept in our own store

    def told(self) -> Json:
        """What its post holds of it, as JSON; `kept` is how many bytes stand in our own store."""
        rare = {name: part.told() for name, part in (("quote", self.quote), ("poll", self.poll)) if part is not None}
        said = {name: getattr(self, name) for name in ("kind", "url", "description", "preview_url", "title")} | rare
        return said if self.content is None else said | {"kept": len(self.content)}


@dataclass(frozen=True, slots=True)
class IncomingPost:
    """A post as it arrived: text verbatim, identity stable across feeds, servers and fetches."""

    external_id: str  # global on the channel (a URI where ids are local to a server)
    thread_id: str  # what makes a conversation: the root post, the direct-message channel, the mail thread
    author: IncomingAuthor
    text: str  # plain text, never HTML
    posted_at: datetime  # aware; the channel's own time
    kind: PostKind = PostKind.POST
    visibility: Visibility = Visibility.PUBLIC
    title: str = ""
    html: str | None = None  # as the channel gave it, hostile; sanitised when shown
    url: str | None = None
    language: str | None = None  # BCP 47 as the channel gives it
    in_reply_to: str | None = None  # external_id of the parent post
    above: tuple[str, ...] = ()  # further ones up the thread, nearest first, for when we do not know the parent
    vouched: bool = (
        True  # False: only the sender says where it belongs (mail), so it joins no talk they are not part of
    )
    own: bool = False  # written by the feed's own account: attached as a reply, never queued
    repost: bool = False  # somebody else's post passed on
    media: tuple[Media, ...] = ()
    ref: Json = field(default_factory=dict)  # what this connector needs to answer this very post
    payload: Json = field(default_factory=dict)  # what the channel sent, for the record


@dataclass(frozen=True, slots=True)
class PostChange:
    """What became of a post on the channel after it was written: a later version, or its deletion.

    It may come before the post, twice, or out of order: `changed_at` says which version is the newest.
    """

    external_id: str
    changed_at: datetime  # aware; the channel's time, else when we learned of it
    deleted: bool = False
    text: str = ""  # of the new version
    title: str | None = None  # None: as it was
    html: str | None = None
    media: tuple[Media, ...] | None = None  # None: as they were
    visibility: Visibility | None = None  # who can read it now; None: as before


@dataclass(frozen=True, slots=True)
class Label:
    """What moderation, or its author, says of a post."""

    words: str  # in the reader's language
    veils: bool = False  # what hangs on the post is shown to who asks for it


@dataclass(frozen=True, slots=True)
class KnownPost:
    """A post that we hold, to be looked at again, or from which its thread is fetched upward."""

    external_id: str
    ref: Json
    in_reply_to: str | None = None  # external_id of its parent


@dataclass(frozen=True, slots=True)
class Hiding:
    """Somebody hid a post on the channel itself, or showed it again."""

    external_id: str
    hidden: bool
    at: datetime  # aware; the channel's time, else when we learned of it


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a reply of ours after the channel took it, where it tells that later."""

    external_id: str
    key: str = ""  # of the reply, where the channel gives it back
    reason: str = ""  # why it was not delivered after all, in words; empty: it stands there


@dataclass(frozen=True, slots=True)
class Template:
    """A text that the channel has approved, for when it takes no words of our own."""

    name: str
    language: str
    body: str  # `{{name}}` is to be filled in
    variables: tuple[str, ...] = ()
    header: str = ""
    footer: str = ""
    named: bool = False  # whether the variables have names there, or only places


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its blanks filled in."""

    name: str
    language: str
    values: tuple[tuple[str, str], ...]  # each variable's, in order
    named: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """One entry that could not be read. It is quarantined and never stops the others."""

    external_id: str  # or a digest of the payload, stable over fetches
    reason: str
    payload: Json


@dataclass(frozen=True, slots=True)
class Budget:
    """What the channel says is left of our allowance with one credential, or of the named one of several."""

    remaining: int
    limit: int | None = None
    resets_at: datetime | None = None
    name: str = ""  # of an `Allowance`; empty: whatever we call with this credential


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call used of an allowance whose rest the channel does not tell: Careline counts it."""

    name: str
    amount: int
    once: tuple[str, ...] = ()  # what was used, where each counts once a UTC day however often it is used


@dataclass(frozen=True, slots=True)
class Quota:
    """How much may be used in a period."""

    limit: int
    period: Period
    cost: int = 1  # what a poll uses at the least


@dataclass(frozen=True, slots=True)
class Allowance:
    """One of several allowances of a credential: an endpoint's window, posts read in a month, a day's quota units.

    What the channel tells (`Budget`) is believed; what it does not tell is counted (`Spent`) within the `quota`. Polls
    spread over its period what they use, and leave a tenth to replies.
    """

    name: str
    title: str  # for people
    quota: Quota | None = None  # None: the channel tells


@dataclass(frozen=True, slots=True)
class Batch:
    """What one fetch (or one delivery of a webhook) brought, oldest post first.

    `cursor` replaces the feed's cursor in the transaction that stores the posts; `more` asks for another fetch at
    once. Windows overlap: giving a post twice is fine, missing one is not.
    """

    posts: tuple[IncomingPost, ...] = ()
    cursor: Json = field(default_factory=dict)
    more: bool = False
    rejected: tuple[Rejected, ...] = ()
    budget: Budget | None = None
    notice: str = ""  # a degradation in plain words for the feed's health line; the feed still works
    delivery_id: str | None = None  # push only: repeats of the same delivery are dropped by it
    changes: tuple[PostChange, ...] = ()  # of posts brought now, earlier, or not yet
    fates: tuple[Fate, ...] = ()  # of replies of ours
    templates: tuple[Template, ...] | None = None  # all that there are now; None: they were not asked for
    hidings: tuple[Hiding, ...] = ()  # on the channel itself, of posts that we hold
    left: int | None = None  # posts that still wait there, with `more`, where the channel tells: for the progress bar


@dataclass(frozen=True, slots=True)
class Check:
    """The answer to 'test connection', in plain words."""

    message: str
    account: IncomingAuthor | None = None  # who we are there
    sample: IncomingPost | None = None  # one real post, to show that it works
    notices: tuple[str, ...] = ()  # what the server cannot do


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a reply, without metadata, as small as the channel wants it. It never changes on its way."""

    kind: str  # image/jpeg | image/png
    width: int
    height: int
    alt: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutgoingReply:
    """A reply on its way to the channel. `prepared` was frozen when it was enqueued; never recompute it."""

    key: str  # unguessable, unique for this reply, the same at every try (UUID)
    text: str
    visibility: Visibility
    to: Json  # `ref` of the post that is answered
    to_external_id: str
    created_at: datetime  # when it was enqueued; frozen with it
    prepared: Json = field(default_factory=dict)
    attempted_at: datetime | None = None  # when the first try left, if there was one
    pictures: tuple[Picture, ...] = ()
    after: Json = field(default_factory=dict)  # `ref` of our own post that this one goes on from, in a thread of ours
    template: Filled | None = None  # in place of words of our own
    automatic: bool = False  # Careline says it by itself; nobody wrote it


@dataclass(frozen=True, slots=True)
class Sent:
    """Where our reply stands on the channel."""

    external_id: str
    url: str | None = None
    posted_at: datetime | None = None
    ref: Json = field(default_factory=dict)
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A reply of ours that stands on the channel and is to be changed there."""

    external_id: str
    ref: Json  # as `Sent` gave it
    reply_key: str  # under which it was sent
    to: Json  # `ref` of the post that it answers
    visibility: Visibility
    key: str  # unguessable, unique for this change, the same at every try (UUID)
    asked_at: datetime  # when the change was asked for
    pictures: tuple[Picture, ...] = ()
