"""Files of rows: bytes of any encoding in, whole lines of UTF-8 out; lines in, rows out. Pure, and bounded in memory.

CSV as RFC 4180 has it and as programs write it (csv.reader); NDJSON is one object a line (ndjson.org). A row knows the
line that it begins on and where in the kept file it ends, so that reading can go on right behind it.
"""

import codecs
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, BinaryIO

from app.connectors.text import storable
from app.errors import Invalid
from app.i18n import N_, _

PART = 500_000  # bytes kept in one piece, whole lines, so sometimes more
BLOCK = 200_000  # bytes read at once
MOST_LINE = 700_000  # characters of a line; of a longer one only the beginning is kept, and its row is rejected
MOST_ROW = 1_000_000  # characters of a row that goes over several lines
HEAD = 64_000  # bytes that are looked at to tell the encoding
SAMPLE = 20  # rows from which the delimiter is guessed
MOST_COLUMNS = 300
SHOWN = 2_000  # characters of a rejected row that are kept
WHOLE = frozenset({"quote", "poll"})  # objects that stay one column
_MANY = 0.3  # share of NULs at even or odd places that only UTF-16 has
_FEW = 0.01  # share of NULs beyond which it is no text
_PACKED = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF")  # xlsx and zip, xls, gzip, PDF

csv.field_size_limit(MOST_ROW + 1)  # of the whole process; rows are bounded here


class Encoding(StrEnum):
    """What an admin may choose; the values are Python's names of the codecs."""

    AUTO = ""
    UTF_8 = "utf-8-sig"
    UTF_16 = "utf-16"
    WINDOWS = "cp1252"  # of Western Europe; what calls itself Latin-1 is this
    LATIN_9 = "iso8859-15"

    @property
    def words(self) -> str:
        """For people."""
        return {
            Encoding.AUTO: _("Find out"),
            Encoding.UTF_8: "UTF-8",
            Encoding.UTF_16: "UTF-16",
            Encoding.WINDOWS: "Windows-1252 / Latin-1",
            Encoding.LATIN_9: "Latin-9 (ISO 8859-15)",
        }[self]


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    NDJSON = "ndjson"


class Delimiter(StrEnum):
    """What stands between the cells of a row."""

    COMMA = "comma"
    SEMICOLON = "semicolon"
    TAB = "tab"
    BAR = "bar"

    @property
    def mark(self) -> str:
        """The character itself."""
        return {Delimiter.COMMA: ",", Delimiter.SEMICOLON: ";", Delimiter.TAB: "\t", Delimiter.BAR: "|"}[self]

    @property
    def words(self) -> str:
        """For people."""
        return {
            Delimiter.COMMA: _("Comma ,"),
            Delimiter.SEMICOLON: _("Semicolon ;"),
            Delimiter.TAB: _("Tab"),
            Delimiter.BAR: _("Bar |"),
        }[self]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values by column, or why it cannot be read. A `blank` one is no row."""

    line: int  # on which it begins, from 1
    lines: int  # how many it takes
    size: int  # bytes it takes, line ends included
    raw: str
    values: dict[str, Any] | None = None
    problem: str = ""

    @property
    def blank(self) -> bool:
        """Whether nothing stands there."""
        return self.values is None and not self.problem


def encoding_of(file: BinaryIO) -> str:
    """The codec of a file, by its mark, by where its NULs are, by whether it is UTF-8 from end to end.

    Raises Invalid for what is no text.
    """
    file.seek(0)
    head = file.read(HEAD)
    if head.startswith(_PACKED):
        raise Invalid(_("This is a spreadsheet, an archive or a document. Save it as CSV in UTF-8 first."), "file")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding.UTF_16
    half = max(1, len(head) // 2)
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if max(even, odd) > _MANY and min(even, odd) < _FEW:
        return "utf-16-be" if even > odd else "utf-16-le"
    if max(even, odd) > _FEW:
        raise Invalid(_("This file is no text. Save it as CSV in UTF-8 first."), "file")
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in iter(lambda: file.read(BLOCK), b""):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return Encoding.WINDOWS
    return Encoding.UTF_8


def parts(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The file in pieces of whole lines, as UTF-8 with LF; what cannot be decoded is shown as U+FFFD."""
    file.seek(0)
    part = bytearray()
    for line in _lines(file, encoding):
        part += line[: MOST_LINE + 1].encode() + b"\n"
        if len(part) >= PART:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("replace"), translate=True)
    rest = ""
    for block in iter(lambda: file.read(BLOCK), b""):
        *whole, rest = (rest + storable(decoder.decode(block))).split("\n")
        yield from whole
        rest = rest[: MOST_LINE + 1]  # a line without end is not gathered
    *whole, rest = (rest + storable(decoder.decode(b"", final=True))).split("\n")
    yield from whole
    if rest:
        yield rest


def guess(lines: Sequence[str]) -> tuple[Format, Delimiter]:
    """How the rows that begin with these lines are written, and what stands between the cells. Raises Invalid."""
    first = next((line.strip() for line in lines if line.strip()), "")
    if not first:
        raise Invalid(_("This file is empty."), "file")
    if first.startswith("{"):
        return Format.NDJSON, Delimiter.COMMA
    if first.startswith("["):
        raise Invalid(_("A list in JSON is not read. Write one object a line (NDJSON), or CSV."), "file")
    return Format.CSV, max(Delimiter, key=lambda one: _fits(lines, one))


