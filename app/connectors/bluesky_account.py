"""How an account of Bluesky signs in: by an app password and the session that it brings, or by OAuth on its own server.

Sources: the lexicon `com.atproto.server.createSession`; atproto.com/specs/oauth.
"""

from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from app.connectors.base import Json, SettingsModel
from app.connectors.oauth import HIDDEN, OAuth, OAuthCredentials, Scope
from app.connectors.proof import assertion, proof
from app.errors import Malformed
from app.i18n import N_, _

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SIGN_IN = OAuth(
    authorize="{authorize_at}",
    token="{token_at}",  # noqa: S106 - an address
    issuer="{issuer}",
    scopes=(
        Scope("atproto", N_("To know which account signs in.")),
        Scope("transition:generic", N_("To bring posts and notifications, and to answer with pictures.")),
        Scope("transition:chat.bsky", N_("To bring and answer direct messages.")),
    ),
)


class _Place(SettingsModel):
    """Comes first on the form."""

    service: str = Field(
        default="https://bsky.social",
        title=N_("Server"),
        description=N_("Where the account was made. Leave it as it is unless you run or use another server."),
        max_length=200,
    )
    identifier: str = Field(
        title=N_("Handle"), description=N_("The account's handle."), examples=["northwind.bsky.social"], max_length=300
    )
    app_password: SecretStr = Field(
        default=SecretStr(""),
        title=N_("App password"),
        description=N_(
            "Not needed where you sign in on the server. Else: Settings, Privacy and security, App passwords. Not your own."
        ),
    )


class BlueskyCredentials(OAuthCredentials, _Place):
    """How to get in, and what that brought."""

    client_id: str = Field(default="", json_schema_extra=HIDDEN)
    client_secret: SecretStr = Field(default=SecretStr(""), json_schema_extra=HIDDEN)
    access_jwt: SecretStr | None = Field(default=None, json_schema_extra=HIDDEN)  # of the session by app password
    refresh_jwt: SecretStr | None = Field(default=None, json_schema_extra=HIDDEN)
    did: str | None = Field(default=None, json_schema_extra=HIDDEN)
    session_of: str | None = Field(default=None, json_schema_extra=HIDDEN)
    directory: str = Field(default="https://plc.directory", json_schema_extra=HIDDEN)  # of did:plc
    asked_of: str = Field(default="", json_schema_extra=HIDDEN)  # the DID whose server was asked
    pds: str = Field(default="", json_schema_extra=HIDDEN)  # where that account lives
    issuer: str = Field(default="", json_schema_extra=HIDDEN)
    authorize_at: str = Field(default="", json_schema_extra=HIDDEN)
    token_at: str = Field(default="", json_schema_extra=HIDDEN)
    push_at: str = Field(default="", json_schema_extra=HIDDEN)
    client_key: SecretStr = Field(default=SecretStr(""), json_schema_extra=HIDDEN)  # our app shows itself with it
    proof_key: SecretStr = Field(default=SecretStr(""), json_schema_extra=HIDDEN)  # tokens are bound to it

    @field_validator("service")
    @classmethod
    def _service(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError(_("Give the server's bare address, such as https://bsky.social."))
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError(
                _("The address must begin with https://, or the password would cross the network in clear.")
            )
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("identifier")
    @classmethod
    def _identifier(cls, value: str) -> str:
        return value.removeprefix("@")

    @property
    def name(self) -> str:
        """Whose session this is; a session kept under another name is not used."""
        return f"{self.identifier} at {self.service}"

    @property
    def place(self) -> str:
        """The server that is asked: where the account lives, once a sign-in there has told."""
        return self.pds if self.signed_in else self.service

    @property
    def is_public(self) -> bool:
        """Whether our app is one that servers cannot ask about: on loopback."""
        return urlsplit(self.client_id).hostname == "localhost"

    def with_session(self, session: Json) -> Self:
        """The same credentials with the session that a server answered. Raises Malformed."""
        access, refresh, did = (session.get(key) for key in ("accessJwt", "refreshJwt", "did"))
        if not (isinstance(access, str) and isinstance(refresh, str) and isinstance(did, str)):
            raise Malformed(
                N_("%(service)s signed us in without giving a session. Is this a Bluesky server?")
                % {"service": self.service}
            )
        kept = {"access_jwt": SecretStr(access), "refresh_jwt": SecretStr(refresh), "did": did}
        return self.model_copy(update={**kept, "session_of": self.name})

    @property
    def ends_at(self) -> datetime | None:
        """An app password lasts, and a sign-in by OAuth for as long as it is used."""
        return None

    def proof(self, method: str, url: str, now: datetime, *, nonce: str = "", token: str = "") -> dict[str, str]:
        """Tokens of AT Protocol are bound to a key."""
        key = self.proof_key.get_secret_value()
        return {"DPoP": proof(key, method, url, now, nonce=nonce, token=token)} if key else {}

    def assertion(self, now: datetime) -> dict[str, str]:
        """Who we are, signed with the key that our app's document names."""
        if self.is_public or not self.client_key.get_secret_value():
            return {}
        return assertion(self.client_key.get_secret_value(), self.client_id, self.issuer, now)
