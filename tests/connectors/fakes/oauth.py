"""An authorization server as the RFCs want it: exact redirects, PKCE checked, codes once, refresh tokens that rotate.

A fake channel mounts `Grants.routes()` and asks `valid(token)`. Reusing a code or a rotated refresh token ends the whole
grant (RFC 6749, 4.1.2; RFC 9700, 4.14.2), so a connector that refreshes twice at once is found out.
"""

import base64
import hashlib
import html
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote_plus, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

FOREVER = timedelta(days=36500)


@dataclass
class Grants:
    """What one app was granted. `now` is the channel's clock."""

    client_id: str = "app-1"
    client_secret: str = "app-secret"
    redirects: set[str] = field(default_factory=set)
    lives: timedelta = timedelta(hours=2)
    rotates: bool = True
    ends: bool = True  # tokens end and are refreshed
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)  # code -> the request for consent
    used: set[str] = field(default_factory=set)  # codes and refresh tokens that were taken
    tokens: dict[str, datetime] = field(default_factory=dict)  # access token -> its end
    spares: set[str] = field(default_factory=set)  # refresh tokens that are good
    refreshes: int = 0

    def routes(self, authorize: str = "/oauth/authorize", token: str = "/oauth/token") -> list[Route]:
        """Consent and token endpoint, to be mounted."""
        return [
            Route(authorize, self._authorize, methods=["GET", "POST"]),
            Route(token, self._token, methods=["POST"]),
        ]

    def consent(self, query: dict[str, str]) -> str:
        """The person agrees: where the browser is sent, with a code."""
        assert query["client_id"] == self.client_id
        assert query["redirect_uri"] in self.redirects, "the redirect address is not exactly the registered one"
        assert query["response_type"] == "code"
        code = secrets.token_urlsafe(16)
        self.asked[code] = query
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})

    def grant(self) -> dict[str, object]:
        """A token answer (RFC 6749, 5.1)."""
        access, spare = f"at-{secrets.token_hex(8)}", f"rt-{secrets.token_hex(8)}"
        self.tokens[access] = self.now() + (self.lives if self.ends else FOREVER)
        if not self.ends:
            return {"access_token": access, "token_type": "Bearer"}
        self.spares.add(spare)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(self.lives.total_seconds()),
            "refresh_token": spare,
        }

    def valid(self, token: str) -> bool:
        """Whether the channel lets this access token in."""
        return self.tokens.get(token, self.now()) > self.now()

    def end(self) -> None:
        """The person withdraws what was granted."""
        self.tokens.clear()
        self.spares.clear()

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        if request.method == "POST":
            form = parse_qs((await request.body()).decode())
            if form.get("do") == ["deny"]:
                denied = {"error": "access_denied", "state": query["state"]}
                return RedirectResponse(query["redirect_uri"] + "?" + urlencode(denied), 303)
            return RedirectResponse(self.consent(query), 303)
        scopes = html.escape(query.get("scope", ""))
        return HTMLResponse(
            f"<title>Consent</title><form method=post><p>Careline asks for: {scopes}</p>"
            "<button name=do value=allow>Allow</button><button name=do value=deny>Deny</button></form>"
        )

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if not self._is_client(request, form):
            return _error("invalid_client", 401)
        if form.get("grant_type") == "authorization_code":
            return self._by_code(form)
        if form.get("grant_type") == "refresh_token":
            return self._by_spare(form["refresh_token"])
        return _error("unsupported_grant_type")

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        given = form.get("client_id", ""), form.get("client_secret", "")
        header = request.headers.get("authorization", "")
        if header.startswith("Basic "):
            name, _, secret = base64.b64decode(header[6:]).decode().partition(":")
            given = unquote_plus(name), unquote_plus(secret)
        return given == (self.client_id, self.client_secret)

    def _by_code(self, form: dict[str, str]) -> Response:
        query = self.asked.get(form["code"])
        if query is None or form["code"] in self.used:
            self.end()
            return _error("invalid_grant")
        self.used.add(form["code"])
        if form.get("redirect_uri") != query["redirect_uri"]:
            return _error("invalid_grant")
        if "code_challenge" in query and _s256(form.get("code_verifier", "")) != query["code_challenge"]:
            return _error("invalid_grant")
        return JSONResponse({**self.grant(), "scope": query.get("scope", "")})

    def _by_spare(self, spare: str) -> Response:
        if spare in self.used or spare not in self.spares:
            self.end()
            return _error("invalid_grant")
        self.refreshes += 1
        answer = self.grant()
        if self.rotates:
            self.used.add(spare)
            self.spares.discard(spare)
        else:
            self.spares.discard(str(answer.pop("refresh_token")))
        return JSONResponse(answer)


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _error(code: str, status: int = 400) -> Response:
    return JSONResponse({"error": code, "error_description": f"The server says {code}."}, status)
