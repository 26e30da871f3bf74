"""X's API v2 as far as the connector meets it: windows for each endpoint, problem documents, t.co addresses, edits."""

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import IncomingAuthor, Json, Length, SettingsModel, Visibility
from app.connectors.length import count as length_of
from app.connectors.testing import Gives
from app.connectors.testing.fake import Delivery, FakeChannel, Standing
from app.connectors.x_posts import name_at
from app.connectors.x_settings import Source, XCredentials, XSettings

HOST = "api.x.com"
TOKEN, FRESH, SPARE = "secret-token", "secret-token-2", "secret-refresh"
BEARER, CONSUMER = "secret-bearer", "secret-consumer"
US, NAME = "1000000000000000001", "northwindhelp"
PEOPLE = {"ada": "20000001", "bob": "20000002", NAME: US}
WINDOW = timedelta(minutes=15)
LIMITS = {"me": 75, "mentions": 300, "search": 300, "timeline": 900, "tweets": 900, "dm": 300, "post": 100}
# Messages stand in a conversation under no other, carry one picture, and cannot be edited; deliveries here are of posts.
MESSAGES = frozenset({"parents", "threads", "direct", "pictures", "own", "rewrite", "receive", "broken"})
_LINK = re.compile(r"https?://[^\s]+")
_PROBLEMS = "https://api.twitter.com/2/problems/"


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, status: int, detail: str, kind: str = "about:blank", title: str = "Forbidden") -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"title": title, "detail": detail, "type": kind, "status": status}


@dataclass(slots=True)
class Tweet:
    """A post in the model. `versions` holds ids and texts, oldest first."""

    id: str
    by: str
    text: str
    at: datetime
    parent: str | None = None
    retweets: str | None = None
    media: list[str] = field(default_factory=list)
    versions: list[tuple[str, str, datetime]] = field(default_factory=list)
    broken: bool = False


@dataclass(slots=True)
class Message:
    """A direct message in the model."""

    id: str
    by: str
    conversation: str
    text: str
    at: datetime
    media: list[str] = field(default_factory=list)


