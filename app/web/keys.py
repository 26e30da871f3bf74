"""The desk's actions and their keys: one table, from which the sheet behind "?" and the palette are drawn.

static/js/keys.js reads the table from that sheet and carries out what it says, so no key is written twice. To add an
action, add a row here; its `do` names a behaviour of keys.js, `to` tells that behaviour where. A key is a chord, or two
of them one after the other (`g d`): `Mod+` (Ctrl, or Command on a Mac), `Alt+`, `Shift+` (with letters and named keys
only), then a character in lower case or a named key (`Enter`).
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from app.i18n import _, reader
from app.models.agent import Role

own: ContextVar[Mapping[str, str]] = ContextVar("own keys")  # the reader's own keys, by the code of the action
NONE: Mapping[str, str] = {}
MODIFIERS = ("Mod", "Alt", "Shift")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person can do on a page. `fixed` ones are the browser's own and cannot get another key."""

    code: str
    words: str
    key: str
    do: str
    to: str = ""
    role: Role = Role.AGENT
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Actions that belong together, under a heading."""

    title: str
    actions: tuple[Action, ...]


def table() -> tuple[Section, ...]:
    """All actions, in the reader's words, with the keys that they have by default."""
    return _table(reader.get().language)


@lru_cache(maxsize=32)
def _table(_language: str) -> tuple[Section, ...]:  # the language is the key of the cache; the catalogue knows it
    return (
        Section(_("Lists"), _lists()),
        Section(_("The item"), _item()),
        Section(_("Writing"), _writing()),
        Section(_("Offers and your state"), _presence()),
        Section(_("Go to"), _places()),
        Section(_("Everywhere"), _everywhere()),
    )


def _lists() -> tuple[Action, ...]:
    return (
        Action("down", _("Next in the list"), "j", "step", "1"),
        Action("up", _("Previous in the list"), "k", "step", "-1"),
        Action("open", _("Open the item"), "Enter", "", fixed=True),
        Action("next", _("Next item"), "o", "press", "#next"),
        Action("news", _("Show the new items"), ".", "press", "[data-list-news]"),
        Action(
            "select",
            _("Choose the item, for many at once"),
            "x",
            "press",
            ".item:focus-within .pick input, .item[aria-current] .pick input",
        ),
        Action("filter", _("Filter the list"), "f", "press", "#filter"),
        Action("pane_back", _("To the pane before"), "[", "pane", "-1"),
        Action("pane_on", _("To the next pane"), "]", "pane", "1"),
    )


def _item() -> tuple[Action, ...]:
    return (
        Action("claim", _("Claim"), "c", "claim"),
        Action("transfer", _("Transfer"), "t", "press", "#transfer"),
        Action("consult", _("Ask an expert"), "e", "press", "#consult"),
        Action("watch", _("Watch, or no longer"), "w", "press", "#watch"),
        Action("macros", _("Macros"), "m", "press", "#macros"),
        Action("labels", _("Add a tag"), "l", "focus", "#tag-new"),
        Action("park", _("Park"), "z", "press", "#park"),
        Action("close", _("Close, then 1 to 5"), "#", "press", "#close"),
        Action("customer", _("Customer"), "i", "customer"),
    )


def _writing() -> tuple[Action, ...]:
    return (
        Action("reply", _("Write a public reply"), "r", "write", "public"),
        Action("direct", _("Write a direct reply"), "p", "write", "direct"),
        Action("note", _("Write a note"), "n", "write", "note"),
        Action("saved", _("Saved replies"), "/", "saved"),
        Action("send", _("Send"), "Mod+Enter", "send", "[data-send]"),
        Action("send_close", _("Send and close as answered"), "Shift+Enter", "send", "[data-send-close]"),
        Action("send_next", _("Send, close, and on to the next"), "Mod+Shift+Enter", "send", "[data-send-next]"),
        Action("undo", _("Undo the send"), "Mod+z", "undo"),
        Action("plea", _("Ask to delete personal data"), "Shift+d", "press", "#plea"),
        Action("edit", _("Edit your last reply"), "Shift+e", "press", "[data-edit]"),
    )


