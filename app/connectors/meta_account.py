"""Being a Page on Meta: our app's credentials, the Page's own token, and the Instagram account that hangs on it.

Rules: developers.facebook.com/docs/pages-api/getting-started, /docs/facebook-login/guides/access-tokens/get-long-lived,
/docs/graph-api/reference/debug_token, /docs/graph-api/reference/page/subscribed_apps.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import Field, SecretStr

from app.connectors.base import Json, Link
from app.connectors.meta_app import AppSecret, VerifyToken, Version
from app.connectors.meta_graph import HOST, VERSION, Graph, moment
from app.connectors.oauth import HIDDEN, ClientAuth, OAuth, OAuthCredentials, Scope
from app.errors import ConnectorError, Malformed, Refused, Unauthorized
from app.i18n import N_

_PAGE = "id,name,link,picture{url},access_token,instagram_business_account{id,username,name,profile_picture_url}"


class PageCredentials(OAuthCredentials):
    """Our app at Meta, and which Page it speaks for: by signing in, or with the token of a system user."""

    client_id: str = Field(title=N_("App id"), description=N_("In the app's dashboard under App settings, Basic."), max_length=100)  # fmt: skip
    client_secret: AppSecret
    page: str = Field(
        default="",
        title=N_("Page id"),
        description=N_("On the Page under About, Page transparency. Not needed by who manages one Page only."),
        pattern=r"^\d{0,30}$",
    )
    system_token: SecretStr = Field(
        default=SecretStr(""),
        title=N_("Access token of a system user"),
        description=N_("In place of signing in: business settings, Users, System users. Such a token need not end."),
        max_length=1000,
    )
    verify_token: VerifyToken = SecretStr("")
    version: Version = VERSION
    page_token: SecretStr = Field(default=SecretStr(""), json_schema_extra=HIDDEN)
    page_token_of: str = Field(default="", json_schema_extra=HIDDEN)  # from which token and for which Page it was made
    page_id: str = Field(default="", json_schema_extra=HIDDEN)
    page_name: str = Field(default="", json_schema_extra=HIDDEN)
    instagram_id: str = Field(default="", json_schema_extra=HIDDEN)
    instagram_name: str = Field(default="", json_schema_extra=HIDDEN)

    @property
    def base(self) -> str:
        """The token that the Page's own is made from; empty when nobody has connected yet."""
        return self.system_token.get_secret_value() or self.access_token.get_secret_value()

    @property
    def origin(self) -> str:
        """What `page_token_of` is while the Page's token fits what was typed and signed in."""
        return hashlib.sha256(f"{self.page}:{self.base}".encode()).hexdigest()[:16]


Held = TypeVar("Held", bound=PageCredentials)


def login(*scopes: Scope) -> OAuth:
    """Facebook Login; what it brings is short-lived and is changed in `lasting`."""
    return OAuth(
        authorize="https://www.facebook.com/dialog/oauth",
        token=f"https://{HOST}/oauth/access_token",
        scopes=scopes,
        client=ClientAuth.POST,
        pkce=False,
        between=",",
    )


@dataclass(frozen=True, slots=True)
class Page:
    """A Page that we speak for, with a way to call as it."""

    graph: Graph
    id: str
    name: str
    instagram_id: str
    instagram_name: str


async def page(link: Link) -> Page:
    """The Page of these credentials; its token is made once and kept. Raises ConnectorError."""
    held: PageCredentials = link.credentials
    if held.page_token_of != held.origin:
        held = await with_page(link, held)
        await link.keep(held)
    graph = Graph(link, held.page_token.get_secret_value())
    return Page(graph, held.page_id, held.page_name, held.instagram_id, held.instagram_name)


async def with_page(link: Link, held: Held) -> Held:
    """The credentials with the Page's own token. Raises ConnectorError, Refused when it is not clear which Page."""
    if not held.base:
        raise Unauthorized(N_("Nobody has signed in at %(host)s yet. Do so on the account's page.") % {"host": HOST})
    graph = Graph(link, held.base)
    found = await graph.get(held.page, fields=_PAGE) if held.page else await _only_page(graph)
    token, page_id = found.get("access_token"), found.get("id")
    if not isinstance(token, str) or not isinstance(page_id, str):
        raise Refused(
            N_("This sign-in does not manage the Page. Choose the Page when Facebook asks, or correct its id.")
        )
    instagram = found.get("instagram_business_account")
    instagram = instagram if isinstance(instagram, dict) else {}
    return held.model_copy(
        update={
            "page_token": SecretStr(token),
            "page_token_of": held.origin,
            "page_id": page_id,
            "page_name": str(found.get("name") or page_id),
            "instagram_id": str(instagram.get("id") or ""),
            "instagram_name": str(instagram.get("username") or ""),
        }
    )


async def _only_page(graph: Graph) -> Json:
    """The one Page that this sign-in manages."""
    managed = [
        one for one in (await graph.edge("me/accounts", fields=_PAGE, limit=25)).entries if isinstance(one, dict)
    ]
    if len(managed) == 1:
        only: Json = managed[0]
        return only
    if not managed:
        raise Refused(N_("This sign-in manages no Page. Choose the Page when Facebook asks."))
    names = ", ".join(f"{one.get('name')} ({one.get('id')})" for one in managed)
    raise Refused(
        N_("This sign-in manages several Pages: %(names)s. Set the id of one at the account.") % {"names": names}
    )


async def lasting(link: Link) -> PageCredentials:
    """The credentials after a sign-in: a token of two months for that of an hour, and the Page's, which does not end.

    Meta tells when access to the Page's data ends unless somebody signs in again: that is when the account ends.
    """
    held: PageCredentials = link.credentials
    app = Graph(link, f"{held.client_id}|{held.client_secret.get_secret_value()}")
    asked = {
        "grant_type": "fb_exchange_token",
        "client_id": held.client_id,
        "client_secret": held.client_secret.get_secret_value(),
        "fb_exchange_token": held.access_token.get_secret_value(),
    }
    long = await app.ask("oauth/access_token", asked)
    if not isinstance(long.get("access_token"), str):
        raise Malformed(N_("%(host)s signed us in without giving a token that Careline can use.") % {"host": HOST})
    held = await with_page(link, held.model_copy(update={"access_token": SecretStr(long["access_token"])}))
    return held.model_copy(update={"expires_at": await _end(app, held.page_token.get_secret_value())})


async def _end(app: Graph, token: str) -> datetime | None:
    """When a token, or the access to data that it stands for, ends; None where it does not."""
    try:
        told = (await app.get("debug_token", input_token=token)).get("data")
    except ConnectorError:
        return None  # the sign-in stands; only the warning before its end is lost
    data: dict[str, Any] = told if isinstance(told, dict) else {}
    ends = [data.get(key) for key in ("expires_at", "data_access_expires_at")]
    return min((at for at in (moment(one) for one in ends if one) if at is not None), default=None)


async def subscribe(found: Page, fields: str) -> str:
    """Have deliveries sent for this Page; a notice in words when that is not possible."""
    try:
        await found.graph.post(f"{found.id}/subscribed_apps", {"subscribed_fields": fields})
    except (Refused, Unauthorized) as error:
        return error.message
    return ""
