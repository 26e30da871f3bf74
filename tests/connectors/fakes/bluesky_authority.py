"""A server that signs in as AT Protocol wants it (atproto.com/specs/oauth): requests pushed beforehand, PKCE, proofs of a
key with a nonce that the server gives, an app that shows itself by a signature, tokens bound to the key, refresh tokens
that are good once.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.connectors.base import Json

LIVES = timedelta(minutes=30)  # of an access token


class No(Exception):
    """What is answered instead."""

    def __init__(self, error: str, told: str = "", *, status: int = 400, nonce: str = "") -> None:
        super().__init__(error)
        headers = {"DPoP-Nonce": nonce} if nonce else {}
        self.response = JSONResponse({"error": error, "error_description": told or error}, status, headers)


@dataclass(slots=True)
class Grant:
    key: str  # the thumbprint of the key that its tokens are bound to
    until: datetime
    client: str


class Authority:
    """Sign-in and tokens of one account."""

    def __init__(self, now: Callable[[], datetime], did: str) -> None:
        self.now = now
        self.did = did  # who signs in
        self.place = ""  # where accounts live, if not where they are asked for
        self.nonce = "nonce-1"
        self.documents: Callable[[str], Awaitable[Json]] | None = None  # fetches a client's document
        self.pushed: dict[str, dict[str, str]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.grants: dict[str, Grant] = {}  # by access token
        self.spares: dict[str, Grant] = {}  # by refresh token
        self.seen: set[str] = set()  # names of proofs and assertions
        self.refreshes = 0

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/oauth-protected-resource", self._resource),
            Route("/.well-known/oauth-authorization-server", self._metadata),
            Route("/oauth/par", self._told(self._push), methods=["POST"]),
            Route("/oauth/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/oauth/token", self._told(self._token), methods=["POST"]),
        ]

    def end(self) -> None:
        """The person withdraws what was granted."""
        self.grants.clear()
        self.spares.clear()

    def refusal(self, request: Request) -> Response | None:
        """Why a call with a token is not let in."""
        token = request.headers["authorization"].partition(" ")[2]
        grant = self.grants.get(token)
        try:
            key = self._proved(request, token)
        except No as no:
            if no.response.status_code == 400:  # a resource says it so
                no.response.status_code = 401
            return no.response
        if grant is None or grant.until <= self.now() or grant.key != key:
            return JSONResponse({"error": "invalid_token", "message": "The token is no good"}, 401)
        return None

    # -- what it tells

    async def _resource(self, request: Request) -> Response:
        base = _base(request)
        return JSONResponse({"resource": base, "authorization_servers": [base]})

    async def _metadata(self, request: Request) -> Response:
        base = _base(request)
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/oauth/authorize",
                "token_endpoint": f"{base}/oauth/token",
                "pushed_authorization_request_endpoint": f"{base}/oauth/par",
                "require_pushed_authorization_requests": True,
                "dpop_signing_alg_values_supported": ["ES256"],
                "client_id_metadata_document_supported": True,
            }
        )

    # -- what it takes

    def _told(
        self, run: Callable[[Request, dict[str, str]], Awaitable[Json]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            form = dict(parse_qsl((await request.body()).decode()))
            try:
                return JSONResponse(await run(request, form), headers={"DPoP-Nonce": self.nonce})
            except No as no:
                return no.response

        return serve

    async def _push(self, request: Request, form: dict[str, str]) -> Json:
        key = self._proved(request)
        await self._is_client(request, form)
        if form.get("code_challenge_method") != "S256" or not form.get("code_challenge"):
            raise No("invalid_request", "a challenge is needed")
        if "atproto" not in form["scope"].split():
            raise No("invalid_scope")
        name = f"urn:ietf:params:oauth:request_uri:{secrets.token_hex(8)}"
        self.pushed[name] = form | {"key": key}
        return {"request_uri": name, "expires_in": 299}

    async def _authorize(self, request: Request) -> Response:
        query = request.query_params
        asked = self.pushed.get(query.get("request_uri", ""))
        if asked is None or asked["client_id"] != query["client_id"]:
            return JSONResponse({"error": "invalid_request"}, 400)
        form = parse_qs((await request.body()).decode())
        back = {"state": asked["state"], "iss": _base(request)}
        if form.get("do") == ["deny"]:
            return RedirectResponse(asked["redirect_uri"] + "?" + urlencode({"error": "access_denied", **back}), 303)
        code = secrets.token_urlsafe(16)
        self.codes[code] = self.pushed.pop(query["request_uri"])
        return RedirectResponse(asked["redirect_uri"] + "?" + urlencode({"code": code, **back}), 303)

    async def _token(self, request: Request, form: dict[str, str]) -> Json:
        key = self._proved(request)
        await self._is_client(request, form)
        if form["grant_type"] == "refresh_token":
            old = self.spares.pop(form["refresh_token"], None)
            if old is None or old.key != key:
                self.end()
                raise No("invalid_grant", "Refresh token replayed")
            self.refreshes += 1
            return self._granted(key, form["client_id"])
        asked = self.codes.pop(form["code"], None)
        if asked is None or asked["key"] != key or asked["redirect_uri"] != form["redirect_uri"]:
            raise No("invalid_grant")
        challenge = _b64(hashlib.sha256(form["code_verifier"].encode()).digest())
        if challenge != asked["code_challenge"]:
            raise No("invalid_grant", "the verifier does not fit")
        return self._granted(key, form["client_id"])

    def _granted(self, key: str, client: str) -> Json:
        token, spare = f"secret-at-{secrets.token_hex(8)}", f"secret-rt-{secrets.token_hex(8)}"
        grant = Grant(key, self.now() + LIVES, client)
        self.grants[token], self.spares[spare] = grant, grant
        scope = "atproto transition:generic transition:chat.bsky"
        lives = int(LIVES.total_seconds())
        return {
            "access_token": token, "token_type": "DPoP", "expires_in": lives, "refresh_token": spare, "sub": self.did,
            "scope": scope,
        }  # fmt: skip

    def _proved(self, request: Request, token: str = "") -> str:
        """The thumbprint of the key that the request proves. Raises No."""
        given = request.headers.get("dpop", "")
        if not given:
            raise No("invalid_dpop_proof")
        head = jwt.get_unverified_header(given)
        assert (head["typ"], head["alg"]) == ("dpop+jwt", "ES256")
        assert "d" not in head["jwk"], "a private key was sent"
        said = jwt.decode(given, jwt.PyJWK(head["jwk"]).key, ["ES256"], options={"verify_iat": False})
        assert abs(said["iat"] - self.now().timestamp()) < 60
        assert said["htm"] == request.method
        assert said["htu"] == str(request.url).partition("?")[0]
        self._once(said["jti"])
        if token:
            assert said["ath"] == _b64(hashlib.sha256(token.encode()).digest())
        if said.get("nonce") != self.nonce:
            raise No("use_dpop_nonce", "Authorization server requires nonce in DPoP proof", nonce=self.nonce)
        return _b64(hashlib.sha256(json.dumps(head["jwk"], sort_keys=True).encode()).digest())

    async def _is_client(self, request: Request, form: dict[str, str]) -> None:
        """The app is who it says (RFC 7523), or a public one on loopback. Raises No."""
        client = form["client_id"]
        if urlsplit(client).hostname == "localhost":
            known = dict(parse_qsl(urlsplit(client).query))
            assert form.get("redirect_uri", known["redirect_uri"]) == known["redirect_uri"]
            assert "client_assertion" not in form
            return
        assert self.documents is not None
        document = await self.documents(client)
        assert document["client_id"] == client
        assert document["dpop_bound_access_tokens"] is True
        assert form.get("redirect_uri", document["redirect_uris"][0]) in document["redirect_uris"]
        keys = {one["kid"]: one for one in document["jwks"]["keys"]}
        assert all("d" not in one for one in keys.values()), "a private key was published"
        head = jwt.get_unverified_header(form["client_assertion"])
        said: dict[str, Any] = jwt.decode(
            form["client_assertion"], jwt.PyJWK(keys[head["kid"]]).key, ["ES256"], audience=_base(request),
            options={"verify_iat": False, "verify_exp": False},
        )  # fmt: skip
        assert said["iss"] == said["sub"] == client
        assert said["exp"] > self.now().timestamp()
        self._once(said["jti"])

    def _once(self, name: str) -> None:
        assert name not in self.seen, "something that is good once was used again"
        self.seen.add(name)


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
