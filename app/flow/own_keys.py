"""Own keys: an agent gives the desk's actions other keys, takes keys away, or switches the single ones off.

Keys are written as app/web/keys.py writes them. Only what differs from the defaults is kept, so that a new default
reaches everybody who has not chosen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.preferences import Preferences, prefer
from app.i18n import _
from app.models.agent import Agent

STROKE = re.compile(r"(?:Mod\+)?(?:Alt\+)?(?:Shift\+)?(?:[!-~]|[^\W\d_]|[A-Z][A-Za-z0-9]{1,15})")
MODIFIED = re.compile(r"(?:Mod|Alt)\+|(?:Shift\+)?[A-Z]\w+$")  # what no text is written with
MOST_STROKES = 2
NEEDED = frozenset({"Tab", "Shift+Tab", "Escape", "Enter", "Space", "Backspace", "Delete"}) | frozenset("0123456789")
NEEDED_WITH_CTRL = frozenset("acfnpqrtvwx")


@dataclass(frozen=True, slots=True)
class Keyed:
    """What the verb knows of an action: its words, its usual key, and whether it works while one writes."""

    words: str
    usual: str
    while_writing: bool = False
    fixed: bool = False


async def set_own_keys(
    session: AsyncSession, agent: Agent, actions: Mapping[str, Keyed], wanted: Mapping[str, str]
) -> Preferences:
    """Give actions other keys; an empty one takes the key away. Actions that are not named keep theirs.

    Raises:
        Invalid: no such key, the browser needs it, or another action has it; its field is the action's code.
    """
    kept = agent.preferences.get("key_map")
    chosen = {**(kept if isinstance(kept, dict) else {}), **wanted}
    own = {code: key for code, key in chosen.items() if code in actions and key != actions[code].usual}
    for code in wanted:
        if code in own:
            _possible(own[code], actions[code], code)
    keys = {code: own.get(code, action.usual) for code, action in actions.items()}
    for code in wanted:
        _free(keys, code, actions)
    return await prefer(session, agent, key_map=own)


async def reset_own_keys(session: AsyncSession, agent: Agent) -> Preferences:
    """Every action has its usual key again."""
    return await prefer(session, agent, key_map={})


async def switch_single_keys(session: AsyncSession, agent: Agent, *, on: bool) -> Preferences:
    """Keys that are a single character work, or do not (WCAG 2.1.4)."""
    return await prefer(session, agent, keys_on=on)


def _possible(key: str, action: Keyed, code: str) -> None:
    if not key:
        return
    pressed = key.split(" ")
    if action.fixed or len(pressed) > MOST_STROKES or not all(STROKE.fullmatch(one) for one in pressed):
        raise Invalid(_("This is no key. Write it like Shift R, Ctrl K or G D."), code)
    last = pressed[0].removeprefix("Mod+")
    if pressed[0] in NEEDED or (last != pressed[0] and last in NEEDED_WITH_CTRL):
        raise Invalid(_("The browser or a menu needs this key itself. Choose another."), code)
    if action.while_writing and not MODIFIED.match(pressed[0]):
        raise Invalid(_("This works while you write, so its key needs Ctrl, Alt, or a key that writes nothing."), code)


def _free(keys: Mapping[str, str], code: str, actions: Mapping[str, Keyed]) -> None:
    key = keys[code]
    for other, taken in keys.items():
        if other == code or not key or not taken:
            continue
        if key == taken:
            raise Invalid(_("“%s” has this key already. Give that another one first.") % actions[other].words, code)
        if taken.startswith(f"{key} ") or key.startswith(f"{taken} "):
            told = _("The key of “%s” begins with this one, or this one with it. Choose another.")
            raise Invalid(told % actions[other].words, code)
