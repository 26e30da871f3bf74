"""One's own keys: another key for an action, none, and what is refused."""

import html
from collections.abc import Awaitable, Callable

import pytest

from app.web import keys
from tests.web.conftest import Browser

Opener = Callable[[str], Awaitable[Browser]]


async def _sheet_row(browser: Browser, code: str) -> str:
    page = (await browser.get("/desk")).text
    return page.partition(f'data-action="{code}"')[2].partition(">")[0]


async def test_an_action_gets_another_key_on_the_sheet_and_on_its_button_for_its_owner_alone(sign_in: Opener) -> None:
    agent, other = await sign_in("agent"), await sign_in("supervisor")

    answer = await agent.send("/me/keys", {"claim": "Shift V"}, "PUT")

    assert answer.status_code == 303
    assert 'data-chord="Shift+v"' in await _sheet_row(agent, "claim")
    assert "<kbd>Shift V</kbd>" in (await agent.get("/desk")).text
    assert 'data-chord="c"' in await _sheet_row(other, "claim")


async def test_a_key_can_be_taken_away_and_all_come_back(sign_in: Opener) -> None:
    agent = await sign_in("agent")
    await agent.send("/me/keys", {"park": ""}, "PUT")
    assert "data-chord" not in await _sheet_row(agent, "park")
    await agent.send("/me/keys", {}, "DELETE")
    assert 'data-chord="z"' in await _sheet_row(agent, "park")


async def test_two_actions_may_exchange_their_keys(sign_in: Opener) -> None:
    agent = await sign_in("agent")
    assert (await agent.send("/me/keys", {"claim": "Z", "park": "C"}, "PUT")).status_code == 303
    assert 'data-chord="z"' in await _sheet_row(agent, "claim")


@pytest.mark.parametrize(
    ("code", "key", "why"),
    [
        ("claim", "Z", "“Park” has this key already"),
        ("claim", "g", "begins with this one"),
        ("claim", "z d", "begins with this one"),
        ("claim", "Ctrl W", "The browser or a menu needs this key"),
        ("claim", "5", "The browser or a menu needs this key"),
        ("claim", "a b c", "This is no key"),
        ("claim", "<script>", "This is no key"),
        ("send", "s", "works while you write"),
        ("send", "Shift S", "works while you write"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_beside_its_field(sign_in: Opener, code: str, key: str, why: str) -> None:
    agent = await sign_in("agent")
    answer = await agent.send("/me/keys", {code: key}, "PUT")
    assert answer.status_code == 422
    assert why in html.unescape(answer.text)
    assert f'data-chord="{keys.defaults()[code]}"' in await _sheet_row(agent, code)


async def test_single_keys_are_switched_off_on_every_device(sign_in: Opener) -> None:
    agent = await sign_in("agent")
    assert (await agent.send("/me/keys/switch", {"on": ""})).status_code == 303
    assert 'data-keys="off"' in (await agent.get("/desk")).text
    await agent.send("/me/keys/switch", {"on": "on"})
    assert 'data-keys="on"' in (await agent.get("/desk")).text


async def test_an_agent_sees_no_key_of_pages_that_are_not_theirs(sign_in: Opener) -> None:
    assert await _sheet_row(await sign_in("agent"), "go_setup") == ""
    assert await _sheet_row(await sign_in("admin"), "go_setup")


@pytest.mark.parametrize("key", ["c", "Shift+r", "Mod+Shift+Enter", "g d", "+", "Mod++", "#"])
def test_a_key_as_it_is_written_for_people_is_read_again(key: str) -> None:
    assert keys.read(keys.label(key)) == key
