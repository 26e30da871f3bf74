"""Connecting an account by OAuth: to the channel and back, and what an attacker would try on the way (RFC 9700, 4)."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.mastodon_app import MastodonCredentials
from app.connectors.registry import get
from app.flow.configure_account import AccountSettings, create_account, credentials_of, open_credentials
from app.flow.configure_feed import FeedSettings, create_feed
from app.models.account import Account
from app.models.connect import Consent
from app.models.feed import Feed, Health
from app.settings import Settings
from app.vault import Vault
from tests.connectors.fakes.mastodon import FakeMastodon
from tests.loopback import served
from tests.web.conftest import HOST, Browser, House

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]


@dataclass
class Town:
    """A server with Mastodon's API, and an account of ours that is not signed in there yet."""

    fake: FakeMastodon
    url: str
    sessions: Sessions
    settings: Settings
    account_id: int = 0

    @property
    def path(self) -> str:
        return f"/admin/accounts/{self.account_id}"

    async def held(self) -> MastodonCredentials:
        async with self.sessions() as session:
            account = await session.get_one(Account, self.account_id)
            held = open_credentials(Vault.load(self.settings), account)
        assert isinstance(held, MastodonCredentials)
        return held

    async def account(self) -> Account:
        async with self.sessions() as session:
            return await session.get_one(Account, self.account_id)

    async def leave(self, who: Browser) -> str:
        """The admin chooses the button; returns where the browser is sent."""
        answer = await who.send(f"{self.path}/connect")
        assert answer.status_code == 200, answer.text
        return answer.headers["refresh"].partition("url=")[2]

    async def agree(self, url: str, *, do: str = "allow") -> str:
        """The person answers on the server; returns where the server sends the browser back to, without our host."""
        async with httpx.AsyncClient() as http:
            answer = await http.post(url, data={"do": do})
        back = answer.headers["location"]
        assert back.startswith(HOST)
        return str(back.removeprefix(HOST))

    async def connect(self, who: Browser) -> httpx.Response:
        return await who.get(await self.agree(await self.leave(who)))


@pytest.fixture
async def town(sessions: Sessions, settings: Settings, house: House) -> AsyncIterator[Town]:
    fake = FakeMastodon()
    fake.now = datetime.now(UTC)
    async with served(fake.app) as url:
        async with sessions.begin() as session:
            given = credentials_of(get("mastodon"), {"server": url})
            vault = Vault.load(settings)
            account = await create_account(session, vault, "mastodon", AccountSettings(name="@northwind"), given)
        yield Town(fake, url, sessions, settings, account.id)


async def test_an_admin_signs_in_on_the_server_and_is_back_with_a_connected_account(
    town: Town, sign_in: SignIn
) -> None:
    admin = await sign_in("admin")

    answer = await town.connect(admin)

    assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, town.path)
    assert town.fake.grants.valid((await town.held()).access_token.get_secret_value())
    page = (await admin.get(town.path)).text
    assert "northwindhelp@127.0.0.1" in page
    assert "Sign in again" in page


