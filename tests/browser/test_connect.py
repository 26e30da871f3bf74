"""Connecting an account on its guided page: to the server, back, a feed with one real post, and signing in again."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Running, SignIn
from tests.connectors.fakes.mastodon import FakeMastodon
from tests.loopback import served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def test_an_admin_connects_an_account_by_signing_in_and_sees_one_real_post(
    careline: Running, signed_in: SignIn
) -> None:
    fake = FakeMastodon()
    fake.now = datetime.now(UTC)
    fake.arrive("My tent arrived torn.")
    async with served(fake.app) as town:
        page = await signed_in("ada")
        await page.goto(f"{careline.url}/admin/accounts/new?channel=mastodon")
        await expect(page.get_by_role("heading", name="How to connect")).to_be_visible()
        await expect(page.get_by_text("write:statuses", exact=True)).to_be_visible()
        await page.get_by_label("Name").fill("@northwindhelp")
        await page.get_by_label("Server").fill(town)
        await page.get_by_role("button", name="Save and sign in").click()

        await expect(page.get_by_text("Careline asks for: read write:statuses write:media")).to_be_visible()
        await page.get_by_role("button", name="Allow").click()
        await expect(page.get_by_role("heading", name="Connected")).to_be_visible()
        await expect(page.locator("#signed-in")).to_contain_text("northwindhelp@127.0.0.1")

        await page.get_by_role("link", name="Add a feed").click()
        await page.get_by_role("button", name="Test connection").click()
        await expect(page.get_by_role("heading", name="The connection works")).to_be_visible()
        await expect(page.locator("#check")).to_contain_text("My tent arrived torn.")
        await page.get_by_role("button", name="Add feed").click()
        await expect(page.get_by_role("heading", name="Mastodon", level=1)).to_be_visible()

        await page.goto(f"{careline.url}/admin/accounts")
        await page.get_by_role("link", name="@northwindhelp").click()
        await expect(page.get_by_role("button", name="Sign in again")).to_be_visible()
        account = urlsplit(page.url).path
        await page.get_by_role("button", name="Sign in again").click()
        await page.get_by_role("button", name="Deny").click()
        await expect(page.get_by_role("alert")).to_contain_text("The sign-in was declined on the channel.")
        await page.goto(f"{careline.url}{account}")
        await expect(page.get_by_role("heading", name="Connected")).to_be_visible()
        assert await page.locator("#feeds").get_by_role("button", name="Test connection").count() == 1
