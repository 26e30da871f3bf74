"""Being a profile on Threads: our app's credentials, a token of sixty days that renews itself, and calls with it.

Rules: developers.facebook.com/docs/threads/get-started ("Get Access Tokens and Permissions", "Long-Lived Access Tokens"),
/docs/threads/overview ("Rate Limiting"), /docs/threads/threads-profiles; what pages of lists look like and that the token
stands in the address: Meta's own collection of requests (fbsamples/threads_api).
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from pydantic import Field, SecretStr

from app.connectors.base import Budget, IncomingAuthor, Link
from app.connectors.meta_app import VerifyToken
from app.connectors.meta_graph import Edge, Graph, page_of
from app.connectors.oauth import HIDDEN, ClientAuth, OAuth, OAuthCredentials, Scope
from app.errors import ConnectorError, Malformed, RateLimited, Unauthorized
from app.i18n import N_

HOST = "graph.threads.net"
REPLIES = "replies"  # the allowance: replies of a profile in 24 hours
_RENEW = timedelta(days=30)  # before its end; Meta takes only tokens that are older than a day
_FULL_AGAIN = timedelta(hours=1)  # until it is asked again whether there is room for a reply

SIGN_IN = OAuth(
    authorize="https://threads.net/oauth/authorize",
    token=f"https://{HOST}/oauth/access_token",
    scopes=(
        Scope("threads_basic", N_("needed for any call")),
        Scope("threads_read_replies", N_("to read what stands under our posts")),
        Scope("threads_manage_mentions", N_("to read what mentions us")),
        Scope("threads_content_publish", N_("to answer")),
        Scope("threads_manage_replies", N_("to answer, and to hide what stands under our posts")),
        Scope("threads_delete", N_("to delete an answer")),
    ),
    client=ClientAuth.POST,
    pkce=False,
    between=",",
)


class ThreadsCredentials(OAuthCredentials):
    """Our app at Meta, and the profile that has signed in with it."""

    client_id: str = Field(title=N_("Threads app id"), description=N_("In the app's dashboard under App settings, Basic."), max_length=100)  # fmt: skip
    client_secret: SecretStr = Field(
        title=N_("Threads app secret"), description=N_("Stands beside it. Deliveries are signed with it."), min_length=1, max_length=200
    )  # fmt: skip
    verify_token: VerifyToken = SecretStr("")
    user_id: str = Field(default="", json_schema_extra=HIDDEN)
    user_name: str = Field(default="", json_schema_extra=HIDDEN)

    @property
    def version(self) -> str:
        """Of the API; there is one."""
        return "v1.0"


class ThreadsGraph(Graph):
    """The Threads API: Meta's Graph API on a host of its own, whose pages do not say whether there is another one."""

    host: ClassVar[str] = HOST

    def signed(self, link: Link, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """By a parameter, as its documentation has it."""
        return {}, {"access_token": token}

    async def edge(self, path: str, after: str = "", **params: str | int) -> Edge:
        """One page of a list; the last one is empty. Raises ConnectorError."""
        answer = await self.get(path, **params, **({"after": after} if after else {}))
        found, paging = page_of(answer), answer.get("paging")
        cursors = paging.get("cursors") if isinstance(paging, dict) else None
        following = cursors.get("after") if isinstance(cursors, dict) and found.entries else None
        return replace(found, after=following if isinstance(following, str) and following != after else "")


class _Tokens(ThreadsGraph):
    """Where tokens are changed: no part of any version."""

    def __init__(self, link: Link, token: str) -> None:
        super().__init__(link, token)
        self._base = f"https://{HOST}"


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile that we speak for, with a way to call as it."""

    graph: ThreadsGraph
    id: str
    name: str

    @property
    def author(self) -> IncomingAuthor:
        """As who wrote something."""
        return IncomingAuthor(self.id, self.name, url=f"https://www.threads.net/@{self.name}")


async def profile(link: Link) -> Profile:
    """The profile of these credentials. Raises ConnectorError."""
    held: ThreadsCredentials = link.credentials
    graph = ThreadsGraph(link, await _token(link))
    return Profile(graph, held.user_id, held.user_name)


async def lasting(link: Link) -> ThreadsCredentials:
    """The credentials after a sign-in: a token of sixty days for that of an hour, and whose it is."""
    held: ThreadsCredentials = link.credentials
    secret = held.client_secret.get_secret_value()
    held = await _exchanged(link, held, "access_token", {"grant_type": "th_exchange_token", "client_secret": secret})
    found = await ThreadsGraph(link, held.access_token.get_secret_value()).get("me", fields="id,username")
    name, handle = found.get("id"), found.get("username")
    if not isinstance(name, str) or not isinstance(handle, str):
        raise Malformed(N_("%(host)s did not say whose token it gave.") % {"host": HOST})
    return held.model_copy(update={"user_id": name, "user_name": handle})


async def require_room(found: Profile, link: Link) -> None:
    """Note how many replies are left of the profile's 24 hours. Raises RateLimited when none is, and ConnectorError."""
    path = f"{found.id}/threads_publishing_limit"
    told = (await found.graph.get(path, fields="reply_quota_usage,reply_config")).get("data")
    said = told[0] if isinstance(told, list) and told and isinstance(told[0], dict) else {}
    config = said.get("reply_config")
    used, most = said.get("reply_quota_usage"), config.get("quota_total") if isinstance(config, dict) else None
    if not isinstance(used, int) or not isinstance(most, int):
        return  # without that permission Meta still refuses what is too much
    left = max(most - used, 0)
    await link.note(Budget(left, most, None if left else link.now + _FULL_AGAIN, name=REPLIES))
    if not left:
        raise RateLimited(
            N_("The profile has written its %(most)s replies of 24 hours.") % {"most": most},
            _FULL_AGAIN,
            allowance=REPLIES,
        )


async def _token(link: Link) -> str:
    """A valid token, renewed in good time by one caller at a time. Raises Unauthorized."""
    held: ThreadsCredentials = link.credentials
    if not held.signed_in:
        raise Unauthorized(N_("Nobody has signed in at %(host)s yet. Do so on the account's page.") % {"host": HOST})
    if held.expires_at is None or held.expires_at > link.now + _RENEW:
        return held.access_token.get_secret_value()
    if held.expires_at <= link.now:
        raise Unauthorized(
            N_("The sign-in at %(host)s has ended. Sign in again on the account's page.") % {"host": HOST}
        )
    async with link.turn() as stored:
        now_held: ThreadsCredentials = stored
        if now_held.expires_at is not None and now_held.expires_at <= link.now + _RENEW:
            now_held = await _renewed(link, now_held)
    return now_held.access_token.get_secret_value()


async def _renewed(link: Link, held: ThreadsCredentials) -> ThreadsCredentials:
    """With a token that is good for sixty days again; the same when that fails, as it is good for days still."""
    try:
        renewed = await _exchanged(link, held, "refresh_access_token", {"grant_type": "th_refresh_token"})
    except ConnectorError:
        return held
    await link.keep(renewed)
    return renewed


async def _exchanged(link: Link, held: ThreadsCredentials, path: str, asked: dict[str, str]) -> ThreadsCredentials:
    """The credentials with a token in place of theirs. Raises ConnectorError."""
    answer = await _Tokens(link, held.access_token.get_secret_value()).get(path, **asked)
    token, seconds = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not token:
        raise Malformed(N_("%(host)s signed us in without giving a token that Careline can use.") % {"host": HOST})
    ends = link.now + timedelta(seconds=seconds) if isinstance(seconds, int) and seconds > 0 else None
    return held.model_copy(update={"access_token": SecretStr(token), "expires_at": ends})
