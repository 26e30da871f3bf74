"""Personal data in a text: card numbers, bank accounts, phone numbers, mail addresses, and order numbers by a pattern.

Found for two things: to warn, and to mask. What is checked by its own sum (cards by Luhn, ISO/IEC 7812-1; IBANs by
ISO 13616's remainder of 97) is hardly ever wrong; a phone number is any that looks like one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CARD, IBAN, PHONE, MAIL, ORDER = "card", "iban", "phone", "mail", "order"
KINDS = (CARD, IBAN, PHONE, MAIL, ORDER)
SECRET = frozenset({CARD, IBAN})  # what nobody should send even in private
LONGEST = 20_000  # characters that are looked at
MASK = "•"
_SHOWN = 4  # last characters that a mask leaves of a number
_SEPARATED = r"[ .\-\u00a0\u2009]?"
_CARD = re.compile(rf"(?<![\d\w])(?:\d{_SEPARATED}){{12,18}}\d(?!\w)")
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ \-\u00a0]?[A-Za-z0-9]{4}){2,7}(?:[ \-\u00a0]?[A-Za-z0-9]{1,3})?(?!\w)")
_MAIL = re.compile(r"(?<![\w.+/-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w@])")
_PHONE = re.compile(
    r"(?<![\w./:#$€£-])(?<!\d[ \u00a0])(?:\+|00)?\(?\d{1,4}\)?(?:[ ./\-\u00a0]?\(?\d{2,5}\)?){1,5}(?![\w%€$£]|[.:,]\d|-\w)"
)
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{4}|\d{1,2}[.:]\d{2}")
_DIGITS = re.compile(r"\d")
_LEAST_PHONE, _MOST_PHONE = 8, 15  # digits; ITU-T E.164 has 15 at most
_CALLED = re.compile(
    r"(?:phone|call|mobile|cell|tel|telefon|handy|nummer|whatsapp|ruf|anruf|llam|tel[eé]fono|m[oó]vil|celular|portable|"
    r"num[eé]ro|ligue|telefone|電話|携帯|هاتف|جوال|رقم|موبايل)",
    re.IGNORECASE,
)
_NEAR = 24  # characters before a number in which it is called one
# How the networks' numbers begin and how long they are: others with a right sum are no cards.
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3[068]\d{12}|(?:35|6[0-9]|50|5[6-9])\d{11,17}"
)
_IBAN_LENGTHS = range(15, 35)
_CHECK = 97


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """Personal data of a kind, from `start` to `end` of the text."""

    start: int
    end: int
    kind: str


def personal(text: str, order: Any = None) -> list[Found]:
    """What is in the text, in its order, nothing twice. `order` is the admin's compiled pattern of order numbers (RE2)."""
    part = text[:LONGEST]
    if "@" not in part and not _DIGITS.search(part):
        return []
    taken: list[Found] = []
    for found in (*_cards(part), *_ibans(part), *_mails(part), *_orders(part, order), *_phones(part)):
        if all(found.end <= one.start or found.start >= one.end for one in taken):
            taken.append(found)
    return sorted(taken)


def kinds(text: str, order: Any = None) -> tuple[str, ...]:
    """The kinds that are in the text, the gravest first."""
    found = {one.kind for one in personal(text, order)}
    return tuple(kind for kind in KINDS if kind in found)


def masked(text: str, order: Any = None, *, only: frozenset[str] | None = None) -> str:
    """The text with what is personal made unreadable, or what is of the kinds `only`; its length stays the same."""
    found = [one for one in personal(text, order) if only is None or one.kind in only]
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], _mask(text[one.start : one.end], one.kind)]
        at = one.end
    return "".join([*parts, text[at:]]) if found else text


def _mask(said: str, kind: str) -> str:
    if kind == MAIL:
        name, _, host = said.partition("@")
        return name[0] + MASK * (len(name) - 1) + "@" + host
    shown = _SHOWN if kind in {CARD, IBAN} else 2
    hidden = len([one for one in said if one.isalnum()]) - shown
    masks = []
    for one in said:
        covered = one.isalnum() and hidden > 0
        hidden -= covered
        masks.append(MASK if covered else one)
    return "".join(masks)


def _cards(text: str) -> Iterator[Found]:
    for match in _CARD.finditer(text):
        digits = [int(one) for one in match[0] if one.isdigit()]
        if len(set(digits)) > 1 and _ISSUED.fullmatch("".join(map(str, digits))) and _luhn(digits):
            yield Found(match.start(), match.end(), CARD)


def _luhn(digits: list[int]) -> bool:
    doubled = [d * 2 - 9 * (d > 4) for d in digits[-2::-2]]  # noqa: PLR2004 - a sum of two figures is their digits' sum
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _ibans(text: str) -> Iterator[Found]:
    for match in _IBAN.finditer(text):
        plain = "".join(one for one in match[0] if one.isalnum()).upper()
        if len(plain) in _IBAN_LENGTHS and plain.isascii() and _remainder(plain[4:] + plain[:4]) == 1:
            yield Found(match.start(), match.end(), IBAN)


def _remainder(rearranged: str) -> int:
    return int("".join(str(int(one, 36)) for one in rearranged)) % _CHECK


def _mails(text: str) -> Iterator[Found]:
    if "@" in text:
        yield from (Found(match.start(), match.end(), MAIL) for match in _MAIL.finditer(text))


def _orders(text: str, order: Any) -> Iterator[Found]:
    if order is None:
        return
    for match in order.finditer(text):
        if match.end() > match.start():
            yield Found(match.start(), match.end(), ORDER)


def _phones(text: str) -> Iterator[Found]:
    for match in _PHONE.finditer(text):
        said = match[0]
        digits = sum(one.isdigit() for one in said)
        if not _LEAST_PHONE <= digits <= _MOST_PHONE or _DATE.fullmatch(said):
            continue
        called = _CALLED.search(text[max(0, match.start() - _NEAR) : match.start()]) is not None
        written = said.startswith(("+", "00", "(")) or (said[0] == "0" and digits > _LEAST_PHONE)
        spaced = sum(one in " -./" for one in said) >= 2  # noqa: PLR2004 - 555 123 4567
        if called or written or (spaced and said[0] != "0" and digits >= _LEAST_PHONE + 2):
            yield Found(match.start(), match.end(), PHONE)
