"""What all channels share that are reached by an app of ours at Meta: its secret, its one webhook address, its version.

Rules: developers.facebook.com/docs/graph-api/webhooks/getting-started, /docs/graph-api/guides/versioning.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import Field, SecretStr

from app.connectors.base import Connector, Json, Link
from app.connectors.meta_hooks import handshake
from app.i18n import N_

AppSecret: TypeAlias = Annotated[
    SecretStr,
    Field(
        title=N_("App secret"),
        description=N_("Stands beside it. Deliveries are signed with it."),
        min_length=1,
        max_length=200,
    ),
]
VerifyToken: TypeAlias = Annotated[
    SecretStr,
    Field(
        title=N_("Verify token"),
        description=N_("Make up some words, and paste the same beside the webhook's address in the app's dashboard."),
        max_length=200,
    ),
]
Version: TypeAlias = Annotated[
    str,
    Field(
        title=N_("Version of the Graph API"),
        description=N_("Meta ends a version after two years. Raise it when the feed's health asks for it."),
        pattern=r"^v\d{1,3}\.\d{1,2}$",
    ),
]


class AppConnector(Connector):
    """A channel at Meta: one webhook address serves all accounts of an app."""

    def app_of(self, credentials: Any) -> str:
        """The app's id."""
        return str(credentials.client_id)

    def challenge(self, link: Link, query: Mapping[str, str]) -> str:
        """Meta's question whether the address is ours."""
        return handshake(link, query)

    def hideable(self, ref: Json) -> bool:
        """What was read as something that we can hide."""
        return bool(ref.get("hide"))
