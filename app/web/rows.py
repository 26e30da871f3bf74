"""Rows of a list: drawn once for each state of an item and language, then only the clocks are filled in.

A row's HTML depends on nothing but its values (`queries.desk.Row`, which is the key of the cache) and the reader's
language; what depends on the moment or the reader stands in it as a mark that no text can contain.
"""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from html import escape

from markupsafe import Markup

from app import i18n
from app.i18n import _
from app.models.item import State
from app.queries.desk import Row
from app.queries.together import Onlooker
from app.web import keys, signal_words, words
from app.web.templating import JINJA

_SECRET = secrets.token_hex(12)
MARKS = {
    name: f"{_SECRET}:{name}:"
    for name in ("current", "waited", "state", "due", "share", "csrf", "list", "holder", "key", "viewers")
}


_CUT = re.compile("|".join(f"({re.escape(mark)})" for mark in MARKS.values()))
_NAMES = {mark: name for name, mark in MARKS.items()}


@lru_cache(maxsize=20_000)
def _drawn(row: Row, language: str) -> tuple[tuple[str, str], ...]:  # noqa: ARG001 - the language is part of the key; the catalogue knows it
    html = JINJA.get_template("desk/row.html").render(
        row=row,
        mark=MARKS,
        title=words.channel_title(row.channel),
        urgents=signal_words.urgents(),
        upsets=signal_words.upsets(),
    )
    pieces, at = [], 0
    for mark in _CUT.finditer(html):
        pieces.append((html[at : mark.start()], _NAMES[mark.group()]))
        at = mark.end()
    return (*pieces, (html[at:], "end"))


def due_words(row: Row, now: datetime) -> tuple[str, str, int]:
    """An item's clock: its state (ok, risk, over, hold), its words, and the share of the time used in per cent."""
    if row.state == State.PARKED:
        until = i18n.moment(row.parked_until, now) if row.parked_until else ""
        return "hold", _("until %s") % until, 0
    if row.state in {State.CLOSED, State.DISCARDED}:
        return "hold", words.state(row.state), 0
    if row.answered:
        return "hold", _("Answered"), 0
    state, share = words.due_state(row.ready_at, row.due_at, now)
    left = i18n.clock(abs(row.due_at - now))
    return state, (_("%s late") if state == "over" else _("%s left")) % left, share


@dataclass(frozen=True, slots=True)
class Around:
    """What a row shows beside its own values: the time, the reader's token, the open item, the list it stands in."""

    now: datetime
    csrf: str
    reader_id: int
    current: int | None = None
    listed: str = ""  # "?list=q3", so that the item's page shows the same list
    viewers: Mapping[int, Sequence[Onlooker]] = field(default_factory=dict)  # who else looks at items of the list


def draw(rows: Iterable[Row], around: Around) -> Markup:
    """The rows of a list as HTML."""
    language = i18n.reader.get().language
    drawn = "".join(_filled(row, _drawn(row, language), around) for row in rows)
    return Markup(drawn)  # noqa: S704 - drawn by the autoescaping environment; the fills are our own or escaped


def _filled(row: Row, pieces: tuple[tuple[str, str], ...], around: Around) -> str:
    state, due, share = due_words(row, around.now)
    fills = {
        "current": ' aria-current="true"' if row.item_id == around.current else "",
        "waited": i18n.clock(around.now - row.ready_at),
        "state": state,
        "due": escape(due),
        "share": str(share),
        "csrf": escape(around.csrf),
        "list": escape(around.listed),
        "key": str(keys.kbd("claim")),
        "holder": _holder(row, around.reader_id),
        "viewers": _viewers(around.viewers[row.item_id]) if row.item_id in around.viewers else "",
        "end": "",
    }
    return "".join([text + fills[name] for text, name in pieces])


def _viewers(who: Sequence[Onlooker]) -> str:
    """The avatars of those who look at the item now."""
    return JINJA.get_template("desk/onlookers.html").render(onlookers=who, id="")


def _holder(row: Row, reader_id: int) -> str:
    """Who has the item, when it is somebody else."""
    if row.holder is None or row.holder_id == reader_id:
        return ""
    return f' <span class="holder"><bdi>{escape(row.holder)}</bdi></span>'
