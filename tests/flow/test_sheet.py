"""Files of rows as people bring them: any encoding, any delimiter, quoted line ends, and rows that cannot be read."""

import csv
import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.base import IncomingPost, PostKind
from app.errors import Invalid
from app.flow import sheet
from app.flow.sheet import Delimiter, Encoding, Format, columns_of, encoding_of, guess, parts, read_csv, read_ndjson
from app.flow.sheet_columns import Shape, guessed, is_recent, post_of, rows_of
from app.flow.sheet_dates import Order, order_of, read_date

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def kept(content: bytes, encoding: str | None = None) -> list[str]:
    file = io.BytesIO(content)
    return b"".join(parts(file, encoding or encoding_of(file))).decode().split("\n")[:-1]


@pytest.mark.parametrize(
    ("written", "codec"),
    [
        ("utf-8", Encoding.UTF_8),
        ("utf-8-sig", Encoding.UTF_8),
        ("utf-16", Encoding.UTF_16),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", Encoding.WINDOWS),
        ("latin-1", Encoding.WINDOWS),
    ],
)
def test_the_encoding_is_found_and_its_mark_left_out(written: str, codec: str) -> None:
    text = "id;text\n1;Größe paßt nicht\n" * 40
    content = text.encode(written)

    assert encoding_of(io.BytesIO(content)) == codec
    assert kept(content) == text.split("\n")[:-1]


def test_lines_end_as_they_do_anywhere() -> None:
    assert kept(b"a,b\r\n1,2\r3,4\n5,6") == ["a,b", "1,2", "3,4", "5,6"]


def test_a_nul_in_a_text_is_shown_as_what_cannot_be_shown() -> None:
    assert kept(b"id,text\n1,to\x00rn" + b" " * 200) == ["id,text", "1,to\ufffdrn" + " " * 200]


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04rest", b"\xd0\xcf\x11\xe0", b"\x00\x00\x01" * 50, b"\x89\x00\x01\x02\x03" * 9]
)
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        encoding_of(io.BytesIO(content))


