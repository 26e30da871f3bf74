"""What the API takes and gives. Requests are strict: an unknown field is refused by name, nobody names an owner."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

from app.connectors.base import Visibility
from app.connectors.webhook_schema import MOST as MOST_PUSHED
from app.connectors.webhook_schema import ChangeIn, PostIn
from app.flow.house import House
from app.flow.push import Outcome
from app.models.item import Disposition, State
from app.queries.filters import Filter, read

T = TypeVar("T")
MOST = 100  # rows of a page


class Asked(BaseModel):
    """Any request body or query."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Paged(Asked):
    """Which page: those after an id, newest first."""

    after: int | None = Field(None, description="`next` of the page before.")
    limit: int = Field(50, ge=1, le=MOST)


class ItemsAsked(Paged):
    """Which items."""

    state: State | None = None
    queue: int | None = Field(None, description="A queue's id.")
    agent: int | None = Field(None, description="Who holds it, by id.")
    channel: list[str] = Field([], description="One of these.")
    language: list[str] = Field([], description="One of these, as BCP 47 codes; de is also de-AT.")
    tag: list[str] = Field([], description="With one of these.")
    priority: list[int] = Field([], description="One of these.")
    tier: list[str] = Field([], description="One of these is its customer's.")
    age: Literal["15m", "1h", "4h", "1d", "3d", "7d", "30d"] | None = Field(None, description="Ready at least so long.")
    has: Literal["media"] | None = Field(None, description="A post of its conversation has pictures or other media.")
    intent: list[str] = Field([], description="One of these was heard in a post of it.")
    urgent: list[str] = Field([], description="One of these was heard in a post of it.")
    upset: Literal["1", "2", "3"] | None = Field(None, description="Its author is at least so upset.")
    text: str = Field(
        "", description='Words that something said in its conversation has: torn "new tent" -refund from:ada'
    )

    @property
    def wanted(self) -> Filter:
        """What lists of the desk can be narrowed by, too. Raises Invalid."""
        many = {
            name: getattr(self, name) for name in ("channel", "language", "tag", "priority", "tier", "intent", "urgent")
        }
        pairs = [(kind, str(value)) for kind, values in many.items() for value in values]
        one = {name: getattr(self, name) or "" for name in ("age", "has", "upset", "text")}
        return read([*pairs, *one.items()])


class SearchAsked(Asked):
    """What is looked for."""

    q: str = Field(max_length=500, description='As in the search box: words, "exact", -not, from:, queue:, state: ...')
    after: str = Field("", description="`next` of the page before.")
    limit: int = Field(30, ge=1, le=MOST)


class PostsAsked(Paged):
    """Which posts."""

    item: int | None = Field(None, description="Only the posts of this item's conversation.")


class ReplyAsked(Asked):
    """An answer to be sent."""

    text: str = Field(max_length=100_000)
    visibility: Visibility = Visibility.PUBLIC
    account_id: int | None = Field(None, description="Which account of ours answers; null: the one that was addressed.")
    key: UUID | None = Field(None, description="The same key twice is the same reply: repeat a request safely with it.")
    then_close: Disposition | None = Field(None, description="Close the item with it.")


class VersionAsked(Asked):
    """What a sent reply says from now on."""

    text: str = Field(max_length=100_000)


class NoteAsked(Asked):
    """A remark seen only inside."""

    text: str = Field(min_length=1, max_length=20_000)


class ClosureAsked(Asked):
    """How the item ends."""

    disposition: Disposition
    seen: int | None = Field(None, description="The newest post's id that you know; refused when a newer one came.")


class AssignmentAsked(Asked):
    """To whom a supervisor gives the item."""

    agent: int = Field(description="An agent's id: of the queue's team, or a member of the queue.")
    how: Literal["offer", "now"] = Field("offer", description="As an offer, or into their hands at once.")


