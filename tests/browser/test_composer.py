"""The composer in a real browser: two windows that disagree, pictures, threads, and what is changed after it was sent."""

import asyncio
import re
from io import BytesIO

import pytest
from PIL import Image
from playwright.async_api import expect
from sqlalchemy import select

from app.flow.sealed import sealed_for
from app.models.account import Account
from app.models.item import Item, State
from app.models.post import Post
from app.vault import Vault
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import claim_first, drawn_anew

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def test_when_two_windows_write_the_same_draft_one_sees_both_and_chooses(
    careline: Running, signed_in: SignIn
) -> None:
    first = await signed_in("marta")
    await claim_first(first)
    second = await first.context.new_page()
    await second.goto(first.url)
    async with first.expect_response(lambda answer: answer.url.endswith("/draft")):
        await first.locator("[data-draft]").fill("It leaves on Monday.")
    await second.locator("[data-draft]").fill("It leaves on Tuesday.")
    told = second.locator("[data-conflict]")
    await expect(told.locator("mark").last).to_have_text("Monday")
    await expect(second.locator("[data-send]")).to_be_disabled()
    async with second.expect_response(lambda answer: answer.url.endswith("/draft")):
        await told.get_by_role("button", name="Keep what is here").click()
    await expect(told).to_be_hidden()
    await first.locator("[data-draft]").fill("It leaves on Monday, early.")
    await first.locator("[data-conflict]").get_by_role("button", name="Take what was saved there").click()
    await expect(first.locator("[data-draft]")).to_have_value("It leaves on Tuesday.")
    await first.goto("/drafts")
    await expect(first.locator(".draft-list li")).to_contain_text("It leaves on Tuesday.")


def snapshot() -> bytes:
    out = BytesIO()
    Image.new("RGB", (60, 40), "teal").save(out, "JPEG")
    return out.getvalue()


async def test_a_picture_is_attached_by_the_keyboard_described_and_stands_on_the_network(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    await page.locator("[data-draft]").fill("This is how it should look.")
    async with page.expect_file_chooser() as chooser:
        await page.locator("[data-attach]").press("Enter")
    await (await chooser.value).set_files({"name": "tent.jpg", "mimeType": "image/jpeg", "buffer": snapshot()})
    alt = page.get_by_label("Description of tent.jpg")
    await expect(alt).to_be_focused()
    await expect(page.locator("[data-undescribed]")).to_be_visible()
    await alt.fill("A tent that stands upright")
    await expect(page.locator("[data-undescribed]")).to_be_hidden()
    await page.locator("[data-send]").click()
    await page.get_by_role("button", name="Send now").click()
    await expect(page.locator(".msg .delivery[data-state=sent]")).to_be_visible(timeout=20_000)
    await expect(page.locator(".msg[data-kind=reply] figcaption")).to_have_text("A tent that stands upright")
    network = await page.context.new_page()
    await network.goto(careline.network.url)
    shown = network.get_by_alt_text("A tent that stands upright")
    await expect(shown).to_be_visible()
    assert await shown.evaluate("image => image.naturalWidth") == 60


async def test_what_is_no_picture_is_refused_and_a_pasted_one_can_be_removed(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    await page.locator("[data-attach]").set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"}
    )
    await expect(page.locator(".toast")).to_contain_text("cannot be read as a picture")
    await page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "paste.jpg", { type: "image/jpeg" }));
            document.querySelector("[data-draft]").dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        list(snapshot()),
    )
    await page.get_by_role("button", name="Remove paste.jpg").click()
    await expect(page.locator("[data-picture]")).to_have_count(0)


async def test_a_text_too_long_for_one_post_goes_out_as_a_thread(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    await page.locator("[data-draft]").fill(
        " ".join(f"This is sentence number {n} of a long answer." for n in range(15))
    )
    await expect(page.locator("[data-send]")).to_be_disabled()
    await expect(page.get_by_role("button", name="Send as 2 posts")).to_be_visible()
    await drawn_anew(page)  # what is live takes the choice away from nobody
    await page.get_by_label("Number the posts").check()
    await page.get_by_role("button", name="Send as 2 posts").click()
    await page.get_by_role("button", name="Send now").click()
    await expect(page.locator(".msg .delivery[data-state=sent]")).to_have_count(2, timeout=20_000)
    network = await page.context.new_page()
    await network.goto(careline.network.url)
    await expect(network.locator("article.ours").first).to_contain_text("(1/2)")
    await expect(network.locator("article.ours").nth(1)).to_contain_text("(2/2)")


async def public_item(careline: Running) -> int:
    """An item that waits and whose customer wrote in public; somebody will write one sooner or later."""
    waits = (
        select(Item.id)
        .join(Post, Post.id == Item.post_id)
        .where(Item.state == State.QUEUED, Post.visibility == "public", Item.channel == "demo")
    )
    while True:
        async with careline.sessions() as session:
            found = await session.scalar(waits.order_by(Item.id).limit(1))
        if found is not None:
            return found
        await asyncio.sleep(0.2)


async def test_the_answering_account_and_the_audience_are_chosen_and_told_in_the_thread(
    careline: Running, signed_in: SignIn
) -> None:
    vault = Vault.load(careline.settings)
    async with careline.sessions.begin() as session:
        first = (await session.scalars(select(Account).where(Account.channel == "demo"))).one()
        first.external_id, first.handle = "townsquare:northwindhelp", "northwindhelp"
        second = Account(channel="demo", name="Northwind Repairs", external_id="townsquare:repairs", handle="repairs")
        session.add(second)
        await session.flush()
        second.sealed = vault.seal(vault.open(first.sealed or b"", sealed_for(first.id)), sealed_for(second.id))
        name = first.name
    page = await signed_in("marta")
    await page.goto(f"/items/{await public_item(careline)}")
    await page.locator("#claim").click()
    picker = page.get_by_label("Answer as")
    await expect(picker.locator("option")).to_have_text([name, "Northwind Repairs"])
    async with page.expect_response(lambda answer: answer.url.endswith("/draft")):
        await picker.select_option("Northwind Repairs")
    await page.get_by_role("radio", name="Direct").check(force=True)
    async with page.expect_response(lambda answer: answer.url.endswith("/draft")):
        await page.locator("[data-draft]").fill("We repair it for you.")
    await page.reload()
    await expect(picker.locator("option:checked")).to_have_text("Northwind Repairs")
    await expect(page.get_by_role("radio", name="Direct")).to_be_checked()
    await page.locator("[data-send]").click()
    await page.get_by_role("button", name="Send now").click()
    reply = page.locator(".msg[id^=reply-]")
    await expect(reply.locator(".delivery[data-state=sent]")).to_be_visible(timeout=20_000)
    await expect(reply.locator("header")).to_contain_text("as Northwind Repairs")
    await expect(reply.locator("header")).to_contain_text("Direct")


async def test_proposals_of_colleagues_stay_and_a_named_one_is_marked(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta")
    await page.goto(f"/items/{await public_item(careline)}")
    field = page.locator("[data-draft]")
    await field.fill("Please look, ")
    await field.press("End")
    await field.type("@ada")
    proposals = page.locator("#mentions .opt")
    await expect(proposals).to_have_count(1)
    await page.locator("#claim").dispatch_event("click")  # the note's composer gives way to that of a reply
    await expect(page.locator("#close")).to_be_visible()
    await expect(proposals).to_have_count(1)
    await field.press("Enter")
    await expect(field).to_have_value(re.compile(r"^Please look, @Ada .+ $"))
    await page.locator("[data-send]").click()
    await expect(page.locator(".msg[data-kind=note] .named")).to_contain_text("@Ada")
