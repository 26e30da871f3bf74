"""Where a mail's own words end."""

import time

import pytest

from app.listening.quoted import split

OUTLOOK = "Danke!\n\n________________________________\nVon: Care <care@brand.test>\nGesendet: Montag, 2. November 2026\nAn: Ann\nBetreff: Zelt\n\nHallo"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Hello", "Hello"),
        ("Thanks!\n-- \nAnn\nPhone 123", "Thanks!"),
        (
            "It is torn.\n\nOn Mon, 2 Nov 2026 at 09:00, Care <care@brand.test>\nwrote:\n> Hello\n>\n> Care",
            "It is torn.",
        ),
        ("Ja.\n\nAm 02.11.26 um 09:00 schrieb Care:\n> Hallo", "Ja."),
        ("はい。\n\n2026年11月2日(月) 9:00 Care <care@brand.test>:\n> こんにちは", "はい。"),
        (OUTLOOK, "Danke!"),
        ("See below\n-----Original Message-----\nFrom: a@b.test\nSent: now\nTo: us\nSubject: x\n\nHi", "See below"),
        ("Torn.\n\nSent from my iPhone", "Torn."),
        ("> Which one?\nThe green one.\n> Which size?\nFour.", "> Which one?\nThe green one.\n> Which size?\nFour."),
        ("> only a quotation", "> only a quotation"),
        ("Order: 12\nColour: green\nSize: 4\nIt is torn.", "Order: 12\nColour: green\nSize: 4\nIt is torn."),
        ("5 > 4\nand that is that", "5 > 4\nand that is that"),
    ],
)
def test_what_is_quoted_or_signed_is_told_from_what_is_said(text: str, own: str) -> None:
    said, rest = split(text)
    assert said == own
    assert (said + rest).replace("\n", "") == text.replace("\n", "")


@pytest.mark.parametrize(
    "evil", [" \n" * 50_000, "> " * 100_000, "From: a\n" * 30_000, ">\n" * 30_000 + "x", "_" * 200_000]
)
def test_a_mail_made_to_hurt_takes_no_time(evil: str) -> None:
    before = time.process_time()
    split(evil)
    assert time.process_time() - before < 2
