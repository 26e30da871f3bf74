"""Two colleagues side by side: hand over, ask, mention, look on, and hear of it without a reload."""

import re

import pytest
from playwright.async_api import expect

from app.models.item import Item, State
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import claim_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def holder(careline: Running, item: int) -> tuple[str, int | None]:
    async with careline.sessions() as session:
        found = await session.get_one(Item, item)
        return found.state, found.agent_id


async def test_an_item_goes_to_a_colleague_with_a_note_and_a_begun_reply_by_keys_alone(
    careline: Running, signed_in: SignIn
) -> None:
    marta, ada = await signed_in("marta"), await signed_in("ada")
    await ada.locator("#go-ready").click()
    item = await claim_first(marta)
    async with marta.expect_response(lambda answer: answer.url.endswith("/draft")):
        await marta.locator("[data-draft]").fill("Dear customer,")
    await marta.locator("[data-draft]").press("Escape")
    await marta.keyboard.press("t")
    await expect(marta.locator("#transfer-find")).to_be_focused()
    await marta.keyboard.type("Ada")
    await expect(marta.locator("#transfer-targets .opt")).to_have_count(1)
    await marta.locator("#transfer-note").fill("She is your customer.")
    await marta.get_by_text("How", exact=True).click()
    await marta.get_by_label("Even if they lack a skill").check()
    await marta.locator("#transfer-targets .opt").press("Enter")
    await expect(ada.locator("#bell")).to_have_attribute("data-notices", "1")
    await ada.keyboard.press("b")
    await ada.locator("#notices .opt", has_text="transferred").click()
    await ada.wait_for_url(re.compile(rf"/items/{item}"))
    await expect(ada.locator(".msg[data-kind=note]")).to_contain_text("She is your customer.")
    await expect(ada.locator("[data-draft]")).to_have_value("Dear customer,")
    await expect(ada.locator("#bell")).to_have_attribute("data-notices", "0")
    await expect(marta.locator(f"#rows-active #item-{item}")).to_have_count(0)


async def test_an_expert_is_asked_and_the_parked_item_wakes_with_the_answer(
    careline: Running, signed_in: SignIn
) -> None:
    marta, ada = await signed_in("marta"), await signed_in("ada")
    item = await claim_first(marta)
    await marta.keyboard.press("e")
    await expect(marta.locator("#consult-find")).to_be_focused()
    await marta.keyboard.type("Ada")
    await expect(marta.locator("#consult-targets .opt")).to_have_count(1)
    await marta.locator("#consult-question").fill("Is the second charge void?")
    await marta.get_by_label("Park it until the answer comes").check()
    await marta.locator("#consult-targets .opt").click()
    await expect(marta.locator("#conv-head")).to_have_attribute("data-state", "parked")
    await ada.locator("#bell[data-notices='1']").click()
    await ada.locator("#notices .opt", has_text="asks you").click()
    question = ada.locator(".msg[data-kind=expert]")
    await question.get_by_label("Your answer").fill("Yes, since ten.")
    await question.get_by_role("button", name="Answer").click()
    await expect(marta.locator(".msg[data-kind=expert]")).to_contain_text("Yes, since ten.")
    await expect(marta.locator("#conv-head")).to_have_attribute("data-state", re.compile("active|queued"))
    assert (await holder(careline, item))[0] in {State.ACTIVE, State.QUEUED, State.OFFERED}


async def test_a_colleague_is_chosen_after_an_at_and_hears_of_it(careline: Running, signed_in: SignIn) -> None:
    marta, ada = await signed_in("marta"), await signed_in("ada")
    await claim_first(marta)
    field = marta.locator("[data-draft]")
    await field.press_sequentially("@Ad")
    await expect(marta.locator("#mentions")).to_have_count(0)  # in a reply, an @ is the channel's
    await field.press("Escape")
    await marta.keyboard.press("n")
    await field.fill("Could ")
    await field.press_sequentially("@Ad")
    await expect(marta.locator("#mentions .opt[aria-selected=true]")).to_contain_text("Ada Quist")
    await field.press("Enter")
    await expect(field).to_have_value("Could @Ada Quist ")
    await field.press_sequentially("look?")
    await field.press("Control+Enter")
    await expect(marta.locator(".msg[data-kind=note]")).to_contain_text("@Ada Quist look?")
    await expect(ada.locator("#bell")).to_have_attribute("data-notices", "1")


async def test_who_looks_on_and_types_is_seen_and_who_asks_is_given(careline: Running, signed_in: SignIn) -> None:
    finn, marta = await signed_in("finn"), await signed_in("marta")
    item = await claim_first(finn)
    await marta.goto(f"/items/{item}")
    await expect(finn.locator("#viewers .avatar")).to_have_attribute("title", re.compile("Marta .* is also looking"))
    await marta.locator("[data-draft]").press_sequentially("I know her")
    await expect(finn.locator("#typing")).to_contain_text("is typing")
    await expect(finn.locator(f"#item-{item} .presence .avatar")).to_have_count(1)
    await marta.locator("#ask-for").click()
    await finn.locator(".wanted").get_by_role("button", name="Give").click()
    await expect(marta.locator("#park")).to_be_visible()
    await marta.locator("[href='/desk']").first.click()
    await finn.goto(f"/items/{item}")
    await expect(finn.locator("#viewers .avatar")).to_have_count(0)


async def test_the_former_holder_learns_that_a_supervisor_took_over(careline: Running, signed_in: SignIn) -> None:
    finn, marta = await signed_in("finn"), await signed_in("marta")
    item = await claim_first(finn)
    await finn.goto("/desk/parked")
    await marta.goto(f"/items/{item}")
    await marta.locator("#take-over").click()
    await expect(marta.locator("#park")).to_be_visible()
    await expect(finn.locator("#bell")).to_have_attribute("data-notices", "1")
    await finn.goto("/notices")
    await expect(finn.locator("#notices-newest .opt, .notices-all .opt").first).to_contain_text("took over")