@pytest.mark.parametrize(("mark", "delimiter"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_the_delimiter_is_guessed_from_the_first_rows(mark: str, delimiter: str) -> None:
    lines = [mark.join(row) for row in (("id", "text", "by"), ("1", '"a, b; c"', "x"), ("2", "d", "y"))]

    assert guess(lines) == (Format.CSV, Delimiter(delimiter))


def test_objects_are_ndjson_and_a_list_or_nothing_is_refused() -> None:
    assert guess(["", '{"id": 1}'])[0] is Format.NDJSON
    for lines in (["[1,"], ["", " "]):
        with pytest.raises(Invalid):
            guess(lines)


def test_line_ends_inside_quotation_marks_belong_to_the_row() -> None:
    rows = list(read_csv(['1,"one', "", 'two ""quoted"""', "2,b"], ("id", "text"), Delimiter.COMMA, line=2))

    assert [(row.line, row.lines, row.values) for row in rows] == [
        (2, 3, {"id": "1", "text": 'one\n\ntwo "quoted"'}),
        (5, 1, {"id": "2", "text": "b"}),
    ]


def test_a_quotation_mark_that_is_never_closed_costs_one_row_only() -> None:
    rows = list(read_csv(['1,"oops', "2,b", "3,c"], ("id", "text"), Delimiter.COMMA))

    assert [(row.line, row.problem) for row in rows if row.problem] == [
        (1, "A quotation mark is opened and never closed.")
    ]
    assert [row.values for row in rows[1:]] == [{"id": "2", "text": "b"}, {"id": "3", "text": "c"}]


def test_a_row_that_may_go_on_is_waited_for() -> None:
    assert list(read_csv(['1,"one'], ("id", "text"), Delimiter.COMMA, whole=False)) == []


def test_a_quotation_mark_inside_a_cell_is_a_letter() -> None:
    (row,) = read_csv(['1,a 5" pipe'], ("id", "text"), Delimiter.COMMA)

    assert row.values == {"id": "1", "text": 'a 5" pipe'}


def test_rows_of_another_width() -> None:
    short, empty, wide = read_csv(["1", ",,,", "1,2,3"], ("id", "text"), Delimiter.COMMA)

    assert (short.values, empty.blank) == ({"id": "1"}, True)
    assert wide.problem == "It has 3 cells, and there are 2 columns. A quotation mark may be missing."


def test_a_line_of_any_length_is_read_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST_LINE", 50)
    monkeypatch.setattr(sheet, "BLOCK", 64)
    lines = kept(b"id,text\n1," + b"x" * 1000 + b"\n2,b\n")

    rows = list(read_csv(lines[1:], ("id", "text"), Delimiter.COMMA, line=2))

    assert len(lines[1]) == 51
    assert (rows[0].problem, rows[1].values) == ("The line is longer than 50 characters.", {"id": "2", "text": "b"})


def test_columns_without_a_name_or_with_the_same_are_told_apart() -> None:
    assert columns_of(["", "a,,a"], Format.CSV, Delimiter.COMMA) == (("a", "Column 2", "a 3"), 2)
    assert columns_of(['{"id": 1, "author": {"name": "M"}}'], Format.NDJSON, Delimiter.COMMA) == (
        ("id", "author.name"),
        0,
    )


def test_lines_that_are_no_object_are_named() -> None:
    good, blank, bad, deep = read_ndjson(['{"id": 1}', "", "[1]", "[" * 100_000])

    assert (good.values, blank.blank) == ({"id": 1}, True)
    assert bad.problem == deep.problem == "This is no JSON object."


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=12), min_size=2, max_size=2
        ),
        max_size=8,
    )
)
def test_what_a_spreadsheet_writes_is_read_back_and_adds_up_to_the_file(cells: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(cells)
    lines = written.getvalue().split("\n")[:-1]

    rows = list(read_csv(lines, ("a", "b"), Delimiter.COMMA))

    full = [dict(zip("ab", row, strict=True)) for row in cells if any(cell.strip() for cell in row)]
    assert [row.values for row in rows if not row.blank] == full
    assert sum(row.size for row in rows) == len(written.getvalue().encode())


@pytest.mark.parametrize(
    ("said", "order", "meant"),
    [
        ("2026-11-02T09:00:00+01:00", Order.DAY, datetime(2026, 11, 2, 8, 0, tzinfo=UTC)),
        ("2026-11-02 09:00", Order.DAY, datetime(2026, 11, 2, 8, 0, tzinfo=UTC)),  # Berlin
        ("2026-07-02 09:00", Order.DAY, datetime(2026, 7, 2, 7, 0, tzinfo=UTC)),  # in summer
        ("2026/11/02 09:00", Order.DAY, datetime(2026, 11, 2, 8, 0, tzinfo=UTC)),
        ("2.11.2026, 9:05", Order.DAY, datetime(2026, 11, 2, 8, 5, tzinfo=UTC)),
        ("02/11/26", Order.DAY, datetime(2026, 11, 1, 23, 0, tzinfo=UTC)),
        ("11/02/2026 1:05:09 PM", Order.MONTH, datetime(2026, 11, 2, 12, 5, 9, tzinfo=UTC)),
        ("11/02/2026 12:05 a.m.", Order.MONTH, datetime(2026, 11, 1, 23, 5, tzinfo=UTC)),
        ("02.11.2026 09:00 +02:00", Order.DAY, datetime(2026, 11, 2, 7, 0, tzinfo=UTC)),
        ("Mon, 02 Nov 2026 09:00:00 GMT", Order.DAY, datetime(2026, 11, 2, 9, 0, tzinfo=UTC)),
        ("1793610000", Order.DAY, datetime(2026, 11, 2, 9, 0, tzinfo=UTC)),
        ("1793610000000", Order.DAY, datetime(2026, 11, 2, 9, 0, tzinfo=UTC)),
    ],
)
def test_dates_in_their_many_forms(said: str, order: Order, meant: datetime) -> None:
    assert read_date(said, order, BERLIN) == meant


@pytest.mark.parametrize("said", ["soon", "31.02.2026", "2026-13-01", "0000-00-00", "99/99/9999 25:00", "12"])
def test_what_is_no_date_says_so(said: str) -> None:
    with pytest.raises(ValueError, match="is no date that can be read"):
        read_date(said, Order.DAY, BERLIN)


def test_the_order_of_a_date_is_guessed_where_the_numbers_tell() -> None:
    assert order_of(["01/02/2026", "01/22/2026"]) is Order.MONTH  # the first one does not tell
    assert order_of(["01/22/2026"]) is Order.MONTH
    assert order_of(["22.01.2026"]) is Order.DAY
    assert order_of(["2026-01-22", "x"]) is Order.YEAR


def read(lines: list[str], **more: object) -> list[IncomingPost | str]:
    format_, delimiter = guess(lines)
    columns, head = columns_of(lines, format_, delimiter)
    shape = guessed(format_, delimiter, columns, lines[head:], "Europe/Berlin").model_copy(update=more)
    return [post_of(row, shape, "shop", NOW) for row in rows_of(shape, lines[head:], head + 1)]


def test_columns_are_guessed_by_what_they_are_called() -> None:
    (post,) = read(["Review ID;User Name;Created At;Comment;Lang", "7;Maya;02.11.2026 09:00;The zip broke.;de_DE"])

    assert isinstance(post, IncomingPost)
    assert (post.external_id, post.author.name, post.author.external_id) == ("shop:7", "Maya", "shop:called:maya")
    assert (post.text, post.language) == ("The zip broke.", "de-DE")
    assert post.posted_at == datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def test_our_own_schema_needs_no_choosing() -> None:
    (post,) = read(
        [
            '{"id": 1, "text": "Hi", "kind": "DIRECT", "author": {"id": "u", "name": "Maya"}, "media": [{"url": "https://a.example/1.png"}]}'
        ]
    )

    assert isinstance(post, IncomingPost)
    assert (post.kind, post.media[0].url, post.author.external_id) == (
        PostKind.DIRECT,
        "https://a.example/1.png",
        "shop:u",
    )


def test_a_poll_and_a_quoted_post_stay_whole() -> None:
    (post,) = read(
        [
            '{"id": 1, "author": {"id": "u"}, "poll": {"options": [{"text": "a"}, {"text": "b"}]}, "quote": {"text": "q"}}'
        ]
    )

    assert isinstance(post, IncomingPost)
    assert [media.kind for media in post.media] == ["quote", "poll"]


def test_a_row_without_an_id_is_known_by_what_it_says() -> None:
    one, same, other = read(["author,text", "Maya,Torn", "Maya,Torn", "Maya,torn"])

    assert isinstance(one, IncomingPost)
    assert isinstance(same, IncomingPost)
    assert isinstance(other, IncomingPost)
    assert one.external_id == same.external_id != other.external_id


def test_each_row_that_is_no_post_says_why() -> None:
    assert read(["id,text,author,date,lang", "1,Hi,,", "2,,Maya,", "3,Hi,Maya,soon", "4,Hi,Maya,,?"]) == [
        "It does not say who wrote it.",
        "text is empty, and there is neither a title nor media",
        "'soon' is no date that can be read.",
        "The column for Language cannot be used: This is not written as it should be.",
    ]


def test_what_is_younger_than_the_days_asked_for_is_to_be_answered() -> None:
    old, young = read(["id,text,author,date", "1,Hi,Maya,2026-11-01", "2,Hi,Maya,2026-11-21"])
    shape = Shape(format=Format.CSV, columns=("id",), queue_days=7)

    assert isinstance(old, IncomingPost)
    assert isinstance(young, IncomingPost)
    assert [is_recent(post, shape, NOW) for post in (old, young)] == [False, True]
    assert not is_recent(young, shape.model_copy(update={"queue_days": 0}), NOW)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_takes_no_cell_of_the_report_for_a_formula(start: str) -> None:
    assert sheet.in_a_cell(start + "cmd|' /C calc'!A0").startswith("'")
    assert sheet.in_a_cell("7") == "7"
