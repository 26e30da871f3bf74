"""A Bluesky network: one server with its accounts, repositories and app view, as far as the connector can see it.

Answers, error names, status codes and rate-limit headers are those of the real software (compared with a network of
`@atproto/dev-env` in `test_bluesky_network.py`). Lists are newest first, with opaque cursors, ordered by the time that
the author claims where that lies before the time of indexing.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import regex
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, Json, Visibility
from app.connectors.bluesky_account import BlueskyCredentials
from app.connectors.bluesky_lists import BlueskySettings, Source
from app.connectors.testing import Gives
from app.connectors.testing.fake import FakeChannel, Standing
from tests.connectors.fakes.bluesky_authority import Authority
from tests.connectors.fakes.bluesky_chat import PRIVILEGED, Chat, ChatFailure

SERVICE = "https://bsky.example"
POST = "app.bsky.feed.post"
PASSWORD = "secret-abcd-efgh-ijkl"
OURS = "northwind.bsky.example"
CHAT = "did:web:api.bsky.chat#bsky_chat"
LIFE = timedelta(hours=2)  # of an access token
POINTS = 5000  # an hour, for writes


@dataclass(slots=True)
class Record:
    uri: str
    cid: str
    by: str
    value: Json
    indexed_at: datetime

    @property
    def sort_at(self) -> datetime:
        """What lists are ordered by."""
        try:
            claimed = datetime.fromisoformat(str(self.value.get("createdAt"))).astimezone(UTC)
        except (ValueError, OverflowError):
            return self.indexed_at
        return min(claimed, self.indexed_at)


@dataclass(slots=True)
class Session:
    refresh: str
    until: datetime
    revoked: bool = False


@dataclass(slots=True)
class Passed:
    """A repost."""

    record: Record
    by: str
    at: datetime


class XrpcFailure(Exception):
    """What the server answers instead."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.response = (status, {"error": error, "message": message})


def did_of(name: str) -> str:
    """An identity as the directory makes it."""
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()
    return f"did:plc:{digest[:24]}"


def cid_of(value: Json) -> str:
    """The same content has the same address, whatever the order of its keys."""
    canonical = json.dumps(value, sort_keys=True).encode()
    return "bafyrei" + base64.b32encode(hashlib.sha256(canonical).digest()).decode().lower().rstrip("=")


