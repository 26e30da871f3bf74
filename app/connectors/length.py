"""How long a reply is, counted as its channel counts."""

import unicodedata

import regex

from app.connectors.base import Capabilities, Length
from app.errors import Refused
from app.i18n import N_

MASTODON_LINK = 23  # characters that any link counts: docs.joinmastodon.org/user/posting, "Links"

X_LINK = 23  # as above: github.com/twitter/twitter-text, config/v3.json, transformedURLLength
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))  # v3.json, ranges of weight 100
_EMOJI = regex.compile(r"\p{Emoji_Presentation}|\uFE0F|\u20E3|[\U0001F1E6-\U0001F1FF]|\u200D\p{Extended_Pictographic}")
_BARE = "com|org|net|edu|gov|info|biz|app|dev|shop|store|online|site|blog|cloud|news|xyz|club|live"  # common ones
_X_LINK = regex.compile(
    r"(?<![\p{L}\p{N}_@#$/.\-])(?:https?://[^\s<>\"\p{C}]*[^\s<>\"\p{C}.,:;!?'\u2019”»…\-]"
    rf"|(?:[a-z0-9][a-z0-9\-]{{0,62}}\.){{1,8}}(?:{_BARE}|[a-z]{{2}})(?![\p{{L}}\p{{N}}_@])"
    r"(?:/(?:[^\s<>\"\p{C}]*[^\s<>\"\p{C}.,:;!?'\u2019”»…\-])?)?)",
    regex.IGNORECASE,
)

_GRAPHEME = regex.compile(r"\X")
_LINK = regex.compile(r"(?<![\p{L}\p{N}_@/])https?://[^\s<>\"\p{C}]*[^\s<>\"\p{C}.,:;!?'\u2019”»…\-]", regex.IGNORECASE)
_REMOTE_MENTION = regex.compile(r"(?<![=/\w])(@\w(?:[\w.-]{0,200}\w)?)@[\w.:-]{0,250}\w")
_PAIRS = {")": "(", "]": "[", "}": "{"}


def count(text: str, rule: Length) -> int:
    """The length of `text` by this rule."""
    if rule is Length.CHARACTERS:
        return len(text)
    if rule is Length.X:
        return _weighed(text)
    if rule is Length.THREADS:
        return sum(len(one.encode()) if _EMOJI.search(one) else len(one) for one in _GRAPHEME.findall(text))
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


def refuse_long(size: int, most: int | None) -> None:
    """Raises Refused for a text that is longer than the channel takes."""
    if most is not None and size > most:
        raise Refused(N_("The reply is %(excess)s too long for this channel. Shorten it.") % {"excess": size - most})


def fits(text: str, capabilities: Capabilities, lead: str = "") -> bool:
    """Whether the channel takes a reply of this length."""
    room = left(text, capabilities, lead)
    return room is None or room >= 0


def _weighed(text: str) -> int:
    """Links as 23, each emoji as 2, light letters as 1 and all others as 2, after composing (twitter-text, v3.json)."""
    rest, links = _X_LINK.subn(_unlinked, unicodedata.normalize("NFC", text))
    heavy = sum(2 if _EMOJI.search(one) else _weight(one) for one in _GRAPHEME.findall(rest))
    return heavy + links * X_LINK


def _unlinked(link: regex.Match[str]) -> str:
    """What of the match is no link: a bracket that belongs to the sentence around it."""
    return link.group()[len(_without_loose_brackets(link.group())) :]


def _weight(grapheme: str) -> int:
    return sum(1 if any(low <= ord(c) <= high for low, high in _LIGHT) else 2 for c in grapheme)


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
