"""Who reads before anybody has signed in: a stranger, in the language that their browser asks for."""

from babel import negotiate_locale
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.i18n import LANGUAGES, NOBODY, reader, reader_of
from app.web.security import WITHOUT_COOKIE


class Reading:
    """Sets the reader of each request from `Accept-Language`; a sign-in knows better. Programs get English."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request for its reader."""
        if scope["type"] == "http":
            asked = Headers(scope=scope).get("accept-language", "")
            program = scope["path"].startswith(WITHOUT_COOKIE)
            reader.set(NOBODY if program else reader_of(spoken(asked), "UTC"))
        await self.app(scope, receive, send)


def spoken(accept_language: str) -> str:
    """The language of ours that a browser would like best (RFC 9110, 12.5.4); English for all others."""
    wishes = []
    for place, part in enumerate(accept_language.split(",")[:20]):
        tag, _semicolon, quality = part.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), place, tag.strip()))
        except ValueError:
            continue
    liked = [tag for quality, _place, tag in sorted(wishes) if quality and tag.replace("-", "").isalnum()]
    return negotiate_locale(liked, list(LANGUAGES), sep="-") or "en"
