"""Triage: ordered rules decide the queue, skills, priority and tags of a post, or discard it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingPost, PostKind
from app.errors import ConfigurationError
from app.i18n import N_, _
from app.listening.clean import matchable
from app.listening.heard import Heard
from app.listening.intent import INTENTS
from app.listening.mood import DISPLEASED, FURIOUS
from app.listening.noise import KINDS as NOISE
from app.listening.patterns import compiled
from app.listening.personal import KINDS as PERSONAL
from app.listening.urgent import CLASSES as URGENT
from app.models.rule import Rule


def _known(kinds: Collection[str]) -> Callable[[str], str]:
    def check(kind: str) -> str:
        if kind not in kinds:
            raise ValueError(
                _("There is no “%(kind)s”. There are: %(known)s.") % {"kind": kind, "known": ", ".join(kinds)}
            )
        return kind

    return check


IntentKind = Annotated[str, AfterValidator(_known(INTENTS))]
UrgentKind = Annotated[str, AfterValidator(_known(URGENT))]
NoiseKind = Annotated[str, AfterValidator(_known(NOISE))]
PersonalKind = Annotated[str, AfterValidator(_known(PERSONAL))]


class Conditions(BaseModel):
    """What a post must be like. An empty condition always holds; all that are given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    channels: tuple[str, ...] = Field(default=(), title=N_("Channel is one of"))
    feeds: tuple[int, ...] = Field(default=(), title=N_("Feed is one of"))
    kinds: tuple[PostKind, ...] = Field(default=(), title=N_("Post is a"))
    author: str = Field(default="", title=N_("Author's handle contains"))
    contains: tuple[str, ...] = Field(default=(), title=N_("Text contains one of"))
    matches: str = Field(default="", title=N_("Text matches the pattern (RE2)"))
    languages: tuple[str, ...] = Field(default=(), title=N_("Language is one of"), examples=["de", "pt-BR"])
    followers_min: int | None = Field(default=None, ge=0, title=N_("Followers, at least"))
    followers_max: int | None = Field(default=None, ge=0, title=N_("Followers, at most"))
    intents: tuple[IntentKind, ...] = Field(default=(), title=N_("The author's intent is one of"))
    upset_min: int | None = Field(default=None, ge=DISPLEASED, le=FURIOUS, title=N_("At least so upset"))
    urgent: tuple[UrgentKind, ...] = Field(default=(), title=N_("It tells of one of"))
    noise: tuple[NoiseKind, ...] = Field(default=(), title=N_("Noise of one of these kinds"))
    personal: tuple[PersonalKind, ...] = Field(default=(), title=N_("It holds personal data of one of these kinds"))
    copy_only: bool = Field(default=False, title=N_("Somebody said nearly the same within a week"))

    @field_validator("matches")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        if pattern:
            compiled(pattern)
        return pattern


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a post goes, and by which rule."""

    rule_id: int
    rule: str
    discard: bool
    queue_id: int | None
    priority: int
    requirements: Mapping[str, int]
    tags: tuple[str, ...]
    steps: tuple[Mapping[str, Any], ...] = ()  # how the requirements relax in time: after (seconds), skill, level
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A post's matchable text, in the two forms that rules compare: folded for words, UTF-8 for RE2."""

    folded: str
    encoded: bytes

    @classmethod
    def by(cls, post: IncomingPost) -> Self:
        """What a post says, its title included."""
        text = matchable(f"{post.title}\n{post.text}" if post.title else post.text)
        return cls(text.casefold(), text.encode())


@dataclass(frozen=True, slots=True)
class Prepared:
    """A rule made ready for many posts."""

    conditions: Conditions
    decision: Decision
    words: tuple[str, ...] = field(default=())

    def holds(self, post: IncomingPost, channel: str, feed_id: int, said: Said, heard: Heard) -> bool:
        """Whether every condition holds for the post, whose matchable text and signals are given."""
        c = self.conditions
        followers = post.author.followers or 0
        return (
            (not c.channels or channel in c.channels)
            and (not c.feeds or feed_id in c.feeds)
            and (not c.kinds or post.kind in c.kinds)
            and (c.followers_min is None or followers >= c.followers_min)
            and (c.followers_max is None or followers <= c.followers_max)
            and (not c.author or c.author.casefold() in post.author.handle.casefold())
            and (not c.languages or _speaks(heard.spoken or post.language, c.languages))
            and (not self.words or any(word in said.folded for word in self.words))
            and _heard_as_wanted(c, heard)
            and (not c.matches or compiled(c.matches).search(said.encoded) is not None)
        )


def _heard_as_wanted(wanted: Conditions, heard: Heard) -> bool:
    return (
        (not wanted.intents or heard.intent in wanted.intents)
        and (wanted.upset_min is None or heard.upset >= wanted.upset_min)
        and (not wanted.urgent or not set(heard.urgent).isdisjoint(wanted.urgent))
        and (not wanted.noise or heard.noise in wanted.noise)
        and (not wanted.personal or not set(heard.personal).isdisjoint(wanted.personal))
        and (not wanted.copy_only or heard.copy_of is not None)
    )


def _speaks(language: str | None, wanted: tuple[str, ...]) -> bool:
    spoken = (language or "").lower()
    return any(spoken == w.lower() or spoken.startswith(w.lower() + "-") for w in wanted)


def prepare(rule: Rule) -> Prepared:
    """Make a stored rule ready: conditions parsed, words folded."""
    conditions = Conditions.model_validate(rule.conditions)
    decision = Decision(
        rule_id=rule.id,
        rule=rule.name,
        discard=rule.discard,
        queue_id=rule.queue_id,
        priority=rule.priority,
        requirements=dict(rule.requirements),
        tags=tuple(rule.tags),
        steps=tuple(rule.steps),
        emergency=rule.emergency,
    )
    return Prepared(conditions, decision, tuple(matchable(word).casefold() for word in conditions.contains if word))


@dataclass(frozen=True, slots=True)
class Rules:
    """The enabled rules in order. The first that holds decides."""

    prepared: tuple[Prepared, ...]

    @classmethod
    async def load(cls, session: AsyncSession) -> Self:
        """Read the rules as they stand in this transaction."""
        rows = await session.scalars(select(Rule).where(Rule.enabled).order_by(Rule.position))
        return cls(tuple(prepare(rule) for rule in rows))

    def decide(self, post: IncomingPost, channel: str, feed_id: int, heard: Heard | None = None) -> Decision:
        """Find the rule for a post, by what was heard in it.

        Raises:
            ConfigurationError: no rule holds, so the one that catches all is missing.
        """
        said, signals = Said.by(post), heard or Heard(spoken=post.language)
        for rule in self.prepared:
            if rule.holds(post, channel, feed_id, said, signals):
                return rule.decision
        raise ConfigurationError(
            N_("No rule takes post %(external_id)s. The last rule must catch all: add one under Setup, Rules.")
            % {"external_id": post.external_id}
        )
