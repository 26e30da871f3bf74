"""Connecting an account of Bluesky: pushed beforehand, with a document of our app that servers read, and back."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from app.connectors.base import Json
from app.connectors.bluesky_account import BlueskyCredentials
from app.connectors.registry import get
from app.flow.configure_account import AccountSettings, create_account, credentials_of, hold, open_credentials
from app.models.account import Account
from app.settings import Settings
from app.vault import Vault
from tests.connectors.fakes.bluesky import OURS, FakeBluesky, did_of
from tests.loopback import served
from tests.web.conftest import HOST, Browser, House

SignIn = Callable[[str], Awaitable[Browser]]


@dataclass
class Sky:
    """A network, and an account of ours that is not signed in there yet."""

    app: FastAPI
    fake: FakeBluesky
    settings: Settings
    account_id: int

    @property
    def path(self) -> str:
        return f"/admin/accounts/{self.account_id}"

    async def account(self) -> tuple[Account, BlueskyCredentials]:
        async with self.app.state.sessions() as session:
            account = await session.get_one(Account, self.account_id)
            held = open_credentials(Vault.load(self.settings), account)
        assert isinstance(held, BlueskyCredentials)
        return account, held

    async def read(self, client_id: str) -> Json:
        """What a server reads of our app, as a stranger."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=HOST) as stranger:
            answer = await stranger.get(client_id)
        assert answer.headers["content-type"] == "application/json"
        return dict(answer.json())

    async def agree(self, who: Browser, do: str = "allow") -> httpx.Response:
        """From the button to where the browser comes back."""
        left = await who.send(f"{self.path}/connect")
        assert left.status_code == 200, left.text
        async with httpx.AsyncClient() as http:
            back = (await http.post(left.headers["refresh"].partition("url=")[2], data={"do": do})).headers["location"]
        assert back.startswith(HOST)
        return await who.get(back.removeprefix(HOST))


@pytest.fixture
async def sky(app: FastAPI, settings: Settings, house: House) -> AsyncIterator[Sky]:
    fake = FakeBluesky()
    fake.now = datetime.now(UTC)
    async with served(fake.app) as url:
        given = credentials_of(get("bluesky"), {"service": url, "identifier": OURS, "directory": url})
        async with app.state.sessions.begin() as session:
            own = AccountSettings(name="@northwind")
            account = await create_account(session, Vault.load(settings), "bluesky", own, given)
        sky = Sky(app, fake, settings, account.id)
        fake.authority.documents = sky.read
        yield sky


async def test_an_admin_signs_in_on_the_accounts_own_server_and_is_back_with_a_connected_account(
    sky: Sky, sign_in: SignIn
) -> None:
    admin = await sign_in("admin")
    assert "Save and sign in" in (await admin.get(sky.path)).text
    answer = await sky.agree(admin)
    assert answer.headers["location"] == f"{sky.path}?connected=1"
    account, held = await sky.account()
    assert (account.external_id, account.handle) == (did_of("northwind"), OURS)
    assert held.signed_in
    page = (await admin.get(sky.path)).text
    assert "Connected" in page
    for secret in (held.access_token, held.refresh_token, held.proof_key, held.client_key):
        assert secret.get_secret_value() not in page


async def test_a_sign_in_that_was_declined_changes_nothing(sky: Sky, sign_in: SignIn) -> None:
    answer = await sky.agree(await sign_in("admin"), do="deny")
    assert "declined on the channel" in answer.text
    assert not (await sky.account())[1].signed_in


async def test_a_stranger_reads_nothing_of_an_account_that_never_signed_in_or_is_none(sky: Sky) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sky.app), base_url=HOST) as stranger:
        for account_id in (sky.account_id, 4711):
            answer = await stranger.get(f"/oauth/callback/{account_id}/client.json")
            assert answer.status_code == 404


async def test_what_the_server_says_against_us_stands_on_the_accounts_page(sky: Sky, sign_in: SignIn) -> None:
    sky.fake.known_as = "somebody.example"
    answer = await (await sign_in("admin")).send(f"{sky.path}/connect")
    assert "does not use that handle" in answer.text


async def test_everybody_reads_what_our_app_is_under_its_id_and_no_secret_of_it(sky: Sky) -> None:
    public = "https://care.example"
    sky.app.state.settings = sky.settings.model_copy(update={"public_url": public})
    _, held = await sky.account()
    async with httpx.AsyncClient() as http:
        link = sky.fake.link(credentials=held, http=http)
        made = await get("bluesky").register(link, f"{public}/oauth/callback/{sky.account_id}")
    async with sky.app.state.sessions.begin() as session:
        hold(Vault.load(sky.settings), await session.get_one(Account, sky.account_id), made)
    told = await sky.read(f"/oauth/callback/{sky.account_id}/client.json")
    assert told["client_id"] == f"{public}/oauth/callback/{sky.account_id}/client.json"
    assert told["token_endpoint_auth_method"] == "private_key_jwt"
    assert "PRIVATE" not in str(told)
    assert "d" not in told["jwks"]["keys"][0]
