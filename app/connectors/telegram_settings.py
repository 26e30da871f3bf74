"""What a bot's feed brings, and the bot's token."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, field_validator

from app.connectors.base import SettingsModel
from app.connectors.wire import is_web
from app.i18n import N_, _


class Groups(StrEnum):
    """What of the groups that the bot is in."""

    TO_US = "to_us"
    EVERYTHING = "everything"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {
            Groups.TO_US: _("What is meant for the bot: mentions, answers, commands"),
            Groups.EVERYTHING: _("Everything that is written there"),
        }[self]


class TelegramSettings(SettingsModel):
    """What to bring besides private chats, and how."""

    groups: Groups = Field(default=Groups.TO_US, title=N_("From groups"))
    channels: bool = Field(
        default=False,
        title=N_("Posts of channels"),
        description=N_("Of those where the bot is an administrator, and the comments under them."),
    )
    delivered: bool = Field(
        default=False,
        title=N_("Have messages delivered"),
        description=N_("For a Careline with a public https address. Else messages are fetched as they come."),
    )

    @property
    def everything(self) -> bool:
        """Whether all that is written in groups is brought."""
        return self.groups is Groups.EVERYTHING


def _server_address(value: str) -> str:
    address = value.rstrip("/")
    if not is_web(address) or "?" in address or "@" in address:
        message = _("This is no web address.")
        raise ValueError(message)
    return address


class TelegramCredentials(SettingsModel):
    """The bot."""

    token: SecretStr = Field(title=N_("Token"), description=N_("As @BotFather gave it: a number, a colon, letters."))
    server: Annotated[str, AfterValidator(_server_address)] = Field(
        default="https://api.telegram.org",
        title=N_("Bot API server"),
        description=N_("Only to be changed where you run one of your own."),
        max_length=300,
        json_schema_extra={"format": "url"},
    )

    @field_validator("token")
    @classmethod
    def _is_token(cls, value: SecretStr) -> SecretStr:
        number, colon, rest = value.get_secret_value().partition(":")
        if not (number.isascii() and number.isdigit() and colon and rest and rest.replace("-", "_").isidentifier()):
            message = _("A bot's token is a number, a colon and letters.")
            raise ValueError(message)
        return value