async def test_saving_a_new_account_can_go_straight_to_the_server(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    typed = {"channel": "mastodon", "account": "@second", "server": town.url, "do": "connect"}

    answer = await admin.send("/admin/accounts", typed)

    query = {name: one for name, [one] in parse_qs(urlsplit(answer.headers["refresh"]).query).items()}
    assert query["redirect_uri"] == f"{HOST}/oauth/callback/{town.account_id + 1}"
    assert (query["scope"], query["code_challenge_method"]) == ("read write:statuses write:media", "S256")


async def test_the_redirect_is_the_public_address_whatever_host_the_request_names(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    admin.http.headers["x-forwarded-host"] = "evil.example"

    url = await town.leave(admin)

    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{HOST}/oauth/callback/{town.account_id}"]


async def test_connecting_again_keeps_every_feeds_cursor_and_wakes_what_had_stopped(
    town: Town, sign_in: SignIn, sessions: Sessions
) -> None:
    admin = await sign_in("admin")
    await town.connect(admin)
    async with sessions.begin() as session:
        feed = await create_feed(session, "mastodon", FeedSettings(name="Mentions", account_id=town.account_id))
        feed.cursor, feed.health, feed.failures, feed.synced_at = {"newest": "7"}, Health.STOPPED, 3, func.now()
        await session.execute(update(Account).values(needs_reconnect=True, trouble="Refused."))
    town.fake.grants.end()

    await town.connect(admin)

    async with sessions() as session:
        feed = (await session.scalars(select(Feed))).one()
    assert (feed.cursor, feed.health, feed.failures) == ({"newest": "7"}, Health.NEW, 0)
    assert (await town.account()).needs_reconnect is False


async def test_our_app_is_registered_once_and_anew_when_our_address_changes(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    await town.leave(admin)
    first = (await town.held()).client_id
    await town.leave(admin)

    assert (await town.held()).client_id == first


async def test_the_tokens_outlive_a_change_of_the_name_and_not_one_of_the_server(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    await town.connect(admin)

    await admin.send(town.path, {"account": "Help", "server": town.url}, "PUT")
    kept = await town.held()
    await admin.send(town.path, {"account": "Help", "server": "https://other.example"}, "PUT")
    moved = await town.held()

    assert (kept.signed_in, bool(kept.client_id), moved.client_id) == (True, True, "")


# -- what an attacker would try


async def _refused(town: Town, answer: httpx.Response, status: int = 403) -> None:
    assert answer.status_code == status, answer.text
    assert not (await town.held()).signed_in


async def test_a_return_that_nobody_asked_for_is_refused(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    path = f"/oauth/callback/{town.account_id}"

    await _refused(town, await admin.get(f"{path}?code=c&state=guessed"))
    await _refused(town, await admin.get(f"{path}?code=c"))


async def test_a_return_in_another_browser_is_refused(town: Town, sign_in: SignIn) -> None:
    mine, theirs = await sign_in("admin"), await sign_in("admin")
    back = await town.agree(await town.leave(mine))

    await _refused(town, await theirs.get(back))


async def test_a_return_is_good_once(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    back = await town.agree(await town.leave(admin))
    await admin.get(back)
    kept = await town.held()

    again = await admin.get(back)

    assert again.status_code == 403
    assert await town.held() == kept
    assert town.fake.grants.valid(kept.access_token.get_secret_value()), "the code went to the server a second time"


async def test_a_return_that_took_too_long_is_refused(town: Town, sign_in: SignIn, sessions: Sessions) -> None:
    admin = await sign_in("admin")
    back = await town.agree(await town.leave(admin))
    async with sessions.begin() as session:
        await session.execute(update(Consent).values(expires_at=func.now() - timedelta(seconds=1)))

    await _refused(town, await admin.get(back))


async def test_a_return_to_the_address_of_another_account_is_refused(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    back = await town.agree(await town.leave(admin))

    elsewhere = back.replace(f"/callback/{town.account_id}", f"/callback/{town.account_id + 1}")

    await _refused(town, await admin.get(elsewhere))
    await _refused(town, await admin.get(elsewhere.replace(f"/{town.account_id + 1}?", "?")))


async def test_the_code_goes_to_no_other_server_than_was_asked(
    town: Town, sign_in: SignIn, sessions: Sessions, settings: Settings
) -> None:
    admin = await sign_in("admin")
    back = await town.agree(await town.leave(admin))
    stranger = FakeMastodon()
    stranger.now = datetime.now(UTC)
    async with served(stranger.app) as elsewhere:
        moved = {"account": "@northwind", "server": elsewhere}
        await admin.send(town.path, moved, "PUT")
        stranger.grants.asked = town.fake.grants.asked

        await _refused(town, await admin.get(back), 422)

    assert not stranger.grants.used


async def test_a_declined_sign_in_says_so_and_changes_nothing(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    back = await town.agree(await town.leave(admin), do="deny")

    answer = await admin.get(back)

    assert "The sign-in was declined on the channel." in answer.text
    assert not (await town.held()).signed_in


async def test_what_the_channel_says_is_shown_as_text(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    state = parse_qs(urlsplit(await town.leave(admin)).query)["state"][0]
    said = "error=server_error&error_description=%3Cscript%3Ealert(1)%3C/script%3E"

    answer = await admin.get(f"/oauth/callback/{town.account_id}?state={state}&{said}")

    assert "&lt;script&gt;alert(1)" in answer.text
    assert "<script>alert" not in answer.text


async def test_somebody_else_who_signs_in_does_not_take_the_account_over(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    await town.connect(admin)
    kept = await town.held()
    town.fake.us = "mallory"

    answer = await town.connect(admin)

    assert "You signed in as mallory@other.example, but this account is northwindhelp@127.0.0.1." in answer.text
    assert await town.held() == kept


@pytest.mark.parametrize("who", ["agent", "supervisor"])
async def test_only_an_admin_starts_or_finishes(town: Town, sign_in: SignIn, who: str) -> None:
    admin, other = await sign_in("admin"), await sign_in(who)
    back = await town.agree(await town.leave(admin))

    assert (await other.send(f"{town.path}/connect")).status_code == 403
    await _refused(town, await other.get(back))


async def test_nobody_is_sent_to_the_sign_in_page(town: Town, sign_in: SignIn) -> None:
    nobody = await sign_in("")

    answer = await nobody.get(f"/oauth/callback/{town.account_id}?code=c&state=s")

    assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, "/login")


async def test_a_start_needs_our_own_form(town: Town, sign_in: SignIn, sessions: Sessions) -> None:
    admin = await sign_in("admin")
    forged = await admin.http.post(f"{town.path}/connect")
    foreign = await admin.http.post(
        f"{town.path}/connect", data={"csrf": admin.csrf}, headers={"sec-fetch-site": "cross-site"}
    )
    got = await admin.get(f"{town.path}/connect")

    assert (forged.status_code, foreign.status_code, got.status_code) == (403, 403, 303)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Consent)) == 0


async def test_a_server_that_is_away_is_told_on_the_accounts_page(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    await admin.send(town.path, {"account": "@northwind", "server": "http://127.0.0.1:9"}, "PUT")

    answer = await admin.send(f"{town.path}/connect")

    assert answer.status_code == 502
    assert re.search(r"127\.0\.0\.1.*tried again|No connection to 127\.0\.0\.1", answer.text)


async def test_secrets_stand_on_no_page(town: Town, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    await town.connect(admin)
    held = await town.held()

    pages = [(await admin.get(one)).text for one in (town.path, "/admin/accounts", "/admin/feeds")]

    for secret in (held.access_token, held.client_secret):
        assert not any(secret.get_secret_value() in page for page in pages)


async def test_credentials_that_end_soon_are_told_on_the_pages(town: Town, sign_in: SignIn, sessions: Sessions) -> None:
    admin = await sign_in("admin")
    await town.connect(admin)
    ends = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()

    await admin.send(town.path, {"account": "@northwind", "server": town.url, "ends_on": ends}, "PUT")

    assert "The credentials end soon" in (await admin.get(town.path)).text
    assert "The credentials end soon" in (await admin.get("/admin/accounts")).text