class TransferAsked(Asked):
    """Where the item goes on to: an `agent`, or a line (another `queue`, other `needs`)."""

    agent: int | None = Field(None, description="An agent's id: of the queue's team, or a member of the queue.")
    how: Literal["offer", "now"] = Field("offer", description="With agent: as an offer, or into their hands at once.")
    overrule: bool = Field(False, description="With agent: although they lack a skill or take a break.")
    queue: int | None = Field(None, description="A queue's id; null: the one it is in.")
    needs: dict[str, int] | None = Field(None, description="Skill -> lowest level; null: what it asks for now.")
    note: str = Field("", max_length=20_000)

    @model_validator(mode="after")
    def _one_way(self) -> "TransferAsked":
        if (self.agent is None) == (self.queue is None and self.needs is None):
            raise ValueError("name an agent, or a queue or needs")
        return self


class ConsultAsked(Asked):
    """A question to an `agent`, to whoever has a `skill`, or to a `team`, by id."""

    agent: int | None = None
    skill: int | None = None
    team: int | None = None
    question: str = Field(min_length=1, max_length=20_000)
    park: bool = Field(False, description="Put the item aside until the answer comes.")

    @property
    def whom(self) -> tuple[str, int]:
        """Who is asked: what they are, and its id."""
        return next((name, one) for name in ("agent", "skill", "team") if (one := getattr(self, name)) is not None)

    @model_validator(mode="after")
    def _one_of_them(self) -> "ConsultAsked":
        if [self.agent, self.skill, self.team].count(None) != 2:  # noqa: PLR2004 - all but one
            raise ValueError("name one of agent, skill and team")
        return self


class AnswerAsked(Asked):
    """What an expert says."""

    text: str = Field(min_length=1, max_length=20_000)


class RunAsked(Asked):
    """A run of a macro."""

    key: UUID = Field(default_factory=uuid4, description="Makes its reply once: repeat a request safely with it.")


class RefusalAsked(Asked):
    """Why an offer is declined."""

    reason: Literal["skill", "limit", "conflict", "other"] = "other"


class PresenceAsked(Asked):
    """What the token's agent does from now on."""

    state: Literal["ready", "not_ready"]
    reason: str | None = Field(None, description="With not_ready: one of GET /reasons.")


class PushAsked(Asked):
    """Posts from a program. Each entry is judged by itself: one that is not acceptable hinders no other."""

    posts: list[SkipValidation[PostIn | ChangeIn]] = Field(
        min_length=1, max_length=MOST_PUSHED, description="Posts and changes of posts, as docs/webhook.md tells."
    )
    history: bool = Field(False, description="Keep new posts as history: nobody is asked to answer them.")


class Given(BaseModel):
    """Anything that is answered."""

    model_config = ConfigDict(from_attributes=True)


class Named(Given):
    """Something with an id and a name."""

    id: int
    name: str


class AuthorGiven(Given):
    """Who wrote it."""

    id: int
    handle: str
    name: str
    url: str | None
    followers: int | None


class SignalsGiven(Given):
    """What was heard in a post. `upset` is 0 to 3, `mood` -100 to 100, `confidence` of the language per cent."""

    version: int
    language: str | None
    also: str
    confidence: int
    intent: str
    mood: int
    upset: int
    urgent: list[str]
    noise: str
    personal: list[str]
    copy_of: int | None


class PostGiven(Given):
    """What arrived, verbatim but for personal data that the token's agent needs not see. `html` is the channel's own and hostile: sanitise it before you show it."""

    id: int
    channel: str
    external_id: str
    conversation_id: int
    author: AuthorGiven
    kind: str
    visibility: str
    title: str
    text: str
    html: str | None
    url: str | None
    language: str | None
    in_reply_to: str | None
    own: bool
    repost: bool
    media: list[dict[str, Any]]
    posted_at: datetime
    received_at: datetime
    signals: SignalsGiven | None  # none: not listened to yet