def stamp(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class FakeBluesky(FakeChannel):
    """Our account is northwind; strangers are made as they write."""

    connector: ClassVar[Connector] = registry.get("bluesky")
    source: ClassVar[Source] = Source.NOTIFICATIONS
    page_size = 100
    shows_direct = False

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, Record] = {}
        self.reposts: list[Passed] = []
        self.sessions: dict[str, Session] = {}  # by access token
        self.password = PASSWORD
        self.may_chat = True  # whether the app password was made with access to messages
        self.known_as = ""  # another handle than accounts themselves claim
        self.authority = Authority(lambda: self.now, did_of("northwind"))
        self.chat = Chat(did_of("northwind"), lambda: self.now, self._profile)
        self.blocked_by: set[str] = set()  # DIDs
        self.closed: set[str] = set()  # URIs of threads without replies
        self.unquotable: set[str] = set()  # URIs of posts whose authors do not want them quoted
        self.labels: dict[str, list[Json]] = {}  # of moderation, by URI or DID
        self.unheard: set[str] = set()  # URIs of posts that the app view has not heard of yet
        self.has_search = True
        self.filters = True  # whether the server does something with `reasons` and `lang`
        self.cursor_epoch = 0  # grows when the server forgets its cursors
        self.writes = 0  # commits to our repository
        self.points = POINTS
        self.blobs: dict[str, bytes] = {}  # by their address
        self.signed_in = 0
        self.names: dict[str, str] = {did_of("northwind"): "Northwind Outfitters"}
        self._numbers = 0
        self._tokens = 0

    # -- how to reach it

    @property
    def app(self) -> ASGIApp:
        serve = Route("/xrpc/{method}", self.serve, methods=["GET", "POST"])
        return Starlette(routes=[serve, *self.authority.routes(), Route("/{did}", self._directory)])

    async def _directory(self, request: Request) -> Response:
        """The documents of accounts; all of them live where they are asked for, but for those that the authority knows."""
        did = request.path_params["did"]
        if did not in self.names:
            return answer(404, {"message": f"DID not registered: {did}"})
        handle = OURS if did == did_of("northwind") else handle_of(self.names[did])
        place = self.authority.place or str(request.base_url).rstrip("/")
        service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": place}
        return answer(200, {"id": did, "alsoKnownAs": [f"at://{self.known_as or handle}"], "service": [service]})

    def settings(self) -> BlueskySettings:
        value = {Source.AUTHOR: handle_of("ada"), Source.SEARCH: "north"}.get(self.source, "")
        return BlueskySettings(source=self.source, value=value)

    def credentials(self) -> BlueskyCredentials:
        return BlueskyCredentials(service=SERVICE, identifier=OURS, app_password=SecretStr(PASSWORD))

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(external_id=did_of("northwind"), handle=OURS, name="Northwind Outfitters")

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.post(f"@{OURS} {text}", by=by, under=under, mentions=True)

    def post(self, text: str, *, by: str = "ada", under: str | None = None, mentions: bool = False, **more: Any) -> str:
        """Any post, with any further fields of its record."""
        self._numbers += 1
        now = self.tick()
        value: Json = {"$type": POST, "text": text, "createdAt": stamp(now), "langs": ["en"]}
        if under is not None:
            value["reply"] = {"root": self._root(under), "parent": self._ref(under)}
        if mentions:
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": did_of("northwind")}
            value["facets"] = [{"index": {"byteStart": 0, "byteEnd": len(OURS) + 1}, "features": [feature]}]
        value |= more
        uri = f"at://{did_of(by)}/{POST}/3lbk{self._numbers:09d}"
        self.names.setdefault(did_of(by), by)
        self.records[uri] = Record(uri, cid_of(value), by, value, now)
        return uri

    def aside(self, text: str, *, by: str = "bob", under: str | None = None) -> str:
        return self.post(text, by=by, under=under)

    def arrive_broken(self) -> None:
        uri = self.post("", mentions=True)
        self.records[uri].value["text"] = ["not", "text"]

    def arrive_own(self, text: str) -> str:
        return self.post(text, by="northwind")

    def rename(self, by: str) -> None:
        self.names[did_of(by)] = f"{by}-anew"

    def repost(self, uri: str, by: str) -> None:
        self.reposts.append(Passed(self.records[uri], by, self.tick()))

    def remove(self, external_id: str) -> None:
        del self.records[external_id]

    def rewrite(self, external_id: str, text: str) -> None:
        """Somebody puts the record anew with a tool of their own; its place in lists stays."""
        self.tick()
        record = self.records[external_id]
        record.value = record.value | {"text": text}
        record.cid = cid_of(record.value)

    def ledger(self) -> list[Standing]:
        ours = [r for r in self.records.values() if r.by == "northwind" and "reply" in r.value]
        return [
            Standing(r.uri, r.value["text"], r.value["reply"]["parent"]["uri"], pictures=self._pictures(r.value))
            for r in ours
        ]

    def _pictures(self, value: Json) -> tuple[tuple[str, bytes], ...]:
        images = _images(value)
        return tuple((image["alt"], self.blobs[image["image"]["ref"]["$link"]]) for image in images)

    def is_send(self, request: httpx.Request) -> bool:
        writes = {"com.atproto.repo.putRecord", "com.atproto.repo.deleteRecord", "chat.bsky.convo.sendMessage"}
        return request.url.path.removeprefix("/xrpc/") in writes

    def revoke(self) -> None:
        """A person deletes the app password: its refresh tokens die, its access tokens live until they run out."""
        self.password = "another"
        for session in self.sessions.values():
            session.revoked = True

    def _ref(self, uri: str) -> Json:
        return {"uri": uri, "cid": self.records[uri].cid}

    def _root(self, uri: str) -> Json:
        reply = self.records[uri].value.get("reply")
        return dict(reply["root"]) if reply else self._ref(uri)

    # -- its ways to say no

    def limited(self) -> httpx.Response:
        resets = self.now + self.rate_wait
        headers = {
            "ratelimit-limit": "3000",
            "ratelimit-remaining": "0",
            "ratelimit-reset": str(int(resets.timestamp())),
            "ratelimit-policy": "3000;w=300",
        }
        body = {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}
        return httpx.Response(429, json=body, headers=headers)

    def expired(self) -> httpx.Response:
        return httpx.Response(400, json={"error": "ExpiredToken", "message": "Token has expired"})

    # -- the surface

    async def serve(self, request: Request) -> Response:
        method: str = request.path_params["method"]
        known: dict[str, Callable[[Request, Json], Json]] = {
            "com.atproto.server.createSession": self._create_session,
            "com.atproto.server.refreshSession": self._refresh_session,
            "com.atproto.repo.putRecord": self._put_record,
            "com.atproto.repo.getRecord": self._get_record,
            "com.atproto.repo.deleteRecord": self._delete_record,
            "com.atproto.repo.uploadBlob": lambda _request, _body: {},
            "com.atproto.identity.resolveHandle": self._resolve_handle,
            "app.bsky.actor.getProfile": self._get_profile,
            "app.bsky.notification.listNotifications": self._list_notifications,
            "app.bsky.feed.getAuthorFeed": self._get_author_feed,
            "app.bsky.feed.searchPosts": self._search_posts,
            "app.bsky.feed.getPosts": self._get_posts,
            "app.bsky.feed.getPostThread": self._get_post_thread,
        }
        if method.startswith("chat.bsky.convo."):
            known[method] = lambda request, body: self._chat(request, method.rpartition(".")[2], body)
        if request.headers.get("authorization", "").startswith("DPoP ") and (no := self.authority.refusal(request)):
            return no
        if method not in known or (method.endswith("searchPosts") and not self.has_search):
            return answer(501, {"error": "MethodNotImplemented", "message": "Method Not Implemented"})
        raw = await request.body()
        try:
            if method == "com.atproto.repo.uploadBlob":
                return answer(200, self._upload(request, raw))
            return answer(200, known[method](request, json.loads(raw) if raw else {}), self._headers(method))
        except XrpcFailure as failure:
            return answer(*failure.response)

    def _headers(self, method: str) -> Mapping[str, str]:
        if not method.endswith("putRecord"):
            return {}
        hour = self.now.replace(minute=0, second=0) + timedelta(hours=1)
        return {
            "RateLimit-Limit": str(POINTS),
            "RateLimit-Remaining": str(self.points),
            "RateLimit-Reset": str(int(hour.timestamp())),
            "RateLimit-Policy": f"{POINTS};w=3600",
        }

    def _chat(self, request: Request, method: str, body: Json) -> Json:
        """What a server passes on to the chat service, and what it does not."""
        self._require_session(request)
        if request.headers.get("atproto-proxy") != CHAT:
            raise XrpcFailure(404, "XRPCNotSupported", "XRPCNotSupported")
        if method in PRIVILEGED and not self.may_chat:
            raise XrpcFailure(400, "InvalidToken", "Bad token method")
        try:
            return self.chat.serve(method, request.query_params, body)
        except ChatFailure as failure:
            raise XrpcFailure(400, failure.error, str(failure)) from failure

    # sessions

    def _create_session(self, request: Request, body: Json) -> Json:
        if body["identifier"] not in {OURS, did_of("northwind")} or body["password"] != self.password:
            raise XrpcFailure(401, "AuthenticationRequired", "Invalid identifier or password")
        self.signed_in += 1
        return self._new_session()

    def _refresh_session(self, request: Request, body: Json) -> Json:
        token = self._token(request)
        session = next((s for s in self.sessions.values() if s.refresh == token), None)
        if session is None:
            raise XrpcFailure(400, "InvalidToken", "Token could not be verified")
        if session.revoked:
            raise XrpcFailure(400, "ExpiredToken", "Token has been revoked")
        return self._new_session()

    def _new_session(self) -> Json:
        self._tokens += 1
        access, refresh = f"access-secret-{self._tokens}", f"refresh-secret-{self._tokens}"
        self.sessions[access] = Session(refresh, self.now + LIFE)
        return {"accessJwt": access, "refreshJwt": refresh, "did": did_of("northwind"), "handle": OURS, "active": True}

    def _token(self, request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise XrpcFailure(401, "AuthMissing", "Authentication Required")
        return token

    def _require_session(self, request: Request) -> None:
        if request.headers.get("authorization", "").startswith("DPoP "):
            return  # looked at before
        session = self.sessions.get(self._token(request))
        if session is None:
            raise XrpcFailure(400, "InvalidToken", "Token could not be verified")
        if self.now >= session.until:
            raise XrpcFailure(400, "ExpiredToken", "Token has expired")

    # our repository

    def _put_record(self, request: Request, body: Json) -> Json:
        self._require_session(request)
        if body["repo"] != did_of("northwind"):
            raise XrpcFailure(401, "AuthenticationRequired", "Authentication Required")
        value, uri = body["record"], f"at://{body['repo']}/{body['collection']}/{body['rkey']}"
        _validate(value, body["rkey"])
        standing, cid = self.records.get(uri), cid_of(value)
        if standing is not None and standing.cid == cid:
            return {"uri": uri, "cid": cid, "validationStatus": "valid"}
        if standing is not None and "swapRecord" in body and body["swapRecord"] != standing.cid:
            raise XrpcFailure(400, "InvalidSwap", f"Record was at {standing.cid}")
        for image in _images(value):
            if image["image"]["ref"]["$link"] not in self.blobs:
                raise XrpcFailure(400, "BlobNotFound", "Could not find blob")
        self.writes += 1
        self.points -= 2
        self.records[uri] = Record(uri, cid, "northwind", value, self.now)
        return {"uri": uri, "cid": cid, "commit": {"cid": cid_of({"n": self.writes})}, "validationStatus": "valid"}

    def _delete_record(self, request: Request, body: Json) -> Json:
        """Ensures that there is no such record: nothing is committed when there was none."""
        self._require_session(request)
        if body["repo"] != did_of("northwind"):
            raise XrpcFailure(401, "AuthenticationRequired", "Authentication Required")
        gone = self.records.pop(f"at://{body['repo']}/{body['collection']}/{body['rkey']}", None)
        if gone is None:
            return {}
        self.writes += 1
        self.points -= 1
        return {"commit": {"cid": cid_of({"n": self.writes})}}

    def _upload(self, request: Request, content: bytes) -> Json:
        self._require_session(request)
        digest = hashlib.sha256(content).digest()
        link = "b" + base64.b32encode(bytes((1, 0x55, 0x12, 32)) + digest).decode().lower().rstrip("=")
        self.blobs[link] = content
        kind = request.headers["content-type"]
        return {"blob": {"$type": "blob", "ref": {"$link": link}, "mimeType": kind, "size": len(content)}}

    def _get_record(self, request: Request, body: Json) -> Json:
        asked = request.query_params
        uri = f"at://{asked['repo']}/{asked['collection']}/{asked['rkey']}"
        record = self.records.get(uri)
        if record is None:
            raise XrpcFailure(400, "RecordNotFound", f"Could not locate record: {uri}")
        return {"uri": uri, "cid": record.cid, "value": record.value}

    def _resolve_handle(self, request: Request, body: Json) -> Json:
        handle = request.query_params["handle"]
        found = [did for did, name in self.names.items() if handle_of(name) == handle]
        if handle != OURS and not found:
            raise XrpcFailure(400, "InvalidRequest", "Unable to resolve handle")
        return {"did": did_of("northwind") if handle == OURS else found[0]}

    # the app view

    def _get_profile(self, request: Request, body: Json) -> Json:
        self._require_session(request)
        did = request.query_params["actor"]
        if did not in self.names:
            raise XrpcFailure(400, "InvalidRequest", "Profile not found")
        return {**self._profile(did), "followersCount": 12, "followsCount": 3, "postsCount": 4}

    def _profile(self, did: str) -> Json:
        handle = OURS if did == did_of("northwind") else handle_of(self.names[did])
        viewer = {"muted": False, "blockedBy": did in self.blocked_by}
        labels = self.labels.get(did, [])
        return {
            "did": did,
            "handle": handle,
            "displayName": self.names[did].title(),
            "viewer": viewer,
            "labels": labels,
        }

    def _view(self, record: Record) -> Json:
        view = {
            "uri": record.uri,
            "cid": record.cid,
            "author": self._profile(did_of(record.by)),
            "record": record.value,
            "replyCount": 0,
            "repostCount": 0,
            "likeCount": 0,
            "indexedAt": stamp(record.sort_at),
            "viewer": {"replyDisabled": record.uri in self.closed, "embeddingDisabled": record.uri in self.unquotable},
            "labels": [*self.labels.get(record.uri, ()), *_self_labels(record)],
        }
        if "embed" in record.value:
            view["embed"] = self._embed_view(record)
        return view

    def _embed_view(self, record: Record) -> Json:
        embed = record.value["embed"]
        kind = embed["$type"]
        if kind == "app.bsky.embed.images":
            cdn = f"https://cdn.bsky.example/img/{{}}/plain/{did_of(record.by)}"
            images = [
                {
                    "thumb": f"{cdn.format('feed_thumbnail')}/{image['image']['ref']['$link']}@jpeg",
                    "fullsize": f"{cdn.format('feed_fullsize')}/{image['image']['ref']['$link']}@jpeg",
                    "alt": image["alt"],
                }
                for image in embed["images"]
            ]
            return {"$type": f"{kind}#view", "images": images}
        if kind == "app.bsky.embed.record":
            quoted = self.records.get(embed["record"]["uri"])
            if quoted is None:
                gone = {"$type": f"{kind}#viewNotFound", "uri": embed["record"]["uri"], "notFound": True}
                return {"$type": f"{kind}#view", "record": gone}
            seen = {"uri": quoted.uri, "cid": quoted.cid, "author": self._profile(did_of(quoted.by))}
            return {"$type": f"{kind}#view", "record": {"$type": f"{kind}#viewRecord", **seen, "value": quoted.value}}
        return {**embed, "$type": f"{kind}#view"}

    def _get_posts(self, request: Request, body: Json) -> Json:
        self._require_session(request)
        uris = request.query_params.getlist("uris")
        if len(uris) > 25:
            raise XrpcFailure(400, "InvalidRequest", "Error: uris must not have more than 25 elements")
        return {
            "posts": [self._view(self.records[uri]) for uri in uris if uri in self.records and uri not in self.unheard]
        }

    def _get_post_thread(self, request: Request, body: Json) -> Json:
        self._require_session(request)
        uri, height = request.query_params["uri"], int(request.query_params.get("parentHeight", "80"))
        if uri not in self.records:
            raise XrpcFailure(400, "NotFound", f"Post not found: {uri}")
        return {"thread": self._thread_view(uri, height) | {"replies": []}}

    def _thread_view(self, uri: str, height: int) -> Json:
        record, defs = self.records.get(uri), "app.bsky.feed.defs"
        if record is None:
            return {"$type": f"{defs}#notFoundPost", "uri": uri, "notFound": True}
        if did_of(record.by) in self.blocked_by:
            blocked = {"did": did_of(record.by), "viewer": {"blockedBy": True}}
            return {"$type": f"{defs}#blockedPost", "uri": uri, "blocked": True, "author": blocked}
        view: Json = {"$type": f"{defs}#threadViewPost", "post": self._view(record), "threadContext": {}}
        if "reply" in record.value and height > 0:
            view["parent"] = self._thread_view(record.value["reply"]["parent"]["uri"], height - 1)
        return view

    def _list_notifications(self, request: Request, body: Json) -> Json:
        self._require_session(request)
        reasons = set(request.query_params.getlist("reasons")) if self.filters else set()
        lines: list[tuple[datetime, Json]] = []
        for record in self.records.values():
            wanted = [reason for reason in self._reasons(record) if not reasons or reason in reasons]
            lines += [(record.sort_at, self._notification(record, reason)) for reason in wanted]
        return self._page(request, "notifications", lines) | {"priority": False}

    def _reasons(self, record: Record) -> list[str]:
        ours = did_of("northwind")
        if record.by == "northwind":
            return []
        facets = record.value.get("facets", [])
        named = any(feature.get("did") == ours for facet in facets for feature in facet["features"])
        reply, embed = record.value.get("reply", {}), record.value.get("embed", {})
        found = ["mention"] if named else []
        if any(ours in reply.get(end, {}).get("uri", "") for end in ("parent", "root")):
            found.append("reply")
        if embed.get("$type") == "app.bsky.embed.record" and ours in embed["record"]["uri"]:
            found.append("quote")
        return found or ["like"] if record.value.get("text") == "(a like)" else found

    def _notification(self, record: Record, reason: str) -> Json:
        view = {k: v for k, v in self._view(record).items() if k in {"uri", "cid", "author", "record", "indexedAt"}}
        return {
            **view,
            "reason": reason,
            "isRead": False,
            "labels": [*self.labels.get(record.uri, ()), *_self_labels(record)],
        }

    def _get_author_feed(self, request: Request, body: Json) -> Json:
        self._require_session(request)
        actor = request.query_params["actor"]
        did = next((did for did in self.names if actor in {did, self._profile(did)["handle"]}), None)
        if did is None and actor != handle_of("ada"):  # who has an account there before the first word
            raise XrpcFailure(400, "InvalidRequest", "Profile not found")
        wrote = [r for r in self.records.values() if did_of(r.by) == did]
        lines = [(r.sort_at, {"post": self._view(r), **self._reply_views(r)}) for r in wrote]
        for passed in self.reposts:
            if did_of(passed.by) == did:
                by = {"by": self._profile(did_of(passed.by)), "indexedAt": stamp(passed.at)}
                reason = {"$type": "app.bsky.feed.defs#reasonRepost", **by}
                lines.append((passed.at, {"post": self._view(passed.record), "reason": reason}))
        return self._page(request, "feed", lines)

    def _reply_views(self, record: Record) -> Json:
        if "reply" not in record.value:
            return {}
        ends = {end: self.records.get(record.value["reply"][end]["uri"]) for end in ("root", "parent")}
        gone = {"$type": "app.bsky.feed.defs#notFoundPost", "notFound": True}
        return {"reply": {end: self._view(found) if found else gone for end, found in ends.items()}}

    def _search_posts(self, request: Request, body: Json) -> Json:
        self._require_session(request)
        words, lang = request.query_params["q"].lower(), request.query_params.get("lang")
        lines = []
        for record in self.records.values():
            text = record.value["text"]
            fits = words in (text.lower() if isinstance(text, str) else "north")
            if fits and (lang is None or not self.filters or lang in record.value.get("langs", [])):
                lines.append((record.sort_at, self._view(record)))
        return self._page(request, "posts", lines)

    def _page(self, request: Request, key: str, lines: list[tuple[datetime, Json]]) -> Json:
        """Newest first, from the place that the cursor names."""
        limit = min(int(request.query_params.get("limit", "50")), self.page_size)
        numbered = sorted(enumerate(lines), key=lambda line: (line[1][0], line[0]), reverse=True)
        start = request.query_params.get("cursor")
        if start is not None:
            epoch, _, place = start.partition("::")
            when, _, number = place.partition("/")
            if epoch != str(self.cursor_epoch):
                raise XrpcFailure(502, "InternalServerError", "Internal Server Error")
            before = (datetime.fromisoformat(when), int(number))
            numbered = [line for line in numbered if (line[1][0], line[0]) < before]
        page = numbered[:limit]
        body: Json = {key: [line for _, (_, line) in page]}
        if len(numbered) > limit:
            last, (when_last, _) = page[-1]
            body["cursor"] = f"{self.cursor_epoch}::{when_last.isoformat()}/{last}"
        return body


def _images(value: Json) -> list[Json]:
    """The pictures of a record, beside a quote or alone."""
    embed = value.get("embed", {})
    return list(embed.get("media", embed).get("images", ()))


def handle_of(name: str) -> str:
    """The handle of a stranger."""
    return f"{regex.sub(r'[^a-z0-9-]', '', name.lower()) or 'x'}.bsky.example"


def answer(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Response:
    """JSON in ASCII, so that it can hold any string that a record can."""
    content = json.dumps(body).encode()
    return Response(content, status, {**(headers or {}), "content-type": "application/json; charset=utf-8"})


def label(value: str, on: str, **more: Any) -> Json:
    """What a moderation service says."""
    return {"src": did_of("moderation"), "uri": on, "val": value, "cts": stamp(datetime.now(UTC)), **more}


def _self_labels(record: Record) -> list[Json]:
    """What the author says of it, as the app view repeats it."""
    values = record.value.get("labels", {}).get("values", ())
    return [
        {"src": did_of(record.by), "uri": record.uri, "val": one["val"], "cts": stamp(record.indexed_at)}
        for one in values
    ]


def _validate(value: Json, rkey: str) -> None:
    """What the real server checks against the lexicon, as far as a reply can be wrong."""
    text = value["text"]
    wrong = None
    if len(text.encode()) > 3000:
        wrong = "string too big (maximum 3000) at $.record.text"
    elif (count := len(regex.findall(r"\X", text))) > 300:
        wrong = f"grapheme too big (maximum 300, got {count}) at $.record.text"
    elif any(not regex.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*", lang) for lang in value.get("langs", [])):
        wrong = "Invalid language at $.record.langs[0]"
    if wrong:
        raise XrpcFailure(400, "InvalidRequest", f"Invalid {POST} record: {wrong}")
    if not regex.fullmatch(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}", rkey):
        raise XrpcFailure(400, "InvalidRequest", "Invalid record key")


class FakeBlueskyAuthor(FakeBluesky):
    """The same network, seen through one account's posts: all that this feed brings is by ada."""

    source = Source.AUTHOR
    cannot = frozenset({"rename"})  # the feed follows the account by the handle that an admin typed

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return super().arrive(text, under=under)


class FakeBlueskySearch(FakeBluesky):
    """The same network, seen through a search that finds our name."""

    source = Source.SEARCH
    shows_own = True

    def arrive_own(self, text: str) -> str:
        return self.post(f"north: {text}", by="northwind")


class FakeBlueskyMessages(FakeBluesky):
    """The same network, seen through its chat. Messages stand in a conversation under no other and carry no pictures."""

    source = Source.MESSAGES
    shows_direct = True
    shows_own = True
    cannot = frozenset({"parents", "threads", "direct", "pictures", "idempotent", "delete", "above", "rewrite"})
    cannot_give: Mapping[Gives, str] = {
        Gives.EDITS: "messages cannot be edited there",
        Gives.BACKWARD: "of what was written before the first sync, each conversation's newest hundred messages are brought",
    }

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        self.tick()
        self.names.setdefault(did_of(by), by)
        convo = self.chat.with_(did_of(by))
        return f"chat:{convo.id}/{self.chat.say(did_of(by), text).id}"

    def arrive_broken(self) -> None:
        self.arrive("")
        convo = self.chat.with_(did_of("ada"))
        convo.messages[-1].text = self.chat.log[-1]["message"]["text"] = ["not", "text"]

    def arrive_own(self, text: str) -> str:
        self.arrive("hello")
        convo = self.chat.with_(did_of("ada"))
        return f"chat:{convo.id}/{self.chat.say(did_of('northwind'), text, convo=convo).id}"

    def remove(self, external_id: str) -> None:
        convo_id, _, message_id = external_id.removeprefix("chat:").partition("/")
        self.chat.forget(self.chat.convos[convo_id], message_id)

    def ledger(self) -> list[Standing]:
        ours = did_of("northwind")
        return [
            Standing(f"chat:{convo.id}/{one.id}", one.text, None, Visibility.DIRECT)
            for convo in self.chat.convos.values()
            for one in convo.messages
            if one.by == ours
        ]


class FakeBlueskyPlain(FakeBluesky):
    """A server that takes parameters and does nothing with some, and pages in its own size."""

    page_size = 20

    def __init__(self) -> None:
        super().__init__()
        self.filters = False


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "notifications": FakeBluesky,
    "plain": FakeBlueskyPlain,
    "author": FakeBlueskyAuthor,
    "search": FakeBlueskySearch,
    "messages": FakeBlueskyMessages,
}
