"""Bluesky's sign-in on its own server: who lives where, requests pushed beforehand, tokens bound to a key of ours."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt
import pytest

from app.connectors.base import Json, Link
from app.connectors.bluesky_account import BlueskyCredentials
from app.connectors.bluesky_oauth import DOCUMENT
from app.connectors.oauth import ask, redeem
from app.connectors.proof import new_key, proof, public_part
from app.connectors.testing.fake import START, FakeChannel, Trouble
from app.connectors.testing.steps import answer, asked, drain
from app.errors import Malformed, Refused, Unauthorized
from tests.connectors.fakes.bluesky import OURS, SERVICE, FakeBluesky, FakeBlueskyMessages, did_of
from tests.connectors.fakes.bluesky_authority import LIVES

US = did_of("northwind")
REDIRECT = "https://care.example/oauth/callback/7"
LOCAL = "http://127.0.0.1:8000/oauth/callback/7"


def signing(fake: FakeBluesky, **more: Any) -> Link:
    """A link whose account has no password; its directory is the same server."""
    held = BlueskyCredentials(service=SERVICE, identifier=OURS, directory=SERVICE, **more)
    return fake.link(credentials=fake.kept[-1] if fake.kept else held, account=None)


async def consent(fake: FakeBluesky, link: Link, redirect: str = REDIRECT) -> Link:
    """From the button to where the browser comes back: the link with the tokens."""
    bluesky = fake.connector
    made = await bluesky.register(link, redirect)
    link = replace(link, credentials=made)

    async def read(client_id: str) -> Json:
        assert client_id == redirect + DOCUMENT
        told = bluesky.document(made, redirect)
        assert told is not None
        return told

    fake.authority.documents = read
    way = bluesky.sign_in(made)
    assert way is not None
    question = ask(way, made.client_id, redirect)  # type: ignore[attr-defined]
    url = await bluesky.leave(link, question.url)
    assert dict(parse_qsl(urlsplit(url).query)).keys() == {"client_id", "request_uri"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(fake.app)) as browser:
        back = (await browser.post(url, data={"do": "allow"})).headers["location"]
    came = dict(parse_qsl(urlsplit(back).query))
    assert (came["state"], came["iss"]) == (question.state, SERVICE)
    brought = await redeem(link, way, code=came["code"], redirect=redirect, verifier=question.verifier)
    held = await bluesky.signed_in(replace(link, credentials=brought))
    fake.kept.append(held)
    return replace(link, credentials=held)


@pytest.mark.parametrize("redirect", [REDIRECT, LOCAL])
async def test_an_account_signs_in_on_its_own_server_and_is_who_was_asked_for(redirect: str) -> None:
    fake = FakeBluesky()
    link = await consent(fake, signing(fake), redirect)
    who = await fake.connector.who(link)
    assert who is not None
    assert (who.external_id, who.handle) == (US, OURS)
    assert (await fake.connector.check(link)).account == replace(who, followers=12)


async def test_posts_and_messages_come_and_replies_go_with_tokens_bound_to_our_key() -> None:
    for make in (FakeBluesky, FakeBlueskyMessages):
        fake = make()
        await consent(fake, signing(fake))
        post = await asked(fake)
        await fake.connector.send(fake.link(), answer(fake, post))
        assert len(fake.ledger()) == 1
        assert fake.signed_in == 0


async def test_the_server_gives_another_nonce_and_the_call_is_made_again() -> None:
    fake = FakeBluesky()
    await consent(fake, signing(fake))
    post = await asked(fake)
    reply = answer(fake, post)
    fake.authority.nonce = "nonce-2"
    await fake.connector.send(fake.link(), reply)
    assert len(fake.ledger()) == 1


async def test_a_token_that_ends_is_refreshed_in_time_and_a_refused_one_at_once() -> None:
    fake = FakeBluesky()
    await consent(fake, signing(fake))
    fake.tick(LIVES)
    await drain(fake, {})
    assert fake.authority.refreshes == 1
    fake.authority.grants.clear()
    await drain(fake, {})
    assert fake.authority.refreshes == 2
    assert len(fake.kept) == 3, "new tokens were kept"


async def test_a_sign_in_that_was_withdrawn_asks_for_a_person() -> None:
    fake = FakeBluesky()
    await consent(fake, signing(fake))
    fake.authority.end()
    with pytest.raises(Unauthorized, match="Sign in again") as caught:
        await drain(fake, {})
    assert "secret" not in caught.value.message


async def test_who_never_signed_in_and_has_no_password_is_told_so() -> None:
    fake = FakeBluesky()
    with pytest.raises(Unauthorized, match="Nobody has signed in"):
        await fake.connector.fetch(signing(fake), {})


async def test_another_account_that_signs_in_is_refused() -> None:
    fake = FakeBluesky()
    fake.authority.did = did_of("ada")
    with pytest.raises(Refused, match="Another account"):
        await consent(fake, signing(fake))


async def test_our_app_and_its_keys_are_made_once() -> None:
    fake = FakeBluesky()
    first = await fake.connector.register(signing(fake), REDIRECT)
    assert await fake.connector.register(signing(fake).__class__(**_parts(fake, first)), REDIRECT) == first


def _parts(fake: FakeChannel, held: Any) -> dict[str, Any]:
    link = fake.link(credentials=held)
    return {name: getattr(link, name) for name in link.__slots__}


async def test_what_servers_read_of_our_app_names_its_key_and_no_secret() -> None:
    fake = FakeBluesky()
    held = await fake.connector.register(signing(fake), REDIRECT)
    told = fake.connector.document(held, REDIRECT)
    assert told is not None
    assert (told["client_id"], told["redirect_uris"]) == (REDIRECT + DOCUMENT, [REDIRECT])
    assert set(told["jwks"]["keys"][0]) == {"crv", "kty", "x", "y", "kid", "use", "alg"}
    assert "PRIVATE" not in str(told)
    assert "key" not in repr(told["scope"])


async def test_an_account_that_never_asked_to_sign_in_has_no_document() -> None:
    fake = FakeBluesky()
    assert fake.connector.document(signing(fake).credentials, REDIRECT) is None
    local = await fake.connector.register(signing(fake), LOCAL)
    assert fake.connector.document(local, LOCAL) is None


@pytest.mark.parametrize("redirect", ["http://localhost:8000/oauth/callback/7", "http://care.example/oauth/callback/7"])
async def test_where_careline_has_no_public_address_an_app_password_is_named_as_the_way(redirect: str) -> None:
    fake = FakeBluesky()
    with pytest.raises(Refused, match="app password works everywhere"):
        await fake.connector.register(signing(fake), redirect)


async def test_a_handle_that_nobody_has_is_told() -> None:
    fake = FakeBluesky()
    link = signing(fake)
    other = link.credentials.model_copy(update={"identifier": "nobody.example"})
    with pytest.raises(Unauthorized, match="nobody called"):
        await fake.connector.register(replace(link, credentials=other), REDIRECT)


async def test_a_handle_that_its_account_does_not_use_is_not_believed() -> None:
    fake = FakeBluesky()
    fake.known_as = "somebody.example"
    with pytest.raises(Refused, match="does not use that handle"):
        await fake.connector.register(signing(fake), REDIRECT)


async def test_a_server_that_names_no_authority_or_another_one_than_it_is_is_not_believed() -> None:
    for trouble in (Trouble.HTML, Trouble.NULL):
        fake = FakeBluesky()
        fake.trouble(trouble, after=2)
        with pytest.raises(Malformed, match="app password works as well"):
            await fake.connector.register(signing(fake), REDIRECT)


def test_a_proof_is_for_one_request_with_one_token() -> None:
    key = new_key()
    signed = proof(key, "GET", "https://a.example/xrpc/x?limit=1#y", START, nonce="n", token="t")
    said = jwt.decode(signed, jwt.PyJWK(public_part(key)).key, ["ES256"], options={"verify_iat": False})
    assert (said["htm"], said["htu"], said["nonce"]) == ("GET", "https://a.example/xrpc/x", "n")
    assert said["iat"] == int(START.timestamp())
    assert proof(key, "GET", "https://a.example/", START, nonce="", token="") != signed
