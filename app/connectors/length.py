"""How long a reply is, counted as its channel counts."""

import regex

from app.connectors.base import Capabilities, Length

MASTODON_LINK = 23  # characters that any link counts: docs.joinmastodon.org/user/posting, "Links"

_GRAPHEME = regex.compile(r"\X")
_LINK = regex.compile(r"(?<![\p{L}\p{N}_@/])https?://[^\s<>\"\p{C}]*[^\s<>\"\p{C}.,:;!?'\u2019”»…\-]", regex.IGNORECASE)
_REMOTE_MENTION = regex.compile(r"(?<![=/\w])(@\w(?:[\w.-]{0,200}\w)?)@[\w.:-]{0,250}\w")
_PAIRS = {")": "(", "]": "[", "}": "{"}


def count(text: str, rule: Length) -> int:
    """The length of `text` by this rule."""
    if rule is Length.CHARACTERS:
        return len(text)
    if rule is Length.MASTODON:
        text = _countable(text)
    return sum(1 for _ in _GRAPHEME.finditer(text))


def left(text: str, capabilities: Capabilities, lead: str = "") -> int | None:
    """How much may still be written: negative by how much the text is too long, None without a limit.

    `lead` is what the connector puts before the text (`Connector.lead`). Where the channel limits bytes as well, the
    tighter of the two speaks, each in its own unit.
    """
    whole = lead + text
    rooms = []
    if capabilities.length_limit is not None:
        rooms.append(capabilities.length_limit - count(whole, capabilities.length_counts))
    if capabilities.byte_limit is not None:
        rooms.append(capabilities.byte_limit - len(whole.encode("utf-8", "surrogatepass")))
    return min(rooms, default=None)


def fits(text: str, capabilities: Capabilities, lead: str = "") -> bool:
    """Whether the channel takes a reply of this length."""
    room = left(text, capabilities, lead)
    return room is None or room >= 0


def _countable(text: str) -> str:
    """Links as 23 characters, remote mentions without their server (Mastodon's StatusLengthValidator)."""
    return _REMOTE_MENTION.sub(r"\1", _LINK.sub(_shortened, text))


def _shortened(link: regex.Match[str]) -> str:
    kept = _without_loose_brackets(link.group())
    return "x" * MASTODON_LINK + link.group()[len(kept) :]


def _without_loose_brackets(link: str) -> str:
    """A closing bracket belongs to the sentence around the link unless the link opened it."""
    while link and link[-1] in _PAIRS and link.count(link[-1]) > link.count(_PAIRS[link[-1]]):
        link = link[:-1]
    return link
