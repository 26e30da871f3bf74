"""A mail's bytes made readable: headers, text, HTML and what is attached, however broken they are.

Rules: RFC 5322, 2045 to 2047, 2231 (names in parts), 3676 (format=flowed), 1847 and 8551 (signed and encrypted), 5546
(invitations). Headers are read with the `compat32` policy: the newer one raises on the odd ones that mails have.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses

from app.connectors.text import plain, storable
from app.i18n import N_

LONGEST_HEADER = 20_000  # characters of one header that are read
LONGEST_TEXT = 1_000_000  # characters of the text, and of the HTML
MOST_PARTS = 200  # leaves of the tree that are looked at
MOST_FILES = 20  # attached files of one mail that are kept
LARGEST_FILES = 20_000_000  # bytes of them together

_ALIASES = {"us-ascii": "utf-8", "ascii": "utf-8", "iso-8859-1": "cp1252", "latin1": "cp1252", "gb2312": "gb18030"} | {
    "gbk": "gb18030", "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "x-sjis": "cp932", "shift_jis": "cp932",
    "unicode-1-1-utf-7": "utf-7", "x-gbk": "gb18030", "utf8mb4": "utf-8", "8bit": "utf-8", "unknown-8bit": "utf-8",
}  # fmt: skip
_SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
_SEALED = {"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"}
_ADDRESS = re.compile(r"[^\s@<>\"(),:;]+@[^\s@<>\"(),:;]+")
_BETWEEN_CODED = re.compile(r"(=\?[^?\s]+\?[bBqQ]\?[^?]*\?=)\s+(?==\?)")


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that came with a mail. `content` is None when it is too large to be kept here."""

    name: str
    kind: str  # as its sender calls it
    content: bytes | None = field(repr=False)
    size: int
    description: str = ""


@dataclass(slots=True)
class Content:
    """What a mail holds. `sealed` says in words why it cannot be read, when it is encrypted."""

    text: str = ""
    html: str | None = None
    files: list[Attached] = field(default_factory=list)
    sealed: str = ""


def parsed(raw: bytes) -> Message:
    """The tree of a mail. Raises ValueError, in words, when it is nested deeper than anything can read."""
    try:
        return message_from_bytes(raw, policy=policy.compat32)
    except RecursionError as error:
        raise ValueError(N_("Its parts are nested too deep.")) from error


def header(message: Message, name: str) -> str:
    """A header as a person reads it; empty when there is none."""
    return next(headers(message, name), "")


def headers(message: Message, name: str) -> Iterator[str]:
    """All headers of that name, unfolded and decoded."""
    for given, value in message.raw_items():
        if given.lower() == name.lower():
            yield decoded(str(value))


def decoded(value: str) -> str:
    """RFC 2047 words, or raw bytes of an older mail program, as text on one line."""
    value = _BETWEEN_CODED.sub(r"\1", re.sub(r"[\r\n]+[ \t]*", " ", value[:LONGEST_HEADER]))
    if any("\ud800" <= c <= "\udfff" for c in value):
        return storable(_guessed(value.encode("utf-8", "surrogateescape"), None)).strip()
    try:
        pieces = decode_header(value)
    except (ValueError, LookupError):  # what is no base64 stays as it was written
        return storable(value).strip()
    words = [piece if isinstance(piece, str) else _guessed(piece, charset) for piece, charset in pieces]
    return storable("".join(words)).strip() or storable(value).strip()


def addresses(message: Message, *names: str) -> list[tuple[str, str]]:
    """Names and addresses of these headers, in order; an address is in lower case."""
    found = []
    for name in names:
        for value in headers_raw(message, name):
            for who, address in getaddresses([value]):
                if _ADDRESS.fullmatch(address):
                    found.append((decoded(who), address.lower()))
    return found


