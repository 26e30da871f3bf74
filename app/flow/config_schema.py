"""The shape of the configuration file: everything by name, nothing secret, unknown keys refused."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.connectors.base import PostKind, SettingsModel
from app.flow.configure_agent import AgentSettings
from app.flow.configure_feed import FeedShape
from app.flow.configure_reason import reason_name
from app.flow.queue_shape import QueueShape
from app.flow.relaxing import sorted_lines
from app.flow.saved import SavedShape
from app.flow.triage import Conditions, IntentKind, NoiseKind, PersonalKind, UrgentKind
from app.listening.mood import DISPLEASED, FURIOUS
from app.listening.patterns import compiled


def checked_pattern(pattern: str) -> str:
    """The pattern, if RE2 knows it. Raises ValueError, with RE2's words."""
    if pattern:
        compiled(pattern)
    return pattern


Name = Annotated[str, Field(min_length=1, max_length=254)]
Pattern = Annotated[str, AfterValidator(checked_pattern)]
Reason = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(reason_name)]
Level = Annotated[int, Field(ge=1, le=5)]


class QueuePart(QueueShape):
    """A queue, known by its name; the one that it overflows to as well."""

    team: Name
    overflow_to: Name | None = None


class AgentPart(AgentSettings):
    """An agent, known by the e-mail address. Passwords are set on the page."""

    teams: tuple[Name, ...] = ()
    queues: tuple[Name, ...] = ()
    skills: dict[Name, Level] = Field(default_factory=dict)


class FeedPart(FeedShape):
    """A feed, known by channel and name; its account by name. Credentials are set on the page."""

    channel: Name
    account: Name | None = None


class WhenPart(SettingsModel):
    """The conditions of a rule, as in `app.flow.triage.Conditions`, with feeds by name."""

    channels: tuple[str, ...] = ()
    feeds: tuple[Name, ...] = ()
    kinds: tuple[PostKind, ...] = ()
    author: str = ""
    contains: tuple[str, ...] = ()
    matches: Pattern = ""
    languages: tuple[str, ...] = ()
    followers_min: int | None = Field(None, ge=0)
    followers_max: int | None = Field(None, ge=0)
    intents: tuple[IntentKind, ...] = ()
    upset_min: int | None = Field(None, ge=DISPLEASED, le=FURIOUS)
    urgent: tuple[UrgentKind, ...] = ()
    noise: tuple[NoiseKind, ...] = ()
    personal: tuple[PersonalKind, ...] = ()
    copy_only: bool = False


class RulePart(SettingsModel):
    """A rule; its place is its place in the list."""

    name: Name
    enabled: bool = True
    when: WhenPart = WhenPart()
    discard: bool = False
    queue: Name | None = None
    priority: int = Field(3, ge=1, le=5)
    needs: dict[Name, Level] = Field(default_factory=dict)
    steps: Annotated[tuple[str, ...], AfterValidator(sorted_lines)] = ()  # how the needs relax, by the skills' names
    emergency: bool = False
    tags: tuple[Name, ...] = ()


class SavedPart(SavedShape):
    """A shared saved reply, known by its title, and its language where it has one; for a team, or for everybody."""

    team: Name | None = None

    @property
    def key(self) -> str:
        """What it is known by, also to macros."""
        return f"{self.title} ({self.language})" if self.language else self.title


class MacroPart(SettingsModel):
    """A shared macro, known by its name; its reply as `SavedPart.key` names it, a queue that it sends to by name."""

    name: Name
    team: Name | None = None
    reply: str | None = None
    add_tags: tuple[Name, ...] = ()
    remove_tags: tuple[Name, ...] = ()
    priority: int | None = Field(None, ge=1, le=5)
    end: str = ""


class Document(SettingsModel):
    """The whole file. A section that is left out is left alone.

    Teams, skills, queues, agents, feeds, saved replies and macros that the file does not name stay as they are (what
    somebody keeps to themselves is never in it); the rules are complete, so a
    rule that the file does not name is removed, and so are the reasons not to be ready.
    """

    careline: Literal[1] = 1
    teams: tuple[Name, ...] | None = None
    skills: tuple[Name, ...] | None = None
    reasons: tuple[Reason, ...] | None = None
    queues: tuple[QueuePart, ...] | None = None
    agents: tuple[AgentPart, ...] | None = None
    feeds: tuple[FeedPart, ...] | None = None
    rules: tuple[RulePart, ...] | None = None
    saved_replies: tuple[SavedPart, ...] | None = None
    macros: tuple[MacroPart, ...] | None = None


if WhenPart.model_fields.keys() != Conditions.model_fields.keys():
    raise TypeError("The configuration file's conditions and those of triage are not the same.")
