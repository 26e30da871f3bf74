"""Meta's Graph API with one Page, its Instagram account and its WhatsApp number, on one server.

Pages by cursors, errors in their envelope (code, subcode, fbtrace_id), usage headers, tokens with appsecret_proof,
deliveries that batch several entries. From the Graph API's documentation and Meta's own specification, not our code.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors.base import IncomingAuthor
from app.connectors.testing.fake import Delivery, FakeChannel

PAGE, PAGE_NAME = "1001", "Northwind"
IG, IG_NAME = "17841400000000001", "northwindgear"
APP, SECRET = "4004", "app-secret-not-shown"
TOKEN = "page-secret-token"
USER_TOKEN = "user-secret-token"
VERIFY = "words we made up"
MINUTES = 19  # until Meta lets us in again

Entry = dict[str, Any]


def graph_time(at: datetime) -> str:
    """A time as the Graph API writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S+0000")


class GraphError(Exception):
    """An answer in Meta's envelope."""

    def __init__(self, code: int, sub: int | None, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.sub, self.message, self.status = code, sub, message, status

    @property
    def body(self) -> Entry:
        error = {"message": self.message, "type": "OAuthException", "code": self.code, "fbtrace_id": "AbCdEf123"}
        return {"error": error | ({} if self.sub is None else {"error_subcode": self.sub})}


def gone(name: str) -> GraphError:
    """What Meta says of an object that is not there."""
    return GraphError(
        100, 33, f"Unsupported request. Object with ID '{name}' does not exist, cannot be loaded due to missing permissions"
    )  # fmt: skip


class FakeGraph(FakeChannel):
    """The server. A channel's variant says which edges it has (`answer_get`, `answer_post`) and what arrives."""

    rate_wait: timedelta = timedelta(minutes=MINUTES)
    shows_direct: bool = False
    cannot: frozenset[str] = frozenset({"dated"})
    object: ClassVar[str] = "page"
    used: int = 3  # per cent of the limits

    def __init__(self) -> None:
        super().__init__()
        self.things: dict[str, Entry] = {}  # by id, in the order of their making
        self.made = 0
        self.tokens = {TOKEN, USER_TOKEN, f"{APP}|{SECRET}"}
        self.subscribed = ""

    @property
    def app(self) -> ASGIApp:
        return Starlette(routes=[Route("/{version}/{path:path}", self.serve, methods=["GET", "POST", "DELETE"])])

    def account(self) -> IncomingAuthor | None:
        return IncomingAuthor(PAGE, PAGE_NAME, PAGE_NAME)

    async def serve(self, request: Request) -> Response:
        try:
            self.require_token(request)
            found = await self.answer(request, request.path_params["path"])
            return self.json(found)
        except GraphError as error:
            return self.json(error.body, error.status)

    def json(self, value: Any, status: int = 200) -> Response:
        usage = {"call_count": self.used, "total_cputime": 1, "total_time": 2}
        return Response(
            json.dumps(value), status, {"X-App-Usage": json.dumps(usage)}, "application/json; charset=UTF-8"
        )

    def require_token(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise GraphError(190, 463, "Error validating access token: Session has expired.", 401)
        expected = hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
        if request.query_params.get("appsecret_proof") != expected:
            raise GraphError(100, None, "Invalid appsecret_proof provided in the API argument")

    async def answer(self, request: Request, path: str) -> Any:
        if request.method == "GET":
            return self.answer_get(path, dict(request.query_params))
        if request.method == "DELETE":
            self.thing(path)
            del self.things[path]
            return {"success": True}
        kind = request.headers.get("content-type", "")
        if kind.startswith("application/json"):
            return self.answer_post(path, json.loads(await request.body()), {})
        if kind.startswith("application/x-www-form-urlencoded"):
            form = parse_qs((await request.body()).decode())
            return self.answer_post(path, {key: values[0] for key, values in form.items()}, {})
        async with request.form() as parts:
            fields = {key: value for key, value in parts.items() if isinstance(value, str)}
            files = {key: await value.read() for key, value in parts.items() if not isinstance(value, str)}
            return self.answer_post(path, fields, files)

    def answer_get(self, path: str, query: dict[str, str]) -> Any:
        """What a GET gives. A channel's world knows its own edges and leaves the rest to this one."""
        if path in {PAGE, "me/accounts"}:
            page = {
                "id": PAGE,
                "name": PAGE_NAME,
                "access_token": TOKEN,
                "instagram_business_account": {"id": IG, "username": IG_NAME},
            }
            return page if path == PAGE else self.page([page], query, lambda one: (one["id"],))
        if path == "debug_token":
            end = int((self.now + timedelta(days=90)).timestamp())
            return {"data": {"expires_at": 0, "data_access_expires_at": end, "is_valid": True}}
        return self.shown(self.thing(path))

    def answer_post(self, path: str, body: Entry, files: dict[str, bytes]) -> Any:
        """What a POST does."""
        if path == "oauth/access_token":
            return {"access_token": USER_TOKEN, "token_type": "bearer", "expires_in": 5_184_000}
        if path == f"{PAGE}/subscribed_apps":
            self.subscribed = body["subscribed_fields"]
            return {"success": True}
        raise gone(path)

    def thing(self, name: str) -> Entry:
        found = self.things.get(name)
        if found is None or found.get("broken"):
            raise gone(name)
        return found

    def shown(self, thing: Entry) -> Entry:
        """An object as it is answered: what begins with an underscore is ours."""
        return {key: value for key, value in thing.items() if not key.startswith("_")}

    def listed(self, kind: str, **where: Any) -> list[Entry]:
        """The objects of a kind, oldest first."""
        return [
            one for one in self.things.values()
            if one["_kind"] == kind and all(one.get(f"_{name}") == value for name, value in where.items())
        ]  # fmt: skip

    def page(
        self, entries: list[Entry], query: dict[str, str], key: Callable[[Entry], tuple[Any, ...]], *, up: bool = False
    ) -> Entry:
        """A page of an edge, ordered by `key`: newest first, or oldest first."""
        ordered = sorted(entries, key=key, reverse=not up)
        if after := query.get("after"):
            last = tuple(json.loads(base64.b64decode(after)))
            ordered = [one for one in ordered if (key(one) > last if up else key(one) < last)]
        size = min(int(query.get("limit", 25)), self.page_size)
        shown, rest = ordered[:size], ordered[size:]
        answer: Entry = {"data": [self.shown(one) for one in shown]}
        if shown:
            cursor = base64.b64encode(json.dumps(key(shown[-1])).encode()).decode()
            answer["paging"] = {"cursors": {"before": "x", "after": cursor}}
            if rest:
                answer["paging"]["next"] = "https://graph.facebook.com/next?access_token=elided"
        return answer

    def new(self, prefix: str = "") -> str:
        """An id nobody has."""
        self.made += 1
        return f"{prefix}{9000 + self.made}"

    def is_send(self, request: httpx.Request) -> bool:
        return request.method == "DELETE" or (
            request.method == "POST" and request.url.path.endswith(("/comments", "/messages", "/replies", "/mentions"))
        )

    def limited(self) -> httpx.Response:
        limit = {"type": "pages", "call_count": 100, "total_cputime": 25, "total_time": 25}
        headers = {
            "X-Business-Use-Case-Usage": json.dumps({APP: [limit | {"estimated_time_to_regain_access": MINUTES}]})
        }
        body = GraphError(80001, 2446079, "(#80001) There have been too many calls to this Page account.").body
        return httpx.Response(400, json=body, headers=headers)

    def expired(self) -> httpx.Response:
        message = "Error validating access token: Session has expired on Monday, 02-Nov-26 01:00:00 PST."
        return httpx.Response(401, json=GraphError(190, 463, message).body)

    # -- deliveries

    def signed(self, body: bytes) -> Delivery:
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return Delivery({"content-type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}, body)

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        """Each thing in an entry of its own, as Meta batches them, beside an entry for somebody else."""
        told = [self.entry(self.told(text)) for text in texts]
        unread = [self.entry(self.told_broken()) for _ in range(broken)]
        other = {"id": "555", "time": int(self.now.timestamp()), "changes": []}
        return self.signed(json.dumps({"object": self.object, "entry": [*told, other, *unread]}).encode())

    def entry(self, told: Entry) -> Entry:
        """One entry of a delivery."""
        return {"id": self.owner, "time": int(self.now.timestamp()), **told}

    owner: ClassVar[str] = PAGE

    def told(self, text: str) -> Entry:
        """What a delivery says of something that arrives with this text."""
        raise NotImplementedError

    def told_broken(self) -> Entry:
        """What a delivery says that nobody can read."""
        raise NotImplementedError
