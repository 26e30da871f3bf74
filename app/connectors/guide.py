"""How an account is connected: what the admin creates on the channel, which scopes and why, where sign-in takes place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class ClientAuth(StrEnum):
    """How our app shows its secret to the token endpoint (RFC 6749, 2.3.1; names of RFC 7591).

    An app without a secret is a public one and only names itself, whatever stands here.
    """

    BASIC = "client_secret_basic"
    POST = "client_secret_post"


@dataclass(frozen=True, slots=True)
class Scope:
    """A permission that we ask for, and why, in words for the admin."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class OAuth:
    """Sign-in by OAuth 2: the authorization code grant (RFC 6749, 4.1), with PKCE (RFC 7636) where the channel has it.

    `{name}` in an address stands for the field of that name in the credentials: `{server}/oauth/token`. A channel with
    such an address has many servers, so each account gets a redirect address of its own (RFC 9700, 4.4.2.2).
    """

    authorize: str
    token: str
    scopes: tuple[Scope, ...] = ()
    client: ClientAuth = ClientAuth.BASIC
    pkce: bool = True
    between: str = " "  # scopes in the request
    extra: Mapping[str, str] = field(default_factory=dict)  # more parameters of the request (access_type=offline)
    issuer: str = ""  # what the server calls itself in its answers (RFC 9207), where it does

    @property
    def has_many_servers(self) -> bool:
        """Whether the addresses depend on the account."""
        return "{" in self.authorize + self.token

    def at(self, credentials: Any) -> "OAuth":
        """The same with the addresses of these credentials."""
        known = credentials.model_dump()
        filled = {name: getattr(self, name).format_map(known) for name in ("authorize", "token", "issuer")}
        return replace(self, **filled)


@dataclass(frozen=True, slots=True)
class Paste:
    """A value that the admin copies from us to the channel."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the guided page: what to do on the channel. `link` is the page there where it is done."""

    title: str
    text: str
    link: str = ""
    paste: tuple[Paste, ...] = ()


@dataclass(frozen=True, slots=True)
class Places:
    """Our addresses that a channel has to know. Empty: this channel needs none, or it is not known yet."""

    redirect: str = ""  # where sign-in comes back to, exactly so
    hook: str = ""  # where deliveries are taken