class HidingGiven(Given):
    """Whether a post is hidden on its channel."""

    post_id: int
    hidden: bool = Field(description="As it stands there.")
    wanted: bool | None = Field(description="What was asked for and is not done yet.")
    trouble: str = Field(description="Why the last try failed.")


class ContextAuthorGiven(Given):
    """Who wrote a post above those that came to us: no author of ours, and no customer."""

    handle: str
    name: str
    url: str | None


class ContextGiven(Given):
    """A post above those that came to us, for reading only. `html` is hostile."""

    id: int
    channel: str
    external_id: str
    author: ContextAuthorGiven
    own: bool = Field(description="Written by us.")
    visibility: str
    title: str
    text: str
    html: str | None
    url: str | None
    language: str | None
    in_reply_to: str | None
    media: list[dict[str, Any]]
    posted_at: datetime


class ReplyGiven(Given):
    """Our answer and how far it is."""

    id: int
    key: UUID
    item_id: int
    post_id: int
    agent_id: int | None = Field(description="Who wrote it; null: Careline itself, as its queue is set.")
    account_id: int | None = Field(description="Which account of ours it goes out under.")
    state: str
    text: str
    visibility: str
    created_at: datetime
    due_at: datetime | None
    sent_at: datetime | None
    external_id: str | None
    url: str | None
    trouble: str


class VersionGiven(Given):
    """What a reply said before it was edited on its channel."""

    text: str
    until: datetime


class ReplyChangeGiven(Given):
    """An edit or deletion of a sent reply: `waiting` until the channel has answered, or `failed`, with its words."""

    kind: str
    state: str
    agent_id: int
    asked_at: datetime
    text: str | None = Field(description="What an edited reply shall say.")
    trouble: str


class ReplyWhole(ReplyGiven):
    """A reply, and what was done to it after it was sent."""

    versions: list[VersionGiven] = Field(description="What it said before, oldest first.")
    deleted_at: datetime | None
    change: ReplyChangeGiven | None = Field(description="What is being done to it, or went wrong last.")


class ConsultGiven(Given):
    """A question to experts."""

    id: int
    item_id: int
    at: datetime = Field(description="When it was answered; until then, when it was asked.")
    asker_id: int
    whom: str
    question: str
    answer: str | None
    answerer_id: int | None
    withdrawn: bool


class SavedGiven(Given):
    """A text to answer with."""

    id: int
    title: str
    body: str
    language: str
    tags: list[str]
    whose: str = Field(description="`own`, `all`, or a team's id.")
    uses: int


class MacroGiven(Given):
    """Several actions under one name."""

    id: int
    name: str
    reply: int | None = Field(description="A saved reply's id.")
    add_tags: tuple[str, ...]
    remove_tags: tuple[str, ...]
    priority: int | None
    end: str = Field(description="close:<disposition>, park:<time>, transfer:<queue id>, or empty.")
    whose: str = Field(description="`own`, `all`, or a team's id.")
    uses: int


class RunGiven(Given):
    """Where a macro left the item."""

    item_id: int
    state: State


class NoteGiven(Given):
    """A remark seen only inside."""

    id: int
    item_id: int
    agent_id: int
    text: str
    created_at: datetime


class ItemGiven(Given):
    """The unit of work."""

    id: int
    state: State
    version: int
    conversation_id: int
    channel: str
    language: str | None
    queue: Named
    agent: Named | None
    priority: int
    requirements: dict[str, int] = Field(description="Skill -> lowest level.")
    tags: list[str]
    author: AuthorGiven
    posts: int
    post_id: int = Field(description="The customer's newest post.")
    opened_at: datetime
    ready_at: datetime
    due_at: datetime
    parked_until: datetime | None
    parked_for: str | None
    disposition: str | None
    answered_at: datetime | None
    ended_at: datetime | None


class QueueGiven(Given):
    """A waiting line. `target` in seconds."""

    id: int
    name: str
    active: bool
    team: Named
    target: int
    target_share: int


