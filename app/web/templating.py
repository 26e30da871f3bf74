"""Templates: one environment, strict about what is missing, with the words and the static addresses in it.

`render` draws the whole page, or, for a request by htmx, only what stands inside `#page`: both come from the same
template, whose layout is `base.html`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app import i18n
from app.listening import quoted
from app.queries.person import masked
from app.web import keys, sanitize, words
from app.web.assets import BUILD, static_url

TEMPLATES = Path(__file__).parents[2] / "templates"
# symbols `ch-*` in static/icons.svg
CHANNEL_MARKS = frozenset(
    {"mastodon", "bluesky", "x", "facebook", "instagram", "youtube"}
    | {"reddit", "rss", "forum", "email", "code", "webhook"}
)
MARK_OF = {
    "discourse": "forum",
    "demo": "forum",
    "telegram": "forum",
    "whatsapp": "forum",
    "form": "email",
    "threads": "forum",
}


def channel_mark(channel: str) -> str:
    """The symbol of a channel in static/icons.svg."""
    mark = MARK_OF.get(channel, channel)
    return f"ch-{mark if mark in CHANNEL_MARKS else 'code'}"


def tone(seed: int | None) -> int:
    """Which of the six avatar tones belongs to an id; the same everywhere."""
    return (seed or 0) % 6 + 1


def initials(name: str) -> str:
    """At most two letters for an avatar."""
    words = [word for word in name.replace("@", " ").split() if word[0].isalnum()]
    return ("".join(word[0] for word in words[:1] + words[1:][-1:]) or "?").upper()


def cleaned(html: str) -> Markup:
    """Sanitised HTML, marked as such: the only place where markup from outside is believed."""
    return Markup(sanitize.clean(html))  # noqa: S704 - that is what the sanitiser is for


MAILS = frozenset({"email"})  # channels whose posts quote what they answer


def unquoted(text: str, channel: str) -> tuple[str, str]:
    """What a post says itself, and what it quotes or is signed with, to be folded."""
    return quoted.split(text) if channel in MAILS else (text, "")


def environment() -> Environment:
    """The one environment: autoescaping everywhere, an unknown name is an error."""
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    jinja.install_gettext_callables(  # type: ignore[attr-defined]
        i18n._, i18n.ngettext, newstyle=True, pgettext=i18n.pgettext, npgettext=i18n.npgettext
    )
    jinja.filters.update(clock=i18n.clock, number=i18n.number, ago=i18n.ago, moment=i18n.moment, full=i18n.full)
    jinja.filters.update(
        language_name=i18n.language_name, retold=i18n.retold, channel_title=words.channel_title, initials=initials
    )
    jinja.globals.update(static=static_url, build=BUILD, channel_mark=channel_mark, tone=tone)
    jinja.globals.update(key_table=keys.table, key_of=keys.key_of, key_label=keys.label)
    jinja.globals.update(is_own_language=i18n.is_own_language)
    jinja.filters.update(direction_of=i18n.direction_of)
    jinja.globals.update(kbd=keys.kbd, with_key=keys.with_key)
    jinja.filters.update(masked=masked)
    jinja.filters.update(parts=sanitize.parts, noted=sanitize.noted, clean=cleaned, unquoted=unquoted)
    jinja.filters["reason_code"] = words.reason_code
    return jinja


JINJA = environment()


def wants_fragment(request: Request) -> bool:
    """Whether htmx asks for the inside of `#page` only."""
    return request.headers.get("hx-request") == "true" and "hx-history-restore-request" not in request.headers


def draw(request: Request, template: str, context: Mapping[str, Any]) -> str:
    """Draw a template with what every page needs: the visitor, the nonce, the time, the company's name."""
    visitor = getattr(request.state, "visitor", None)
    who = i18n.reader.get()
    everywhere = {
        "request": request,
        "visitor": visitor,
        "agent": visitor.agent if visitor else None,
        "csrf": visitor.csrf if visitor else "",
        "unread": visitor.unread if visitor else 0,
        "nonce": request.state.nonce,
        "path": request.url.path,
        "fragment": wants_fragment(request),
        "company": request.app.state.settings.company,
        "lang": who.language,
        "dir": who.direction,
        "clock_words": (i18n._(i18n.HOURS), i18n._(i18n.DAYS)),
        "now": datetime.now(UTC),
        "live": False,
    }
    return JINJA.get_template(template).render({**everywhere, **context})


def render(
    request: Request,
    template: str,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """Answer with a page, or with its inside when htmx asks. Pages hold people's words: never cached."""
    kept = {"Cache-Control": "no-store", "Vary": "HX-Request", **(headers or {})}
    return HTMLResponse(draw(request, template, context), status_code=status, headers=kept)