def _fits(lines: Sequence[str], delimiter: Delimiter) -> tuple[int, int]:
    """How many of the first rows have as many cells as the first one, and how many those are."""
    try:
        rows = [*islice(csv.reader((f"{line}\n" for line in lines), delimiter=delimiter.mark), SAMPLE)]
    except csv.Error:
        return 0, 0
    width = len(rows[0]) if rows else 0
    return (sum(len(row) == width for row in rows), width) if width > 1 else (0, width)


def columns_of(lines: Sequence[str], format_: Format, delimiter: Delimiter) -> tuple[tuple[str, ...], int]:
    """The names of the columns (those in the first row, or of the first objects), and how many lines they take.

    Raises Invalid.
    """
    head = 0
    if format_ is Format.NDJSON:
        objects = [row.values for row in read_ndjson(lines[:SAMPLE]) if row.values]
        names = list(dict.fromkeys(name for one in objects for name in one))
    else:
        first = next((place for place, line in enumerate(lines) if line.strip()), 0)
        cells, taken, closed = _cells(lines, first, delimiter)
        if not closed:
            raise Invalid(_("The first line should name the columns; its quotation marks do not fit."), "file")
        names, head = _apart([cell.strip() for cell in cells]), first + taken
    if not 0 < len(names) <= MOST_COLUMNS:
        raise Invalid(
            _("There are %(n)s columns; 1 to %(most)s can be read.") % {"n": len(names), "most": MOST_COLUMNS}, "file"
        )
    return tuple(names), head


def _apart(names: Sequence[str]) -> list[str]:
    """Each name once: empty ones and repeats are numbered."""
    known: list[str] = []
    for place, name in enumerate(names, 1):
        known.append(name if name and name not in known else f"{name or _('Column')} {place}")
    return known


def read_csv(
    lines: Sequence[str], columns: Sequence[str], delimiter: Delimiter, line: int = 1, *, whole: bool = True
) -> Iterator[Row]:
    """Rows from these lines, the first of which is number `line`. Not `whole`: it stops where a row may go on."""
    at = 0
    while at < len(lines):
        if len(lines[at]) > MOST_LINE:
            yield _bad(lines, at, line, N_("The line is longer than %(most)s characters.") % {"most": MOST_LINE})
            at += 1
            continue
        cells, taken, closed = _cells(lines, at, delimiter)
        if not closed:
            if not whole and sum(map(len, lines[at:])) <= MOST_ROW:
                return
            yield _bad(lines, at, line, N_("A quotation mark is opened and never closed."))
            at += 1
            continue
        yield _row(lines[at : at + taken], line + at, cells, columns)
        at += taken


def _cells(lines: Sequence[str], at: int, delimiter: Delimiter) -> tuple[list[str], int, bool]:
    """The cells of the row that begins at a line, how many lines it takes, and whether its quotation marks are closed."""
    taken, size, ran_out = 0, 0, False

    def feed() -> Iterator[str]:
        nonlocal taken, size, ran_out
        for place in range(at, len(lines)):
            line = lines[place]
            size += len(line)
            if size > MOST_ROW and taken:
                break
            taken += 1
            yield line + "\n"
        ran_out = True

    try:
        cells = next(csv.reader(feed(), delimiter=delimiter.mark), [])
    except csv.Error:
        return [], taken, False
    return cells, taken, not ran_out


def _row(lines: Sequence[str], line: int, cells: Sequence[str], columns: Sequence[str]) -> Row:
    raw = "\n".join(lines)
    size = len(raw.encode()) + 1
    if not any(cell.strip() for cell in cells):
        return Row(line, len(lines), size, raw)
    if any(cell.strip() for cell in cells[len(columns) :]):
        words = N_("It has %(n)s cells, and there are %(all)s columns. A quotation mark may be missing.")
        return Row(line, len(lines), size, raw, problem=words % {"n": len(cells), "all": len(columns)})
    return Row(line, len(lines), size, raw, dict(zip(columns, cells, strict=False)))


def _bad(lines: Sequence[str], at: int, line: int, problem: str) -> Row:
    return Row(line + at, 1, len(lines[at].encode()) + 1, lines[at], problem=problem)


def read_ndjson(lines: Sequence[str], line: int = 1) -> Iterator[Row]:
    """Objects, one a line; those inside an object are laid flat: `author.id`."""
    for at, raw in enumerate(lines):
        size = len(raw.encode()) + 1
        if not raw.strip():
            yield Row(line + at, 1, size, raw)
            continue
        try:
            found = json.loads(raw) if len(raw) <= MOST_LINE else None
        except (ValueError, RecursionError):
            found = None
        if len(raw) > MOST_LINE:
            yield _bad(lines, at, line, N_("The line is longer than %(most)s characters.") % {"most": MOST_LINE})
        elif isinstance(found, dict):
            yield Row(line + at, 1, size, raw, _flat(found))
        else:
            yield _bad(lines, at, line, N_("This is no JSON object."))


def _flat(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, one in value.items():
        if isinstance(one, dict) and not before and name not in WHOLE:
            flat |= _flat(one, f"{name}.")
        else:
            flat[(before + name).strip()] = one
    return flat


def in_a_cell(text: str) -> str:
    """Text that a spreadsheet takes for text: what begins as a formula gets an apostrophe (OWASP, CSV Injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