def headers_raw(message: Message, name: str) -> Iterator[str]:
    """The same headers unfolded but still coded: their commas and brackets mean what they say."""
    for given, value in message.raw_items():
        if given.lower() == name.lower():
            text = re.sub(r"[\r\n]+[ \t]*", " ", str(value)[:LONGEST_HEADER])
            yield text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def content(message: Message) -> Content:
    """Text, HTML and files. Where only HTML came, the text is what it says."""
    found, kept = Content(), 0
    for number, part in enumerate(_leaves(message)):
        if number >= MOST_PARTS:
            break
        kind = part.get_content_type()
        if kind in _SEALED:
            found.sealed = N_("This mail is encrypted, so Careline cannot read it. Open it in the mailbox.")
        if kind in _SIGNATURES or kind == "application/pgp-encrypted":
            continue
        named = part.get_filename()
        if kind in {"text/plain", "text/html"} and part.get_content_disposition() != "attachment" and not named:
            _add_words(found, part, kind)
        elif len(found.files) < MOST_FILES:
            file = _file(part, kind, named, LARGEST_FILES - kept)
            kept += len(file.content or b"")
            found.files.append(file)
    if not found.text and found.html:
        found.text = plain(found.html)
    found.text = found.text.strip("\n") or found.sealed
    return found


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something; a forwarded mail is one of them, whole. No recursion: the tree is hostile."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        inner = part.get_payload()
        if part.is_multipart() and part.get_content_maintype() != "message" and isinstance(inner, list):
            waiting += [one for one in reversed(inner) if isinstance(one, Message)]
        else:
            yield part


def _add_words(found: Content, part: Message, kind: str) -> None:
    words = _text(part)
    if kind == "text/html":
        found.html = (words if found.html is None else f"{found.html}<hr>{words}")[:LONGEST_TEXT]
    elif words.strip():
        joined = words if not found.text else f"{found.text}\n\n{words}"
        found.text = joined[:LONGEST_TEXT]


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    given = raw if isinstance(raw, bytes) else b""
    words = _guessed(given, part.get_content_charset()).replace("\r\n", "\n").replace("\r", "\n")
    if str(part.get_param("format", "")).lower() == "flowed":
        words = _unflowed(words, str(part.get_param("delsp", "")).lower() == "yes")
    return storable(words)


def _unflowed(words: str, drop_space: bool) -> str:
    """Lines that were broken for the way are whole again (RFC 3676, 4.2); quoted ones stay as they are."""
    out: list[str] = []
    flows = False
    for given in words.split("\n"):
        quoted = given.startswith(">")
        line = given if quoted else given.removeprefix(" ")
        if flows and not quoted:
            out[-1] += line
        else:
            out.append(line)
        flows = line.endswith(" ") and not quoted and line != "-- "
        if flows and drop_space:
            out[-1] = out[-1][:-1]
    return "\n".join(out)


def _file(part: Message, kind: str, named: str | None, room: int) -> Attached:
    name = decoded(named or "").replace("\\", "/").rpartition("/")[2][:200]
    if part.get_content_maintype() == "message":
        inner = part.get_payload()
        whole = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], Message) else part
        raw = _as_bytes(whole)
        name = name or (header(whole, "subject")[:100] or "mail") + ".eml"
    else:
        given = part.get_payload(decode=True)
        raw = given if isinstance(given, bytes) else b""
    name = name or ("invitation.ics" if kind == "text/calendar" else "")
    described = decoded(str(part.get("content-description", "")))[:500]
    return Attached(name, kind, raw if len(raw) <= room else None, len(raw), described)


def _as_bytes(message: Message) -> bytes:
    try:
        return message.as_bytes(policy=policy.compat32)
    except (ValueError, LookupError, RecursionError):  # a header or charset that cannot be written again
        return str(message.get_payload()).encode("utf-8", "replace")


def _guessed(raw: bytes, charset: str | None) -> str:
    """Bytes as text: by the charset they claim, else UTF-8, else what Windows writes."""
    for name in (_ALIASES.get((charset or "").lower(), charset or "utf-8"), "utf-8"):
        try:
            if codecs.lookup(name)._is_text_encoding:  # noqa: SLF001 - `rot13` and `zip` are codecs, too
                return raw.decode(name)
        except (LookupError, ValueError):
            continue
    return raw.decode("utf-8" if (charset or "").lower() == "utf-8" else "cp1252", "replace")