class FakeX(FakeChannel):
    """The model and its surface. `source` says which feed this variant is."""

    connector = registry.get("x")
    page_size = 10  # X may give less than was asked for
    shows_direct = False
    same = timedelta(0)  # in which the same answer again is a duplicate; the suite answers twice in the same words

    def __init__(self, source: Source = Source.MENTIONS) -> None:
        super().__init__()
        self.source = source
        self.shows_own = source is Source.SEARCH
        if source is Source.MESSAGES:
            self.cannot = MESSAGES
            self.cannot_give = {Gives.EDITS: "messages cannot be edited there"}
        self.tweets: dict[str, Tweet] = {}
        self.renamed: set[str] = set()
        self.messages: dict[str, Message] = {}
        self.pictures: dict[str, tuple[str, bytes]] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.calls: dict[tuple[str, datetime], int] = {}
        self.rules: dict[str, Json] = {}
        self.reads: dict[str, int] = {}  # how often each post was given out
        self.streamed: list[str] = []  # posts that the stream gives before it ends
        self.lifetime = timedelta(hours=2)  # of the token at hand
        self.token = TOKEN
        self.spare = SPARE
        self._numbers = count(1)
        ours = ("ada", "bob") if source is Source.REPLIES else ()
        self.roots = {who: self.tweet(NAME, f"We have new tents, {who}!").id for who in ours}  # that they answer

    @property
    def app(self) -> ASGIApp:
        routes: list[tuple[str, str, str, Callable[[Request], Any]]] = [
            ("GET", "/2/users/me", "me", lambda _: {"data": self._user(NAME)}),
            ("GET", "/2/users/{id}/mentions", "mentions", self._mentions),
            ("GET", "/2/users/{id}/tweets", "timeline", self._timeline),
            ("GET", "/2/tweets/search/recent", "search", self._search),
            ("GET", "/2/tweets", "tweets", self._lookup),
            ("POST", "/2/tweets", "post", self._post),
            ("DELETE", "/2/tweets/{id}", "tweets", self._delete),
            ("GET", "/2/dm_events", "dm", self._dm_events),
            ("GET", "/2/dm_events/{id}", "dm", self._dm_event),
            ("DELETE", "/2/dm_events/{id}", "dm", self._dm_delete),
            ("GET", "/2/dm_conversations/{id}/dm_events", "dm", self._dm_conversation),
            ("POST", "/2/dm_conversations/{id}/messages", "dm", self._dm_send),
            ("POST", "/2/media/upload", "post", self._upload),
            ("POST", "/2/media/upload/initialize", "post", self._begin),
            ("POST", "/2/media/upload/{id}/append", "post", self._append),
            ("POST", "/2/media/upload/{id}/finalize", "post", self._finalize),
            ("POST", "/2/media/metadata", "post", self._describe),
            ("GET", "/2/tweets/search/stream/rules", "rules", self._rules),
            ("POST", "/2/tweets/search/stream/rules", "rules", self._add_rule),
            ("GET", "/2/tweets/search/stream", "stream", self._stream),
        ]
        made = [Route(path, partial(self._answer, name, run), methods=[method]) for method, path, name, run in routes]
        return Starlette(routes=[*made, Route("/2/oauth2/token", self._refresh, methods=["POST"])])

    def settings(self) -> SettingsModel:
        value = "northwind" if self.source is Source.SEARCH else ""
        return XSettings(source=self.source, value=value, include_own=self.shows_own)

    def credentials(self) -> SettingsModel:
        return XCredentials(
            client_id="northwind",
            client_secret=SecretStr("secret-client"),
            access_token=SecretStr(TOKEN),
            refresh_token=SecretStr(SPARE),
            expires_at=self.now + self.lifetime,
            bearer_token=SecretStr(BEARER),
            consumer_secret=SecretStr(CONSUMER),
        )

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(US, NAME, "Northwind Help")

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        if direct or self.source is Source.MESSAGES:
            return f"dm:{self.message(by, text).id}"
        written = {Source.MENTIONS: f"@{NAME} {text}", Source.SEARCH: f"{text} northwind"}.get(self.source, text)
        return self.tweet(by, written, parent=under or self.roots.get(by)).id

    def arrive_broken(self) -> None:
        self.tweet("ada", f"@{NAME} northwind", parent=self.roots.get("ada")).broken = True

    def arrive_own(self, text: str) -> str:
        return self.tweet(NAME, f"{text} northwind").id

    def tweet(self, by: str, text: str, **more: Any) -> Tweet:
        """Somebody posts."""
        made = Tweet(self._id(), by, text, self.now, **more)
        made.versions = [(made.id, text, self.now)]
        self.tweets[made.id] = made
        self.tick()
        return made

    def message(self, by: str, text: str) -> Message:
        """Somebody writes to us."""
        made = Message(self._id(), by, f"{PEOPLE[by]}-{US}", text, self.now)
        self.messages[made.id] = made
        self.tick()
        return made

    def rename(self, by: str) -> None:
        self.renamed.add(by)

    def remove(self, external_id: str) -> None:
        if external_id.startswith("dm:"):
            del self.messages[external_id.removeprefix("dm:")]
        else:
            del self.tweets[external_id]

    def rewrite(self, external_id: str, text: str) -> None:
        tweet = self.tweets[external_id]
        tweet.text = text
        tweet.versions.append((self._id(), text, self.tick()))

    def ledger(self) -> list[Standing]:
        public = [
            Standing(one.id, one.text, one.parent, Visibility.PUBLIC, tuple(self.pictures[m] for m in one.media))
            for one in self.tweets.values()
            if one.by == NAME and one.parent
        ]
        direct = [
            Standing(f"dm:{m.id}", m.text, m.conversation, Visibility.DIRECT, tuple(self.pictures[p] for p in m.media))
            for m in self.messages.values()
            if m.by == NAME
        ]
        return public + direct

    def is_send(self, request: httpx.Request) -> bool:
        path = request.url.path
        writes = path == "/2/tweets" or path.endswith("/messages")
        return request.method == "DELETE" or (request.method == "POST" and writes)

    def limited(self) -> httpx.Response:
        reset = int((self.now + self.rate_wait).timestamp())
        headers = {"x-rate-limit-limit": "300", "x-rate-limit-remaining": "0", "x-rate-limit-reset": str(reset)}
        body = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
        return httpx.Response(429, headers=headers, json=body)

    def expired(self) -> httpx.Response:
        body = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
        return httpx.Response(401, json=body)

    # -- deliveries of the Account Activity API

    def signed(self, body: bytes) -> Delivery:
        digest = base64.b64encode(hmac.digest(CONSUMER.encode(), body, hashlib.sha256)).decode()
        return Delivery({"content-type": "application/json", "x-twitter-webhooks-signature": f"sha256={digest}"}, body)

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        events = [self._old_style(self.tweet("ada", text)) for text in texts]
        events += [{"id_str": f"9{n}", "user": None} for n in range(broken)]
        return self.signed(json.dumps({"for_user_id": US, "tweet_create_events": events}).encode())

    def _old_style(self, tweet: Tweet) -> Json:
        text, entities = _shown(tweet.text)
        return {
            "created_at": tweet.at.strftime("%a %b %d %H:%M:%S +0000 %Y"),
            "id_str": tweet.id,
            "text": text,
            "user": {
                "id_str": PEOPLE[tweet.by],
                "name": tweet.by.title(),
                "screen_name": tweet.by,
                "followers_count": 42,
                "profile_image_url_https": f"https://pbs.twimg.com/{tweet.by}.jpg",
            },
            "in_reply_to_status_id_str": tweet.parent,
            "in_reply_to_user_id_str": None,
            "entities": {"urls": entities.get("urls", []), "user_mentions": []},
            "lang": "en",
            "timestamp_ms": str(int(tweet.at.timestamp() * 1000)),
        }

    # -- the surface

    async def _answer(self, name: str, run: Callable[[Request], Any], request: Request) -> Response:
        wanted = BEARER if name in {"rules", "stream"} else self.token
        headers = self._window(name)
        if request.headers.get("authorization") != f"Bearer {wanted}":
            return _json({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}, 401)
        if int(headers["x-rate-limit-remaining"]) < 0:
            limited = self.limited()
            return _json(limited.json(), 429, headers | {"x-rate-limit-remaining": "0"})
        try:
            found = run(request)
            value = await found if isinstance(found, Awaitable) else found
        except Refusal as refusal:
            return _json(refusal.body, refusal.status, headers)
        if isinstance(value, Response):
            return value
        makes = request.method == "POST" and (request.url.path == "/2/tweets" or request.url.path.endswith("/messages"))
        return _json(value, 201 if makes else 200, headers)

    def _window(self, name: str) -> dict[str, str]:
        length = WINDOW.total_seconds()
        begun = datetime.fromtimestamp(self.now.timestamp() // length * length, self.now.tzinfo)
        self.calls[name, begun] = self.calls.get((name, begun), 0) + 1
        limit = LIMITS.get(name, 50)
        return {
            "x-rate-limit-limit": str(limit),
            "x-rate-limit-remaining": str(limit - self.calls[name, begun]),
            "x-rate-limit-reset": str(int((begun + WINDOW).timestamp())),
        }

    async def _refresh(self, request: Request) -> Response:
        form = await request.form()
        if form.get("refresh_token") != self.spare:
            return _json(
                {"error": "invalid_request", "error_description": "Value passed for the token was invalid."}, 400
            )
        self.token, self.spare = FRESH, SPARE + "-2"
        told = {"token_type": "bearer", "expires_in": 7200, "access_token": self.token, "refresh_token": self.spare}
        return _json(told | {"scope": "tweet.read offline.access"}, 200)

    def _mentions(self, request: Request) -> Json:
        assert request.path_params["id"] == US
        return self._page(request, [t for t in self.tweets.values() if t.by != NAME and f"@{NAME}" in t.text])

    def _timeline(self, request: Request) -> Json:
        assert request.path_params["id"] == US
        left_out = request.query_params.get("exclude", "").split(",")
        mine = [t for t in self.tweets.values() if t.by == NAME and not ("replies" in left_out and t.parent)]
        return self._page(request, [t for t in mine if not ("retweets" in left_out and t.retweets)])

    def _search(self, request: Request) -> Json:
        query = request.query_params["query"]
        found = list(self.tweets.values())
        if "-is:retweet" in query:
            found = [t for t in found if not t.retweets]
        if f"-from:{US}" in query:
            found = [t for t in found if t.by != NAME]
        threads = re.findall(r"conversation_id:(\d+)", query)
        if threads:
            found = [t for t in found if self._conversation(t) in threads]
        elif "northwind" in query:
            found = [t for t in found if "northwind" in t.text]
        oldest = self.now - timedelta(days=7)
        since = request.query_params.get("since_id")
        if since and int(since) < int(name_at(oldest)):
            raise Refusal(400, f"'since_id' must be a tweet id created after {oldest}.", title="Invalid Request")
        return self._page(request, [t for t in found if t.at >= oldest])

    def _page(self, request: Request, found: list[Tweet]) -> Json:
        asked = request.query_params
        low, high = int(asked.get("since_id", 0)), int(asked.get("until_id", 1 << 63))
        token = asked.get("pagination_token") or asked.get("next_token")
        high = min(high, int(token[1:])) if token else high
        start = datetime.fromisoformat(asked["start_time"]) if "start_time" in asked else None
        shown = sorted((t for t in found if low < int(t.id) < high), key=lambda t: -int(t.id))
        shown = [t for t in shown if start is None or t.at >= start]
        page = shown[: min(int(asked.get("max_results", 10)), self.page_size)]
        return self._listed(page, more=len(shown) > len(page), fields=asked.get("tweet.fields", ""))

    def _listed(self, page: list[Tweet], *, more: bool, fields: str = "") -> Json:
        meta: Json = {"result_count": len(page)}
        if not page:
            return {"meta": meta}
        meta |= {"newest_id": page[0].id, "oldest_id": page[-1].id}
        if more:
            meta["next_token"] = f"b{page[-1].id}"
        for tweet in page:
            self.reads[tweet.id] = self.reads.get(tweet.id, 0) + 1
        if fields == "id":
            return {"data": [{"id": t.id, "text": t.text} for t in page], "meta": meta}
        above = [self.tweets[t.parent] for t in page if t.parent in self.tweets]
        above += [self.tweets[t.retweets] for t in page if t.retweets in self.tweets]
        users = {t.by for t in [*page, *above]}
        media = [{"media_key": f"3_{one}", "type": "photo", "url": f"https://pbs.twimg.com/media/{one}.jpg"}
                 for t in page for one in t.media]  # fmt: skip
        told = {"users": [self._user(name) for name in sorted(users)], "media": media}
        includes = {name: one for name, one in (told | {"tweets": [self._shown(t) for t in above]}).items() if one}
        return {"data": [self._shown(t) for t in page], "includes": includes, "meta": meta}

    def _lookup(self, request: Request) -> Json:
        found, errors = [], []
        for name in request.query_params["ids"].split(","):
            tweet = next((t for t in self.tweets.values() if any(v[0] == name for v in t.versions)), None)
            if tweet is None:
                errors.append(
                    {
                        "value": name,
                        "detail": f"Could not find tweet with ids: [{name}].",
                        "title": "Not Found Error",
                        "resource_type": "tweet",
                        "parameter": "ids",
                        "resource_id": name,
                        "type": _PROBLEMS + "resource-not-found",
                    }
                )
            else:
                self.reads[name] = self.reads.get(name, 0) + 1
                found.append(self._shown(tweet, name))
        return ({"data": found} if found else {}) | ({"errors": errors} if errors else {})

    async def _post(self, request: Request) -> Json:
        body = await request.json()
        parent = body["reply"]["in_reply_to_tweet_id"]
        if parent not in {v[0] for t in self.tweets.values() for v in t.versions}:
            raise Refusal(403, "You attempted to reply to a Tweet that is deleted or not visible to you.")
        if length_of(body["text"], Length.X) > 280:
            raise Refusal(403, "Your Tweet text is too long.")
        same = [t for t in self.tweets.values() if t.by == NAME and (t.text, t.parent) == (body["text"], parent)]
        if any(self.now - t.at < self.same for t in same):
            raise Refusal(403, "You are not allowed to create a Tweet with duplicate content.")
        made = Tweet(self._id(), NAME, body["text"], self.now, parent, media=body.get("media", {}).get("media_ids", []))
        made.versions = [(made.id, made.text, self.now)]
        self.tweets[made.id] = made
        return {"data": {"id": made.id, "text": _shown(made.text)[0], "edit_history_tweet_ids": [made.id]}}

    def _delete(self, request: Request) -> Json:
        tweet = self.tweets.get(request.path_params["id"])
        if tweet is not None and tweet.by != NAME:
            raise Refusal(403, "You are not authorized to delete this Tweet.")
        self.tweets.pop(request.path_params["id"], None)
        return {"data": {"deleted": True}}

    def _dm_events(self, request: Request) -> Json:
        return self._dm_page(request, list(self.messages.values()))

    def _dm_conversation(self, request: Request) -> Json:
        return self._dm_page(
            request, [m for m in self.messages.values() if m.conversation == request.path_params["id"]]
        )

    def _dm_page(self, request: Request, found: list[Message]) -> Json:
        asked = request.query_params
        token = asked.get("pagination_token")
        high = int(token.removeprefix("00000000000000000000")) if token else 1 << 63
        shown = sorted((m for m in found if int(m.id) < high), key=lambda m: -int(m.id))
        page = shown[: min(int(asked.get("max_results", 100)), self.page_size)]
        meta: Json = {"result_count": len(page)}
        if not page:
            return {"meta": meta}
        if len(shown) > len(page):
            meta["next_token"] = "0" * 20 + page[-1].id
        users = [self._user(name) for name in sorted({m.by for m in page})]
        return {"data": [_dm(m) for m in page], "includes": {"users": users}, "meta": meta}

    def _dm_event(self, request: Request) -> Json:
        found = self.messages.get(request.path_params["id"])
        if found is None:
            raise Refusal(404, "Not Found", _PROBLEMS + "resource-not-found", "Not Found Error")
        return {"data": _dm(found)}

    def _dm_delete(self, request: Request) -> Json:
        if self.messages.pop(request.path_params["id"], None) is None:
            raise Refusal(404, "Not Found", _PROBLEMS + "resource-not-found", "Not Found Error")
        return {"data": {"deleted": True}}

    async def _dm_send(self, request: Request) -> Json:
        body, conversation = await request.json(), request.path_params["id"]
        if not any(m.conversation == conversation for m in self.messages.values()):
            raise Refusal(403, "You cannot send messages to this conversation.")
        media = [one["media_id"] for one in body.get("attachments", ())]
        made = Message(self._id(), NAME, conversation, body["text"], self.now, media)
        self.messages[made.id] = made
        return {"data": {"dm_conversation_id": conversation, "dm_event_id": made.id}}

    async def _upload(self, request: Request) -> Json:
        async with request.form() as form:
            file = form["media"]
            assert isinstance(file, UploadFile)
            assert form["media_category"] in {"tweet_image", "dm_image"}
            return self._kept(await file.read())

    async def _begin(self, request: Request) -> Json:
        await request.json()
        name = self._id()
        self.parts[name] = {}
        return {"data": {"id": name, "media_key": f"3_{name}"}, "meta": {}}

    async def _append(self, request: Request) -> Json:
        async with request.form() as form:
            file = form["media"]
            assert isinstance(file, UploadFile)
            self.parts[request.path_params["id"]][int(str(form["segment_index"]))] = await file.read()
        return {"data": {"expires_at": 1}, "meta": {}}

    def _finalize(self, request: Request) -> Json:
        parts = self.parts.pop(request.path_params["id"])
        return self._kept(b"".join(parts[n] for n in sorted(parts)), request.path_params["id"])

    def _kept(self, content: bytes, name: str = "") -> Json:
        name = name or self._id()
        self.pictures[name] = ("", content)
        told = {"id": name, "media_key": f"3_{name}", "size": len(content), "expires_after_secs": 86400}
        return {"data": told, "meta": {}}

    async def _describe(self, request: Request) -> Json:
        body = await request.json()
        self.pictures[body["id"]] = (body["metadata"]["alt_text"]["text"], self.pictures[body["id"]][1])
        return {"data": {"id": body["id"], "associated_metadata": body["metadata"]}}

    def _rules(self, request: Request) -> Json:
        return ({"data": list(self.rules.values())} if self.rules else {}) | {"meta": {"sent": self.now.isoformat()}}

    async def _add_rule(self, request: Request) -> Json:
        made = [one | {"id": self._id()} for one in (await request.json())["add"]]
        self.rules |= {one["id"]: one for one in made}
        return {
            "data": made,
            "meta": {
                "sent": self.now.isoformat(),
                "summary": {"created": len(made), "not_created": 0, "valid": len(made), "invalid": 0},
            },
        }

    def _stream(self, request: Request) -> Response:
        rules = [{"id": name, "tag": "careline"} for name in self.rules]
        lines = [b"\r\n"]
        for name in self.streamed:
            listed = self._listed([self.tweets[name]], more=False)
            told = {"data": listed["data"][0], "includes": listed["includes"], "matching_rules": rules}
            lines += [json.dumps(told).encode() + b"\r\n", b"\r\n"]
        return StreamingResponse(iter(lines), media_type="application/json")

    # -- objects

    def _id(self) -> str:
        return str(int(name_at(self.now)) + next(self._numbers))

    def _conversation(self, tweet: Tweet) -> str:
        while tweet.parent in self.tweets:
            tweet = self.tweets[tweet.parent]
        return tweet.parent or tweet.id

    def _user(self, name: str) -> Json:
        return {
            "id": PEOPLE[name],
            "username": f"{name}_anew" if name in self.renamed else name,
            "name": "Northwind Help" if name == NAME else name.title(),
            "profile_image_url": f"https://pbs.twimg.com/{name}.jpg",
            "public_metrics": {"followers_count": 42, "following_count": 7, "tweet_count": 99, "listed_count": 1},
        }

    def _shown(self, tweet: Tweet, version: str = "") -> Json:
        if tweet.broken:
            return {"id": tweet.id, "text": tweet.text, "created_at": None}
        name, text, at = next((v for v in tweet.versions if v[0] == version), tweet.versions[0])
        above = self.tweets.get(tweet.parent or "")
        if tweet.by == NAME and above is not None and above.by != NAME:
            text = f"@{above.by} {text}"  # X puts it there by itself
        shown, entities = _shown(text)
        refers = [("replied_to", tweet.parent), ("retweeted", tweet.retweets)]
        made: Json = {
            "id": name,
            "text": shown,
            "author_id": PEOPLE[tweet.by],
            "created_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "conversation_id": self._conversation(tweet),
            "edit_history_tweet_ids": [v[0] for v in tweet.versions],
            "lang": "en",
            "entities": entities
            | ({"mentions": [{"id": US, "username": NAME, "start": 0, "end": 1}]} if f"@{NAME}" in text else {}),
        }
        referred = [{"type": how, "id": one} for how, one in refers if one]
        if referred:
            made["referenced_tweets"] = referred
        if above is not None:
            made["in_reply_to_user_id"] = PEOPLE[above.by]
        if tweet.media:
            made["attachments"] = {"media_keys": [f"3_{one}" for one in tweet.media]}
        return made


def _shown(text: str) -> tuple[str, Json]:
    """As X gives text: &, < and > escaped, addresses behind t.co."""
    urls: list[Json] = []

    def short(found: re.Match[str]) -> str:
        url = f"https://t.co/a{len(urls)}"
        urls.append({"url": url, "expanded_url": found.group(), "display_url": found.group(), "start": 0, "end": 1})
        return url

    return html.escape(_LINK.sub(short, text), quote=False), ({"urls": urls} if urls else {})


def _dm(message: Message) -> Json:
    text, entities = _shown(message.text)
    return {
        "id": message.id,
        "event_type": "MessageCreate",
        "text": text,
        "sender_id": PEOPLE[message.by],
        "dm_conversation_id": message.conversation,
        "created_at": message.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "entities": entities,
    }


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, media_type="application/json")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "x-mentions": FakeX,
    "x-search": partial(FakeX, Source.SEARCH),
    "x-replies": partial(FakeX, Source.REPLIES),
    "x-messages": partial(FakeX, Source.MESSAGES),
}
