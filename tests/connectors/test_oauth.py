"""OAuth 2 as a connector uses it: what is asked, how a code is redeemed, and when a token is refreshed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from app.connectors.base import Link, NoSettings
from app.connectors.oauth import ClientAuth, OAuth, OAuthCredentials, Scope, ask, fresh, redeem
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized, Unreachable
from tests.connectors.fakes.oauth import Grants

BACK = "https://care.example/oauth/callback"
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
WAY = OAuth(
    authorize="https://loft.example/oauth/authorize?owl=1",
    token="https://loft.example/oauth/token",
    scopes=(Scope("read", "To see."), Scope("write", "To answer.")),
)


@dataclass
class Loft:
    """A channel whose clock can be moved, with the account's row where refreshed credentials are kept."""

    held: OAuthCredentials = field(
        default_factory=lambda: OAuthCredentials(client_id="app-1", client_secret="app-secret")
    )
    now: datetime = NOW
    answer: Callable[[], Response] | None = None

    def __post_init__(self) -> None:
        self.grants = Grants(redirects={BACK}, now=lambda: self.now)
        self.turns = asyncio.Lock()

    def link(self, held: OAuthCredentials | None = None) -> Link:
        async def keep(credentials: Any) -> None:
            self.held = credentials

        @asynccontextmanager
        async def turn() -> AsyncIterator[Any]:
            async with self.turns:
                yield self.held

        routes = self.grants.routes()
        if self.answer:
            answer = self.answer
            routes.insert(0, Route("/oauth/token", lambda _: answer(), methods=["POST"]))
        http = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)))
        return Link(NoSettings(), held or self.held, http, self.now, keep, take_turn=turn)

    async def sign_in(self, way: OAuth = WAY) -> None:
        asked = ask(way, "app-1", BACK)
        back = self.grants.consent(query_of(asked.url))
        self.held = await redeem(self.link(), way, code=query_of(back)["code"], redirect=BACK, verifier=asked.verifier)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_the_request_for_consent_names_everything_and_keeps_what_the_address_had() -> None:
    asked = ask(replace(WAY, extra={"access_type": "offline"}), "app-1", BACK)

    query = query_of(asked.url)
    assert asked.url.startswith("https://loft.example/oauth/authorize?owl=1&")
    assert {name: query[name] for name in ("response_type", "client_id", "redirect_uri", "scope", "access_type")} == {
        "response_type": "code", "client_id": "app-1", "redirect_uri": BACK, "scope": "read write",
        "access_type": "offline",
    }  # fmt: skip
    assert (query["state"], query["code_challenge_method"]) == (asked.state, "S256")


async def test_no_two_requests_share_a_state_or_a_verifier() -> None:
    asked = [ask(WAY, "app-1", BACK) for _ in range(50)]

    assert len({one.state for one in asked} | {one.verifier for one in asked}) == 100
    assert all(43 <= len(one.verifier) <= 128 for one in asked)  # RFC 7636, 4.1


async def test_a_code_becomes_tokens_and_their_end() -> None:
    loft = Loft()

    await loft.sign_in()

    assert loft.grants.valid(loft.held.access_token.get_secret_value())
    assert (loft.held.expires_at, loft.held.granted) == (NOW + timedelta(hours=2), "read write")


@pytest.mark.parametrize("client", ClientAuth)
async def test_the_app_shows_its_secret_as_the_channel_wants_it(client: ClientAuth) -> None:
    await Loft().sign_in(replace(WAY, client=client))


async def test_an_app_without_a_secret_only_names_itself() -> None:
    loft = Loft(held=OAuthCredentials(client_id="app-1"))
    loft.grants.client_secret = ""

    await loft.sign_in()

    assert loft.held.signed_in


async def test_addresses_are_filled_from_the_credentials() -> None:
    class Many(OAuthCredentials):
        server: str

    way = replace(WAY, authorize="{server}/authorize", token="{server}/token")

    filled = way.at(Many(client_id="a", server="https://owls.example"))

    assert (filled.authorize, filled.token) == ("https://owls.example/authorize", "https://owls.example/token")
    assert (way.has_many_servers, filled.has_many_servers) == (True, False)


async def test_a_good_token_is_used_without_asking() -> None:
    loft = Loft()
    await loft.sign_in()

    assert await fresh(loft.link(), WAY) == loft.held.access_token.get_secret_value()
    assert loft.grants.refreshes == 0


async def test_a_token_that_ends_within_a_minute_is_refreshed_and_kept_before_it_is_used() -> None:
    loft = Loft()
    await loft.sign_in()
    old = loft.held
    loft.now += timedelta(minutes=119, seconds=30)

    token = await fresh(loft.link(), WAY)

    assert token == loft.held.access_token.get_secret_value() != old.access_token.get_secret_value()
    assert loft.held.refresh_token != old.refresh_token


async def test_a_refused_token_is_refreshed_although_it_has_not_ended() -> None:
    loft = Loft()
    await loft.sign_in()
    old = loft.held.access_token.get_secret_value()

    assert await fresh(loft.link(), WAY, refused=old) != old


