"""The table of actions: every key once, every behaviour known to the script that carries it out."""

import re
from pathlib import Path

import pytest

from app.web import keys

SCRIPT = Path(__file__).parents[2] / "static" / "js" / "keys.js"
ACTIONS = [action for section in keys.table() for action in section.actions]


def test_no_key_stands_for_two_actions() -> None:
    chords = [action.key for action in ACTIONS if action.key]
    assert len(chords) == len(set(chords))
    assert not [(one, other) for one in chords for other in chords if other.startswith(f"{one} ")]


def test_no_action_has_the_code_of_another() -> None:
    assert len(ACTIONS) == len({action.code for action in ACTIONS})


def test_the_script_knows_every_behaviour_that_the_table_names() -> None:
    acts = SCRIPT.read_text(encoding="utf-8").partition("const ACTS = {")[2].partition("\n};")[0]
    known = set(re.findall(r"^  (\w+)[(,:]", acts, re.MULTILINE))
    assert {action.do for action in ACTIONS if action.do} <= known


@pytest.mark.parametrize(
    ("chord", "written"),
    [
        ("c", "C"),
        ("Shift+r", "Shift R"),
        ("Mod+Shift+Enter", "Ctrl Shift Enter"),
        ("g d", "G D"),
        ("+", "+"),
        ("Mod++", "Ctrl +"),
        ("Escape", "Esc"),
    ],
)
def test_a_key_is_written_for_people(chord: str, written: str) -> None:
    assert keys.label(chord) == written


def test_buttons_show_the_readers_own_key() -> None:
    token = keys.own.set({"claim": "v", "park": ""})
    try:
        assert (keys.kbd("claim"), keys.with_key("Park", "park")) == ("<kbd>V</kbd>", "Park")
    finally:
        keys.own.reset(token)
    assert (keys.kbd("claim"), keys.with_key("Park", "park")) == ("<kbd>C</kbd>", "Park (Z)")


def test_a_key_that_somebody_chose_is_taken_from_the_action_that_has_it_by_default() -> None:
    token = keys.own.set({"claim": "o", "park": "g"})
    try:
        assert (keys.key_of("claim"), keys.key_of("next"), keys.key_of("go_desk")) == ("o", "", "")
    finally:
        keys.own.reset(token)