class FeedGiven(Given):
    """A source and how it is; never its credentials."""

    id: int
    name: str
    channel: str
    account: str | None
    enabled: bool
    condition: str
    trouble: str
    ok_at: datetime | None
    post_at: datetime | None
    next_poll_at: datetime | None
    quarantined: int


class PushedGiven(Given):
    """What became of one entry."""

    id: str = Field(description="The sender's own id; empty where there was none to read.")
    outcome: Outcome
    reason: str = Field(description="Why it was rejected.")


class PushGiven(Given):
    """What became of each entry, in the order given."""

    counts: dict[Outcome, int] = Field(description="How many of each outcome.")
    results: list[PushedGiven]


class HouseGiven(Given):
    """A feed's rules of the house, and how many posts they left out in the last seven days, by reason."""

    house: House
    left_out: dict[str, int]


class OfferGiven(Given):
    """An item reserved for an agent until it expires."""

    item_id: int
    agent_id: int
    made_at: datetime
    expires_at: datetime
    extended: int = Field(description="How often its agent took half a minute more.")


class PresenceGiven(Given):
    """What an agent does, and how much they carry."""

    agent_id: int
    state: str
    reason: str | None
    since: datetime
    load: int


class NeededGiven(Given):
    """A skill that is needed now; `asked` is the level on arrival."""

    skill: str
    level: int
    asked: int


class AbleGiven(Given):
    """Somebody who could take the item now, in the order of the queue's policy."""

    agent_id: int
    name: str
    available_since: datetime
    spare: int = Field(description="Capacity minus load.")
    margin: int = Field(description="How far their skills are above what was asked on arrival.")


class UnableGiven(Given):
    """A member of the queue who cannot take the item now."""

    agent_id: int
    name: str
    reason: str
    lacks: list[tuple[str, int, int]] = Field(description="Skill, the level needed, theirs (0: none).")


class ComingGiven(Given):
    """What time alone will change. A relax without a level drops the skill."""

    at: datetime
    what: str
    skill: str | None
    level: int | None
    agent: str | None
    queue: str | None


class WaitingGiven(Given):
    """Why nobody has the item yet."""

    paused: bool = Field(description="The queue is switched off.")
    policy: str | None
    needs: list[NeededGiven]
    candidates: list[AbleGiven]
    rejected: list[UnableGiven]
    kept_for: str | None = Field(description="The agent who knows the customer, and for whom it waits.")
    upcoming: list[ComingGiven]


class DecidedGiven(Given):
    """How the item came to whom it is with. `decision` is what the router weighed; empty when nobody chose."""

    agent_id: int
    agent: str
    how: str
    at: datetime
    decision: dict[str, Any]


class WhyGiven(Given):
    """Why an item is where it is: `waiting` while it waits, `decided` while somebody has it or is asked."""

    state: State
    raised: list[str]
    waiting: WaitingGiven | None
    decided: DecidedGiven | None


class HitGiven(Given):
    """Something that was found: a post, a reply or a note, in an item that the token's agent may see."""

    kind: str
    ref_id: int = Field(description="Of the post, reply or note.")
    at: datetime
    item_id: int
    state: str
    queue: str
    channel: str
    who: str
    handle: str
    language: str | None
    title: str
    text: str


class PersonGiven(Given):
    """Somebody whose name is like what was looked for, with their newest item that the token's agent may see."""

    author_id: int
    name: str
    handle: str
    channel: str
    item_id: int


class FoundGiven(Given):
    """Newest first. `next` goes into `after` for the following page; null at the end."""

    data: list[HitGiven]
    people: list[PersonGiven]
    next: str | None
    looked_to: datetime | None = Field(description="It was looked back so far only; `next` looks further.")


class Page(BaseModel, Generic[T]):
    """Newest first. `next` goes into `after` for the following page; null at the end."""

    data: list[T]
    next: int | None = None
