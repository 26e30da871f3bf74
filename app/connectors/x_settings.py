"""What an admin sets of a feed and of an account of X, and how an account signs in."""

from enum import StrEnum

from pydantic import Field, SecretStr, model_validator

from app.connectors.base import SettingsModel
from app.connectors.oauth import ClientAuth, OAuth, OAuthCredentials, Scope
from app.i18n import N_, _

SIGN_IN = OAuth(
    authorize="https://x.com/i/oauth2/authorize",
    token="https://api.x.com/2/oauth2/token",  # noqa: S106 - an address
    scopes=(
        Scope("tweet.read", N_("reads mentions, searches and answers")),
        Scope("tweet.write", N_("sends and deletes replies")),
        Scope("users.read", N_("tells who writes, and who we are")),
        Scope("dm.read", N_("reads direct messages")),
        Scope("dm.write", N_("answers direct messages")),
        Scope("media.write", N_("puts pictures to replies")),
        Scope("offline.access", N_("stays signed in")),
    ),
    client=ClientAuth.BASIC,
    pkce=True,
)


class Source(StrEnum):
    """What a feed brings."""

    MENTIONS = "mentions"
    SEARCH = "search"
    REPLIES = "replies"
    MESSAGES = "messages"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {
            Source.MENTIONS: _("Mentions"),
            Source.SEARCH: _("A search"),
            Source.REPLIES: _("Answers to our newest posts"),
            Source.MESSAGES: _("Direct messages"),
        }[self]


class XSettings(SettingsModel):
    """Which posts to bring. What is left out is not paid for."""

    source: Source = Field(default=Source.MENTIONS, title=N_("Bring"))
    value: str = Field(
        default="",
        title=N_("Search"),
        description=N_("Only for a search: words and operators of X. It goes back seven days."),
        max_length=400,
        examples=['northwind (tent OR "sleeping bag") lang:en'],
    )
    include_reposts: bool = Field(
        default=False,
        title=N_("Include reposts"),
        description=N_("Posts that others passed on. Each counts as a read."),
    )
    include_own: bool = Field(
        default=False,
        title=N_("Include our own posts"),
        description=N_("What we write on X itself. Each counts as a read."),
    )
    backlog: int = Field(
        default=100,
        title=N_("Posts at the start"),
        description=N_("How many older posts the first fetch may read."),
        ge=1,
        le=800,
    )
    stream: bool = Field(
        default=False,
        title=N_("Stream"),
        description=N_("Brings posts at once, where the plan has the filtered stream and a bearer token is given."),
    )

    @model_validator(mode="after")
    def _value_where_needed(self) -> "XSettings":
        if self.source is Source.SEARCH and not self.value:
            message = _("Say what to search for.")
            raise ValueError(message)
        return self


class XCredentials(OAuthCredentials):
    """Our app, its plan, and the tokens of our account."""

    monthly_reads: int = Field(
        default=10_000,
        title=N_("Posts to read in a month"),
        description=N_("What the plan allows, or what you want to pay for at most. Feeds share it and spread it out."),
        ge=10,
        le=1_000_000_000,
    )
    bearer_token: SecretStr = Field(
        default=SecretStr(""),
        title=N_("Bearer token"),
        description=N_("Of the app. Only for the filtered stream."),
        max_length=2000,
    )
    consumer_secret: SecretStr = Field(
        default=SecretStr(""),
        title=N_("API key secret"),
        description=N_("Of the app. Only for deliveries by webhook: X signs them with it."),
        max_length=2000,
    )