def _presence() -> tuple[Action, ...]:
    return (
        Action("accept", _("Accept the offer"), "a", "press", "#accept, #bar-accept"),
        Action("decline", _("Decline it, then 1 to 4"), "d", "press", "#decline, #bar-decline"),
        Action("extend", _("30 seconds more to decide"), "+", "press", "#extend, #bar-extend"),
        Action("ready", _("Set yourself ready"), "Shift+r", "press", "#go-ready"),
        Action(
            "wrap_up",
            _("Wrap-up, or 30 seconds more of it"),
            "Shift+w",
            "press",
            '#wrap-up, [data-key="wrap-up"]',
        ),
    )


def _places() -> tuple[Action, ...]:
    return (
        Action("go_desk", _("Go to the desk"), "g d", "go", "/desk"),
        Action("search", _("Search"), "s", "go", "/search"),
        Action("go_board", _("Go to the board"), "g b", "go", "/board", Role.SUPERVISOR),
        Action("go_setup", _("Go to the setup"), "g s", "go", "/admin", Role.ADMIN),
        Action("go_macros", _("Go to the macros"), "g m", "go", "/macros"),
        Action("go_saved", _("Go to the saved replies"), "g r", "go", "/saved"),
    )


def _everywhere() -> tuple[Action, ...]:
    return (
        Action("palette", _("Search or run a command"), "Mod+k", "layer", "#palette"),
        Action("sheet", _("All keys"), "?", "layer", "#keys"),
        Action("notices", _("Notices"), "b", "press", "#bell"),
        Action("choose", _("Choose in a menu"), "1 … 6", "", fixed=True),
        Action("escape", _("Close the top layer"), "Escape", "", fixed=True),
    )


@lru_cache(maxsize=1)
def defaults() -> Mapping[str, str]:
    """The key that each action has by default."""
    return {action.code: action.key for section in table() for action in section.actions}


def key_of(code: str) -> str:
    """The reader's key of an action; empty when they have taken it away. Raises KeyError for no such action."""
    mine = own.get(NONE)
    if code in mine:
        return mine[code]
    usual = defaults()[code]
    return "" if any(_clash(usual, chord) for chord in mine.values()) else usual  # what they chose themselves wins


def _clash(one: str, other: str) -> bool:
    """Whether two keys cannot stand side by side: they are the same, or one is the other's beginning."""
    return one == other or one.startswith(f"{other} ") or other.startswith(f"{one} ")


def label(chord: str) -> str:
    """A key as it is written for people: `Ctrl Enter`, `Shift R`, `G D`."""
    parts = (part for stroke in chord.split(" ") for part in strokes(stroke))
    return " ".join(_named().get(part) or (part.upper() if len(part) == 1 else part) for part in parts)


def _named() -> Mapping[str, str]:
    return {
        "Mod": _("Ctrl"),
        "Alt": _("Alt"),
        "Shift": _("Shift"),
        "Enter": _("Enter"),
        "Escape": _("Esc"),
        "Space": _("Space"),
    }


def strokes(chord: str) -> tuple[str, ...]:
    """A chord's keys: `Mod+Shift+Enter` are three, `Mod++` are two."""
    modifiers, plus, last = chord.removesuffix("+").rpartition("+")
    if chord.endswith("+"):
        return (*(part for part in chord[:-1].split("+") if part), "+")
    return (*(modifiers.split("+") if plus else ()), last)


def kbd(code: str) -> Markup:
    """The reader's key of an action as a button carries it; nothing when they have taken it away."""
    chord = key_of(code)
    return Markup("<kbd>{}</kbd>").format(label(chord)) if chord else Markup("")


def with_key(words: str, code: str) -> str:
    """What a tooltip says: `Park (Z)`."""
    chord = key_of(code)
    return _("%(words)s (%(key)s)") % {"words": words, "key": label(chord)} if chord else words


def read(typed: str) -> str:
    """A key as people write it (`Shift R`, `ctrl+k`, `G D`) in the table's own way; what is none stays as it is."""
    names = {**{_named()[name].casefold(): name for name in _named()}, "ctrl": "Mod", "cmd": "Mod", "mod": "Mod"}
    parts = [part for word in typed.split() for part in strokes(word)]
    found, held = [], ""
    for part in parts:
        name = names.get(part.casefold(), part)
        if name in MODIFIERS:
            held += f"{name}+"
        else:
            found.append(held + (name.lower() if len(name) == 1 else name))
            held = ""
    return " ".join([*found, held] if held else found)


def shown(code: str) -> str:
    """The reader's key of an action, as it is written on its button."""
    return label(key_of(code))