async def test_many_who_need_a_new_token_at_once_refresh_once() -> None:
    loft = Loft()
    await loft.sign_in()
    loft.now += timedelta(hours=3)
    links = [loft.link(loft.held) for _ in range(8)]

    tokens = await asyncio.gather(*(fresh(link, WAY) for link in links))

    assert (len(set(tokens)), loft.grants.refreshes) == (1, 1)
    assert loft.grants.valid(tokens[0])


async def test_a_second_call_on_the_same_link_does_not_refresh_again() -> None:
    loft = Loft()
    await loft.sign_in()
    loft.now += timedelta(hours=3)
    link = loft.link()

    assert await fresh(link, WAY) == await fresh(link, WAY)
    assert loft.grants.refreshes == 1


async def test_a_refresh_token_that_is_not_replaced_stays() -> None:
    loft = Loft()
    loft.grants.rotates = False
    await loft.sign_in()
    spare = loft.held.refresh_token
    loft.now += timedelta(hours=3)

    await fresh(loft.link(), WAY)

    assert loft.held.refresh_token == spare


async def test_what_was_withdrawn_asks_for_a_new_sign_in() -> None:
    loft = Loft()
    await loft.sign_in()
    loft.grants.end()
    loft.now += timedelta(hours=3)

    with pytest.raises(Unauthorized, match=r"Sign in again on the account's page\."):
        await fresh(loft.link(), WAY)


async def test_who_never_signed_in_is_told_so() -> None:
    with pytest.raises(Unauthorized, match=r"Nobody has signed in at loft\.example yet"):
        await fresh(Loft().link(), WAY)


async def test_a_token_that_ended_without_a_refresh_token_asks_for_a_new_sign_in() -> None:
    held = OAuthCredentials(client_id="a", access_token=SecretStr("t"), expires_at=NOW - timedelta(hours=1))

    with pytest.raises(Unauthorized, match=r"The sign-in at loft\.example has ended"):
        await fresh(Loft(held=held).link(), WAY)


async def test_a_wrong_secret_is_told_as_such() -> None:
    loft = Loft()
    loft.grants.client_secret = "another"

    with pytest.raises(Unauthorized, match="does not know our client id or secret"):
        await loft.sign_in()


async def test_a_code_is_not_redeemed_twice_and_a_wrong_verifier_is_refused() -> None:
    loft = Loft()
    asked = ask(WAY, "app-1", BACK)
    code = query_of(loft.grants.consent(query_of(asked.url)))["code"]

    with pytest.raises(Unauthorized):
        await redeem(loft.link(), WAY, code=code, redirect=BACK, verifier="x" * 43)
    with pytest.raises(Unauthorized):
        await redeem(loft.link(), WAY, code=code, redirect=BACK, verifier=asked.verifier)


ANSWERS: list[tuple[Callable[[], Response], type[ConnectorError]]] = [
    (lambda: PlainTextResponse("<html>Sign in to our proxy", 200), Malformed),
    (lambda: PlainTextResponse('{"access_token": "cut', 200), Malformed),
    (lambda: PlainTextResponse('{"access_token": "t", "token_type": "mac"}', 200), Malformed),
    (lambda: PlainTextResponse("[]", 200), Malformed),
    (lambda: PlainTextResponse('{"access_token": 7}', 200), Malformed),
    (lambda: PlainTextResponse("busy", 503), ChannelDown),
    (lambda: PlainTextResponse("slow down", 429, {"Retry-After": "7"}), RateLimited),
    (lambda: PlainTextResponse('{"error": "invalid_scope"}', 400), Refused),
    (lambda: PlainTextResponse('{"error": "temporarily_unavailable"}', 400), ChannelDown),
    (lambda: PlainTextResponse('{"error": {"code": 190}}', 400), Refused),
    (lambda: RedirectResponse("https://elsewhere.example/"), Refused),
]


@pytest.mark.parametrize(("answer", "error"), ANSWERS)
async def test_every_other_answer_is_one_of_our_errors(
    answer: Callable[[], Response], error: type[ConnectorError]
) -> None:
    loft = Loft(answer=answer)

    with pytest.raises(ConnectorError) as caught:
        await loft.sign_in()

    assert type(caught.value) is error


async def test_a_server_that_is_away_is_unreachable() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    loft = Loft()
    link = replace(loft.link(), http=httpx.AsyncClient(transport=httpx.MockTransport(away)))

    with pytest.raises(Unreachable):
        await redeem(link, WAY, code="c", redirect=BACK, verifier="v" * 43)


@pytest.mark.parametrize(("given", "end"), [("3600", 3600), (0, None), (-5, None), ("soon", None), (None, None)])
async def test_a_life_is_believed_only_where_it_is_one(given: Any, end: int | None) -> None:

    body = json.dumps({"access_token": "t", "expires_in": given})
    loft = Loft(answer=lambda: PlainTextResponse(body))

    await loft.sign_in()

    assert loft.held.expires_at == (None if end is None else NOW + timedelta(seconds=end))
