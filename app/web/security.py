"""What protects every answer: headers, the origin check, and the method that a plain form cannot send."""

import re
import secrets
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Forbidden
from app.i18n import _

UPLOAD = re.compile(r"/items/\d+/attachments")
IMPORT = re.compile(r"/admin/feeds/\d+/imports")
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
WITHOUT_COOKIE = ("/api/", "/hooks/")  # programs: they bring a token or a signature, never the cookie
OVERRIDES = frozenset({"PUT", "DELETE"})
COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def policy(nonce: str) -> str:
    """The content security policy of a page. No inline script or style; images only from us (see `media.py`)."""
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


class Security:
    """Puts a nonce into `request.state.nonce` and the headers on every answer that has not set its own."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        """`secure`: browsers reach us over TLS, so they may be told to stay with it."""
        self.app = app
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request inside the protection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(18)
        scope.setdefault("state", {})["nonce"] = nonce

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                frames = "frame-ancestors" in headers.get(
                    "Content-Security-Policy", ""
                )  # it says itself who may frame it
                headers.setdefault("Content-Security-Policy", policy(nonce))
                for name, value in COMMON.items():
                    if not (frames and name == "X-Frame-Options"):
                        headers.setdefault(name, value)
                if self.secure:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        await self.app(scope, receive, protected)


class BodyLimit:
    """Reads no more of a body than it may have; what goes beyond is a 413, told in words by the error pages."""

    def __init__(self, app: ASGIApp, *, most: int, uploads: int, imports: int) -> None:
        """`most` is in bytes; `uploads` is for bodies with pictures, `imports` for those with a file to import."""
        self.app = app
        self.most = most
        self.larger = ((UPLOAD, uploads), (IMPORT, imports))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count while the body streams in."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = next((most for path, most in self.larger if path.fullmatch(scope["path"])), self.most)
        declared = dict(scope["headers"]).get(b"content-length", b"")
        too_large = declared.isdigit() and int(declared) > most
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            if too_large:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await self.app(scope, counted, send)


class MethodOverride:
    """Lets a plain form say `POST /items/7/assignment?_method=DELETE`."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Change the method of a POST that asks for it."""
        if scope["type"] == "http" and scope["method"] == "POST" and b"_method=" in scope["query_string"]:
            asked = parse_qs(scope["query_string"].decode("latin-1")).get("_method", [""])[0].upper()
            if asked in OVERRIDES:
                scope = {**scope, "method": asked}
        await self.app(scope, receive, send)


def from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site sent this request (`Sec-Fetch-Site`, else `Origin`)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return False
    own = {request.headers.get("host", ""), urlsplit(request.app.state.settings.base_url).netloc}
    return urlsplit(origin).netloc not in own


async def same_origin(request: Request) -> None:
    """Refuse a change that another site asks a signed-in browser to make.

    Raises:
        Forbidden: the request comes from another site.
    """
    if request.method in SAFE or request.url.path.startswith(WITHOUT_COOKIE):
        return
    if from_elsewhere(request):
        raise Forbidden(
            _("This request came from another site, so nothing was changed. Use the page in Careline itself.")
        )


async def token_matches(request: Request, expected: str) -> bool:
    """Whether the request carries the sign-in's own token, in the `X-CSRF` header or the `csrf` field."""
    given = request.headers.get("x-csrf")
    if given is None:
        kind = request.headers.get("content-type", "")
        if not kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
            return False
        given = str((await request.form()).get("csrf", ""))
    return secrets.compare_digest(given.encode(), expected.encode())
