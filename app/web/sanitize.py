"""What strangers wrote, made safe to show: text with links that we make, or HTML through an allow-list of our own.

Nothing remote is ever loaded: an image becomes a link with its alternative text. No style, class or id survives, a
link keeps only http, https and mailto, and opens elsewhere without telling where it came from.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import nh3
import regex

TAGS = frozenset(
    {"a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "div", "dl", "dt", "em", "h3", "h4", "hr", "i", "img"}
    | {"ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "small", "span", "strong", "sub", "sup", "table"}
    | {"tbody", "td", "th", "thead", "tr", "u", "ul", "bdi"}
)
GONE = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "math", "textarea", "select"})
ATTRIBUTES = {"*": {"lang", "dir"}, "a": {"href"}, "img": {"src", "alt"}, "abbr": {"title"}, "td": {"colspan"}}
SCHEMES = frozenset({"http", "https", "mailto"})
REL = "nofollow noopener noreferrer ugc"

# nh3 writes every attribute in double quotes with quotes inside escaped, so this cannot be led astray.
_IMAGE = re.compile(r'<img((?:\s+[a-z]+="[^"]*")*)\s*/?>')
_ATTRIBUTE = re.compile(r'([a-z]+)="([^"]*)"')
_LINK = regex.compile(
    r"(?<![\p{L}\p{N}_@/])https?://[^\s<>\"\p{C}]*[^\s<>\"\p{C}.,:;!?'\u2019”»…)\]}\-]", regex.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of plain text, and where it leads when it is a link."""

    text: str
    href: str | None = None
    named: bool = False  # an @ and a colleague's name


def parts(text: str) -> list[Part]:
    """Plain text cut at its links. Escape each part when drawing it."""
    found: list[Part] = []
    at = 0
    for link in _LINK.finditer(text):
        if link.start() > at:
            found.append(Part(text[at : link.start()]))
        found.append(Part(link.group(), link.group()))
        at = link.end()
    if at < len(text):
        found.append(Part(text[at:]))
    return found


def noted(text: str, names: Collection[str]) -> list[Part]:
    """A note cut at its links, and where it names colleagues by one of these names."""
    if not names:
        return parts(text)
    longest = sorted(names, key=len, reverse=True)
    named = regex.compile(rf"(?<![\w@])@(?:{'|'.join(map(regex.escape, longest))})(?![\w-])", regex.IGNORECASE)
    found: list[Part] = []
    for part in parts(text):
        at = 0
        for one in [] if part.href else named.finditer(part.text):
            found += [Part(part.text[at : one.start()]), Part(one.group(), named=True)]
            at = one.end()
        found.append(Part(part.text[at:], part.href) if at else part)
    return [part for part in found if part.text]


def clean(html: str) -> str:
    """HTML that may stand in our page, from HTML that may be anything."""
    safe = nh3.clean(
        html,
        tags=set(TAGS),
        clean_content_tags=set(GONE),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=_attribute,
        url_schemes=set(SCHEMES),
        link_rel=None,
    )
    return nh3.clean(
        _IMAGE.sub(_image_as_link, safe),
        tags=set(TAGS - {"img"}),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items() if tag != "img"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=set(SCHEMES),
        link_rel=REL,
    )


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name not in {"href", "src"}:
        return value
    trimmed = value.strip()
    if trimmed.startswith("//"):
        return f"https:{trimmed}"
    scheme, colon, _rest = trimmed.partition(":")
    return trimmed if colon and scheme.lower() in SCHEMES else None


def _image_as_link(image: re.Match[str]) -> str:
    values = dict(_ATTRIBUTE.findall(image.group(1)))
    words = values.get("alt") or "🖼"
    src = values.get("src")
    return f'<a href="{src}">{words}</a>' if src else words
