"""What agents set for themselves: how they are called, how the pages look and sound, which keys they use.

Some preferences are columns of `agent`, the others live in `agent.preferences`: a new one is a new field here, and no
migration. What is stored and not acceptable (any more) counts as not set.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from pydantic import ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.db import announce
from app.i18n import LANGUAGES, N_, _
from app.models.agent import Agent

COLUMNS = ("name", "language", "timezone", "theme")


class Theme(StrEnum):
    """The colours of the pages."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"

    @property
    def words(self) -> str:
        """For the menu."""
        return {Theme.SYSTEM: _("As the system"), Theme.LIGHT: _("Light"), Theme.DARK: _("Dark")}[self]


class Density(StrEnum):
    """How much of a list stands on a screen."""

    COMFORTABLE = "comfortable"
    COMPACT = "compact"

    @property
    def words(self) -> str:
        """For the menu."""
        return _("Comfortable") if self is Density.COMFORTABLE else _("Compact")


class Motion(StrEnum):
    """Whether things move."""

    SYSTEM = "system"
    REDUCED = "reduced"

    @property
    def words(self) -> str:
        """For the menu."""
        return _("As the system") if self is Motion.SYSTEM else _("Reduced")


class Pulling(StrEnum):
    """Whether "send, close, and on to the next" takes a new item when nothing is left in hand."""

    ALONE = "alone"
    ALWAYS = "always"
    NEVER = "never"

    @property
    def words(self) -> str:
        """For the menu."""
        return {
            Pulling.ALONE: _("Only while no offers come to me"),
            Pulling.ALWAYS: _("Always"),
            Pulling.NEVER: _("Never"),
        }[self]


@cache
def zones() -> frozenset[str]:
    """The names of all time zones. Finding them walks folders, and every request asks."""
    return frozenset(available_timezones())


class Preferences(SettingsModel):
    """All that an agent sets for themselves. The defaults are quiet."""

    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True)

    name: str = Field(title=N_("Name"), description=N_("As colleagues see it."), min_length=1, max_length=120)
    language: str = Field("en", title=N_("Language"))
    timezone: str = Field("UTC", title=N_("Time zone"), description=N_("Every time on screen is told in it."))
    theme: Theme = Field(Theme.SYSTEM, title=N_("Theme"))
    density: Density = Field(Density.COMFORTABLE, title=N_("Density"))
    motion: Motion = Field(Motion.SYSTEM, title=N_("Motion"))
    signature: str = Field("", title=N_("Signature"), max_length=80, examples=["^FE"])
    pulling: Pulling = Field(
        Pulling.ALONE,
        title=N_("Take a new item after the last one"),
        description=N_("By “Send, close, and on to the next”, when nothing is left in your hands."),
    )
    keys_on: bool = Field(True, title=N_("Single keys"))
    key_map: Mapping[str, str] = Field(default_factory=dict, json_schema_extra={"hidden": True})  # action -> key
    sound: bool = Field(False, title=N_("Sound"), description=N_("A soft one, when an offer comes."))
    desktop_notices: bool = Field(
        False, title=N_("Notices of the browser"), description=N_("When an offer comes while you look elsewhere.")
    )
    ring_for_notices: bool = Field(
        False, title=N_("Also for notices"), description=N_("Mentions and what else the bell counts, not only offers.")
    )

    @field_validator("language")
    @classmethod
    def _spoken(cls, value: str) -> str:
        if value not in LANGUAGES:
            raise ValueError(_("Careline does not speak this language. Choose one of the list."))
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in zones():
            raise ValueError(_("There is no such time zone. Choose one of the list."))
        return value


def preferences(agent: Agent) -> Preferences:
    """What an agent has set; the default stands for what is not acceptable."""
    stored = {**agent.preferences, **{name: getattr(agent, name) for name in COLUMNS}}
    try:
        return Preferences.model_validate(stored)
    except ValidationError as error:
        bad = {str(one["loc"][0]) for one in error.errors(include_url=False, include_input=False)}
        kept = {name: value for name, value in stored.items() if name not in bad}
        return Preferences.model_validate({"name": agent.email, **kept})


async def prefer(session: AsyncSession, agent: Agent, **changes: Any) -> Preferences:
    """Set some preferences of an agent, by name, and leave the others. Raises ValidationError for a bad value."""
    new = Preferences.model_validate({**preferences(agent).model_dump(), **changes})
    for name in COLUMNS:
        setattr(agent, name, str(getattr(new, name)))
    agent.preferences = new.model_dump(mode="json", exclude=set(COLUMNS), exclude_defaults=True)
    await session.flush()
    announce(session, "agents", [agent.id])
    return new
