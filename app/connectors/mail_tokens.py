"""What travels in IMAP: tokens of an answer, strings, names of folders, times (RFC 3501, 4 and 5.1.3)."""

import base64
import re
from datetime import datetime
from typing import Any, TypeAlias

Token: TypeAlias = Any  # bytes, None for NIL, or a list of tokens

LITERAL = re.compile(rb"\{(\d{1,12})\+?\}$")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WORD = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"]+))')


def parsed(pieces: list[bytes]) -> list[Token]:
    """The tokens of a line; every second piece is a literal. Raises ValueError when its brackets do not fit."""
    stack: list[list[Token]] = [[]]
    for number, piece in enumerate(pieces):
        if number % 2:
            stack[-1].append(piece)
            continue
        for opens, closes, quoted, word in _WORD.findall(LITERAL.sub(b"", piece)):
            if opens:
                stack.append([])
            elif closes:
                done = stack.pop()
                if not stack:
                    raise ValueError
                stack[-1].append(done)
            else:
                stack[-1].append(None if word == b"NIL" else word or re.sub(rb"\\(.)", rb"\1", quoted))
    if len(stack) != 1:
        raise ValueError
    return stack[0]


def when(value: Token) -> datetime | None:
    """An INTERNALDATE."""
    try:
        return datetime.strptime(value.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except (AttributeError, ValueError):
        return None


def words(text: bytes) -> str:
    """What a server says to people."""
    return text.decode("utf-8", "replace")


def name(token: Token) -> bytes:
    """The name of an item; empty for what is none."""
    return bytes(token).upper() if isinstance(token, bytes) else b""


def string(text: str) -> bytes:
    """A quoted string; what it cannot hold is no name, password or id that a server could take."""
    raw = "".join(c for c in text if c not in "\r\n\0").encode()
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def mailbox(name: str) -> bytes:
    """A folder's name as a command has it."""
    return string(to_utf7(name))


def to_utf7(name: str) -> str:
    """A folder's name as it travels (RFC 3501, 5.1.3)."""

    def coded(run: re.Match[str]) -> str:
        packed = base64.b64encode(run[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
        return f"&{packed}-"

    return re.sub(r"[^\x20-\x7e]+", coded, name.replace("&", "&-"))


def from_utf7(raw: bytes) -> str:
    """A folder's name as people read it; one that cannot be read stays as it is."""

    def decoded(run: re.Match[str]) -> str:
        packed = run[1].replace(",", "/")
        return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be") if packed else "&"

    name = raw.decode("utf-8", "replace")
    try:
        return re.sub(r"&([A-Za-z0-9+,]*)-", decoded, name)
    except ValueError:
        return name
