"""A server with Mastodon's API, as far as the connector meets it; and one of another make, with other habits."""

import html
import json
import re
from collections.abc import Awaitable, Callable, Iterator
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
from app.connectors.mastodon import MastodonSettings, Source
from app.connectors.mastodon_app import MastodonCredentials
from app.connectors.testing.fake import FakeChannel, Standing
from tests.connectors.fakes.oauth import Grants

HOST = "social.example"
TOKEN = "secret-of-northwind"
US = "northwindhelp"
WATCHED = "ada"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ALLOWANCE, WINDOW = 300, timedelta(minutes=5)
ANY = {"mention", "favourite", "reblog", "quote"}
KEY_KEPT = timedelta(hours=1)

_LINK = re.compile(r"https?://[^\s<]+")
_MENTION = re.compile(r"(?<![/\w])@([\w.]+)(@[\w.]+)?")


@dataclass(slots=True)
class Toot:
    """A status in the model."""

    id: str
    by: str
    text: str
    at: datetime
    visibility: str = "public"
    parent: str | None = None
    tags: tuple[str, ...] = ()
    spoiler: str = ""
    language: str | None = "en"
    media: list[Json] = field(default_factory=list)
    reblog_of: str | None = None
    broken: bool = False
    edited: datetime | None = None
    quotes: str | None = None
    more: Json = field(default_factory=dict)  # of the status as it is shown


class FakeMastodon(FakeChannel):
    """The model and its surface. `source` says which feed this variant is."""

    connector = registry.get("mastodon")
    page_size = 10  # a server may give less than was asked for
    other_make = False

    def __init__(self, source: Source = Source.MENTIONS, *, ulids: bool = False) -> None:
        super().__init__()
        self.source = source
        self.shows_own = source in {Source.HASHTAG, Source.SEARCH}
        self.shows_direct = source is Source.MENTIONS
        self.toots: dict[str, Toot] = {}
        self.notices: dict[str, str] = {}  # notification id -> status id
        self.types: dict[str, str] = {}  # notification id -> type, where it is no mention
        self.keys: dict[str, tuple[datetime, str]] = {}
        self.calls: dict[datetime, int] = {}
        self.max_characters = 500
        self.us = US
        self.grants = Grants(client_id="", client_secret="", now=lambda: self.now, ends=self.other_make)
        self.pictures: dict[str, tuple[str, bytes]] = {}  # brought, by id
        self.told: list[tuple[str, str, Any]] = []  # what streams give before they end: stream, event, payload
        self.quotable: dict[str, str] = {}  # what a status's author lets us do, where it is not "automatic"
        self.can_quote = not self.other_make  # Mastodon since 4.5
        self.held_back: set[str] = set()  # notifications, by the account's policy
        self.policy = {"for_not_following": "accept", "for_private_mentions": "accept", "summary": {}}
        self.streaming: str | None = f"wss://streaming.{HOST}"
        self._ids = _ulids() if ulids else map(str, count(9_985))  # ids grow by a digit on the way
        self._notice_ids = _ulids() if ulids else map(str, count(95))

    @property
    def app(self) -> ASGIApp:
        routes: dict[str, Callable[[Request], Any]] = {
            "/api/v1/accounts/verify_credentials": lambda _: self._account(self.us),
            "/api/v1/accounts/lookup": self._lookup,
            "/api/v1/accounts/search": self._accounts,
            "/api/v1/accounts/{id}/statuses": self._statuses_of,
            "/api/v1/notifications": self._notifications,
            "/api/v2/notifications/policy": self._policy,
            "/api/v1/timelines/tag/{tag}": self._tagged,
            "/api/v2/search": self._search,
            "/api/v1/statuses/{id}": lambda request: self._shown(self._found(request.path_params["id"])),
            "/api/v1/statuses/{id}/context": self._context,
            "/api/v1/media/{id}": self._picture,
            "/api/v1/instance": lambda _: self._instance(),
            "/api/v2/instance": self._instance_v2,
            "/api/v1/streaming/{name:path}": self._stream,
        }
        made = [Route(path, partial(self._answer, run), methods=["GET"]) for path, run in routes.items()]
        media = "/api/v1/media" if self.other_make else "/api/v2/media"
        changes = {"/api/v1/statuses": self._post, media: self._bring}
        made += [Route(path, partial(self._answer, run), methods=["POST"]) for path, run in changes.items()]
        made.append(Route("/api/v1/statuses/{id}", partial(self._answer, self._put), methods=["PUT"]))
        made.append(Route("/api/v1/statuses/{id}", partial(self._answer, self._delete), methods=["DELETE"]))
        made.append(Route("/api/v1/apps", self._register, methods=["POST"]))
        return Starlette(routes=[*made, *self.grants.routes()])

    def settings(self) -> SettingsModel:
        value = {Source.HASHTAG: "#northwind", Source.ACCOUNT: f"@{WATCHED}@other.example", Source.SEARCH: "northwind"}
        return MastodonSettings(source=self.source, value=value.get(self.source, ""))

    def credentials(self) -> SettingsModel:
        return MastodonCredentials(server=f"https://{HOST}", access_token=SecretStr(TOKEN))

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(f"https://{HOST}/@{US}", f"{US}@{HOST}", "Northwind Help")

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        parent = self._by_uri(under).id if under else None
        by = WATCHED if self.source is Source.ACCOUNT else by
        written = {Source.MENTIONS: f"@{US} {text}", Source.SEARCH: f"{text} northwind"}.get(self.source, text)
        toot = self.toot(by, written, parent=parent, visibility="direct" if direct else "public")
        return self.uri(toot)

    def aside(self, text: str, *, by: str = "bob", under: str | None = None) -> str:
        return self.uri(self.toot(by, text, parent=self._by_uri(under).id if under else None, tags=()))

    def arrive_broken(self) -> None:
        self.toot("ada", f"@{US} northwind").broken = True

    def arrive_own(self, text: str) -> str:
        return self.uri(self.toot(US, f"{text} northwind"))

    def toot(self, by: str, text: str, **more: Any) -> Toot:
        """Somebody writes a status; whoever is named is told."""
        if self.source is Source.HASHTAG:
            more.setdefault("tags", ("northwind",))
        made = Toot(next(self._ids), by, text, self.tick(), **more)
        self.toots[made.id] = made
        self._tell_tags("update", made)
        if f"@{US}" in text and by != US:
            name = next(self._notice_ids)
            self.notices[name] = made.id
            self.told.append(("user", "notification", self._notice(name)))
        return made

    def notify(self, kind: str, toot: Toot, *, held_back: bool = False) -> None:
        """We are told of something else than a mention: a like, a quote. What is held back is never streamed."""
        name = next(self._notice_ids)
        self.notices[name], self.types[name] = toot.id, kind
        if held_back:
            self.held_back.add(name)
        else:
            self.told.append(("user", "notification", self._notice(name)))

    def remove(self, external_id: str) -> None:
        toot = self._by_uri(external_id)
        del self.toots[toot.id]
        self.told += [("user", "delete", toot.id), *((f"hashtag {tag}", "delete", toot.id) for tag in toot.tags)]

    def rewrite(self, external_id: str, text: str) -> None:
        toot = self._by_uri(external_id)
        toot.text, toot.edited = text, self.tick()
        self._tell_tags("status.update", toot)

    def home(self, event: str, toot: Toot) -> None:
        """Somebody whom our account follows wrote or edited a status."""
        self.told.append(("user", event, self._shown(toot)))

    def _tell_tags(self, event: str, toot: Toot) -> None:
        if toot.visibility == "public" and not toot.reblog_of:
            self.told += [(f"hashtag {tag}", event, self._shown(toot)) for tag in toot.tags]

    def ledger(self) -> list[Standing]:
        words = {"private": Visibility.FOLLOWERS, "public": Visibility.PUBLIC, "unlisted": Visibility.UNLISTED}
        return [
            Standing(
                self.uri(toot),
                toot.text,
                self.uri(self.toots[toot.parent]) if toot.parent in self.toots else None,
                words.get(toot.visibility, Visibility.DIRECT),
                tuple(self.pictures[one["id"]] for one in toot.media),
            )
            for toot in self.toots.values()
            if toot.by == US and toot.parent
        ]

    def is_send(self, request: httpx.Request) -> bool:
        return request.method in {"PUT", "DELETE"} or (
            request.method == "POST" and request.url.path == "/api/v1/statuses"
        )

    def limited(self) -> httpx.Response:
        reset = (self.now + self.rate_wait).isoformat(timespec="microseconds").replace("+00:00", "Z")
        headers = {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        return httpx.Response(429, headers=headers, json={"error": "Too many requests"})

    def expired(self) -> httpx.Response:
        return httpx.Response(401, json={"error": "The access token was revoked"})

    def uri(self, toot: Toot) -> str:
        host = HOST if toot.by == US else "other.example"
        return f"https://{host}/users/{toot.by}/statuses/{toot.id}"

    def url(self, toot: Toot) -> str:
        return f"https://{HOST if toot.by == US else 'other.example'}/@{toot.by}/{toot.id}"

    # -- the surface

    async def _answer(self, run: Callable[[Request], Any], request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if "instance" not in request.url.path and token != TOKEN and not self.grants.valid(token):
            return _json({"error": "The access token is invalid"}, 401)
        headers = self._allowance()
        if int(headers.get("X-RateLimit-Remaining", "1")) < 0:
            return _json({"error": "Too many requests"}, 429, headers | {"X-RateLimit-Remaining": "0"})
        try:
            found = run(request)
            value = await found if isinstance(found, Awaitable) else found
        except KeyError:
            return _json({"error": "Record not found"}, 404, headers)
        except ValueError as error:
            return _json({"error": f"Validation failed: {error}"}, 422, headers)
        if isinstance(value, Response):
            return value
        body, more = value if isinstance(value, tuple) else (value, {})
        return _json(body, 200, headers | more)

    def _stream(self, request: Request) -> Response:
        """streaming/index.js: a comment at once and every 15 seconds, JSON as it stands, a deletion's id as text."""
        if request.url.hostname != f"streaming.{HOST}":
            raise KeyError("no streaming here")
        wanted = " ".join([request.path_params["name"], *request.query_params.values()])
        told = [(event, said) for stream, event, said in self.told if stream == wanted]
        events = [f"event: {event}\ndata: {_streamed(said)}\n\n" for event, said in told]
        parts = [":)\n", *events, ":thump\n", "event: filters_changed\ndata: undefined\n\n", "event: update\ndata: {"]
        return StreamingResponse(iter(parts), media_type="text/event-stream")

    async def _register(self, request: Request) -> Response:
        """docs.joinmastodon.org/methods/apps: an app is made for whoever asks."""
        asked = await request.json()
        self.grants.client_id, self.grants.client_secret = f"app-{next(self._notice_ids)}", "secret-of-the-app"
        self.grants.redirects = {asked["redirect_uris"]}
        told = {"id": "1", "name": asked["client_name"], "redirect_uri": asked["redirect_uris"]}
        return _json({**told, "client_id": self.grants.client_id, "client_secret": self.grants.client_secret}, 200)

    def _allowance(self) -> dict[str, str]:
        begun = datetime.fromtimestamp(self.now.timestamp() // 300 * 300, self.now.tzinfo)
        self.calls[begun] = self.calls.get(begun, 0) + 1
        return {
            "X-RateLimit-Limit": str(ALLOWANCE),
            "X-RateLimit-Remaining": str(ALLOWANCE - self.calls[begun]),
            "X-RateLimit-Reset": (begun + WINDOW).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }

    def _page(self, request: Request, ids: list[str]) -> tuple[list[str], dict[str, str]]:
        """Newest first; `max_id` goes down, `since_id` bounds, `min_id` gives what is right above it."""
        asked = request.query_params
        size = min(int(asked.get("limit", "20")), self.page_size)
        ids = sorted(ids, key=_rank)
        low, high = asked.get("min_id") or asked.get("since_id"), asked.get("max_id")
        ids = [one for one in ids if (not low or _rank(one) > _rank(low)) and (not high or _rank(one) < _rank(high))]
        page = ids[:size] if asked.get("min_id") else ids[-size:]
        page = page[::-1]
        links = []
        if len(page) == size:
            links.append(f'<https://{HOST}{request.url.path}?limit={size}&max_id={page[-1]}>; rel="next"')
        if page:
            links.append(f'<https://{HOST}{request.url.path}?limit={size}&min_id={page[0]}>; rel="prev"')
        return page, self._links(links)

    def _links(self, links: list[str]) -> dict[str, str]:
        return {"Link": ", ".join(links)} if links else {}

    def _lookup(self, request: Request) -> Json:
        name = request.query_params["acct"].split("@")[0]
        if name not in {WATCHED, US}:
            raise KeyError(name)
        return self._account(name)

    def _accounts(self, request: Request) -> list[Json]:
        return []

    def _statuses_of(self, request: Request) -> tuple[list[Json], dict[str, str]]:
        by = request.path_params["id"].removeprefix("a-")
        reblogs = request.query_params.get("exclude_reblogs") != "true"
        hidden = {"direct", "private"} if by != US else set()
        mine = [t.id for t in self.toots.values() if t.by == by and (reblogs or not t.reblog_of)]
        page, links = self._page(request, [one for one in mine if self.toots[one].visibility not in hidden])
        return [self._shown(self.toots[one]) for one in page], links

    def _notifications(self, request: Request) -> tuple[list[Json], dict[str, str]]:
        asked = request.query_params
        wanted = set(asked.getlist("types[]")) & ANY
        shown = [
            name
            for name, toot in self.notices.items()
            if toot in self.toots
            and (name not in self.held_back or asked.get("include_filtered") == "true")
            and (self.types.get(name, "mention") in wanted or self.other_make)
        ]
        page, links = self._page(request, shown)
        return [self._notice(one) for one in page], links

    def _policy(self, request: Request) -> Json:
        return self.policy

    def _notice(self, name: str) -> Json:
        toot = self.toots[self.notices[name]]
        return {
            "id": name,
            "type": self.types.get(name, "mention"),
            "created_at": _iso(toot.at),
            "account": self._account(toot.by),
            "status": self._shown(toot),
        }

    def _tagged(self, request: Request) -> tuple[list[Json], dict[str, str]]:
        tag = request.path_params["tag"]
        page, links = self._page(
            request, [t.id for t in self.toots.values() if tag in t.tags and t.visibility == "public"]
        )
        return [self._shown(self.toots[one]) for one in page], links

    def _search(self, request: Request) -> Json:
        assert request.query_params["type"] == "statuses"
        words = request.query_params["q"]
        if words.startswith("https://"):
            return {"accounts": [], "hashtags": [], "statuses": self._resolved(request)}
        page, _ = self._page(
            request, [t.id for t in self.toots.values() if words in t.text and t.visibility == "public"]
        )
        return {"accounts": [], "hashtags": [], "statuses": [self._shown(self.toots[one]) for one in page]}

    def _resolved(self, request: Request) -> list[Json]:
        """The status at an address, or at the one that our server shows it under (app/services/resolve_url_service.rb)."""
        assert request.query_params["resolve"] == "true"
        for toot in self.toots.values():
            here = f"https://{HOST}/@{self._account(toot.by)['acct']}/{toot.id}"
            if request.query_params["q"] in {self.uri(toot), self.url(toot), here} and self._ours_to_see(toot):
                return [self._shown(toot)]
        return []

    def _ours_to_see(self, toot: Toot) -> bool:
        return toot.by == US or toot.visibility in {"public", "unlisted"}

    def _approval(self, toot: Toot) -> str:
        """docs.joinmastodon.org/entities/QuoteApproval: one's own are always quotable, but for direct ones."""
        if toot.visibility == "direct":
            return "denied"
        return "automatic" if toot.by == US else self.quotable.get(toot.id, "automatic")

    def _to_quote(self, body: Json) -> str | None:
        """What is not there, or not to be quoted, is 404 (app/controllers/api/v1/statuses_controller.rb)."""
        if not self.can_quote or "quoted_status_id" not in body:
            return None
        toot = self._found(body["quoted_status_id"])
        if not self._ours_to_see(toot) or self._approval(toot) in {"denied", "unknown"}:
            raise KeyError(toot.id)
        if body.get("media_ids"):
            raise ValueError("a quote goes without media")
        return toot.id

    def _context(self, request: Request) -> Json:
        toot = self._found(request.path_params["id"])
        ancestors: list[Json] = []
        while toot.parent in self.toots:
            toot = self.toots[toot.parent]
            ancestors.insert(0, self._shown(toot))
        return {"ancestors": ancestors, "descendants": []}

    async def _post(self, request: Request) -> Json:
        body = await request.json()
        quotes, key = self._to_quote(body), request.headers.get("idempotency-key", "")
        kept = self.keys.get(key)
        if kept and self.now - kept[0] < KEY_KEPT and not self.other_make:
            return self._shown(self.toots[kept[1]])
        if not body["status"].strip():
            raise ValueError("Text can't be blank")
        if length_of(body.get("spoiler_text", "") + body["status"], Length.MASTODON) > self.max_characters:
            raise ValueError(f"Text character limit of {self.max_characters} exceeded")
        parent = self._found(body["in_reply_to_id"])
        made = Toot(next(self._ids), US, body["status"], self.now, body["visibility"], parent.id)
        made.media = [
            {"id": one, "type": "image", "description": self.pictures[one][0]} for one in body.get("media_ids", ())
        ]
        made.quotes = quotes
        if quotes and self.toots[quotes].visibility == "private" and made.visibility != "direct":
            made.visibility = "private"
        made.spoiler, made.language = body.get("spoiler_text", ""), body.get("language")
        self.toots[made.id] = made
        self.keys[key] = (self.now, made.id)
        return self._shown(made)

    async def _put(self, request: Request) -> Json:
        """What an edit does not name goes; the same again is no edit (app/services/update_status_service.rb)."""
        body, toot = await request.json(), self._found(request.path_params["id"])
        if toot.by != US:
            raise KeyError(toot.id)
        if not body["status"].strip():
            raise ValueError("Text can't be blank")
        if length_of(body.get("spoiler_text", "") + body["status"], Length.MASTODON) > self.max_characters:
            raise ValueError(f"Text character limit of {self.max_characters} exceeded")
        media = [one for one in toot.media if one["id"] in body.get("media_ids", ())]
        said = (body["status"], body.get("spoiler_text", ""), body.get("language") or toot.language, media)
        if said != (toot.text, toot.spoiler, toot.language, toot.media):
            toot.text, toot.spoiler, toot.language, toot.media = said
            toot.edited = self.now
        return self._shown(toot)

    def _delete(self, request: Request) -> Json:
        """Ours alone can be deleted; of any other the server says that there is none."""
        toot = self._found(request.path_params["id"])
        if toot.by != US:
            raise KeyError(toot.id)
        del self.toots[toot.id]
        return self._shown(toot) | {"text": toot.text}

    async def _bring(self, request: Request) -> Json:
        async with request.form() as form:
            file, description = form["file"], str(form["description"])
            assert isinstance(file, UploadFile)
            name = f"m{len(self.pictures) + 1}"
            self.pictures[name] = (description, await file.read())
        return {"id": name, "type": "image", "url": None, "description": description}

    def _picture(self, request: Request) -> Json:
        name = request.path_params["id"]
        return {"id": name, "url": f"https://{HOST}/media/{name}", "description": self.pictures[name][0]}

    def _instance(self) -> Json:
        return {
            "domain": HOST,
            "title": "Social",
            "version": "4.5.0" if self.can_quote else "4.4.2",
            "api_versions": {"mastodon": 7 if self.can_quote else 6},
            "configuration": {
                "urls": {"streaming": self.streaming},
                "statuses": {"max_characters": self.max_characters, "characters_reserved_per_url": 23},
            },
        }

    def _instance_v2(self, request: Request) -> Json:
        return self._instance()

    # -- entities

    def _found(self, name: str) -> Toot:
        return self.toots[name]

    def _by_uri(self, uri: str) -> Toot:
        return next(toot for toot in self.toots.values() if self.uri(toot) == uri)

    def _account(self, name: str) -> Json:
        host = HOST if name == US else "other.example"
        return {
            "id": f"a-{name}",
            "username": name,
            "acct": name if name == US else f"{name}@{host}",
            "display_name": "Northwind Help" if name == US else name.title(),
            "url": f"https://{host}/@{name}",
            "uri": f"https://{host}/users/{name}",
            "avatar": f"https://{host}/avatars/{name}.png",
            "followers_count": 42,
            "note": "<p>hello</p>",
        }

    def _shown(self, toot: Toot) -> Json:
        if toot.broken:
            return {"id": toot.id, "uri": self.uri(toot), "created_at": None, "account": None, "content": 7}
        if toot.reblog_of:
            return self._plain_status(toot) | {"content": "", "reblog": self._shown(self.toots[toot.reblog_of])}
        return self._plain_status(toot)

    def _plain_status(self, toot: Toot) -> Json:
        parent = self.toots.get(toot.parent or "")
        named = [US] if f"@{US}" in toot.text else []
        approval = {"automatic": ["public"], "manual": [], "current_user": self._approval(toot)}
        return {
            "id": toot.id,
            "uri": self.uri(toot),
            "url": self.url(toot),
            "created_at": _iso(toot.at),
            "account": self._account(toot.by),
            "edited_at": _iso(toot.edited) if toot.edited else None,
            "content": self._fallback(toot) + rendered(toot.text, toot.tags),
            "visibility": toot.visibility,
            "spoiler_text": toot.spoiler,
            "sensitive": bool(toot.spoiler),
            "language": toot.language,
            "in_reply_to_id": toot.parent,
            "in_reply_to_account_id": f"a-{parent.by}" if parent else None,
            "mentions": [
                {"id": f"a-{one}", "username": one, "acct": one, "url": f"https://{HOST}/@{one}"} for one in named
            ],
            "media_attachments": toot.media,
            "tags": [{"name": tag} for tag in toot.tags],
            "card": None,
            "poll": None,
            "quote": self._quote(toot),
            **({"quote_approval": approval} if self.can_quote else {}),
            "reblog": None,
            **toot.more,
        }

    def _quote(self, toot: Toot) -> Json | None:
        """docs.joinmastodon.org/client/quotes: a post of another server waits for that server to accept."""
        quoted = self.toots.get(toot.quotes or "")
        if quoted is None or quoted.by != US:
            return {"state": "pending" if quoted else "deleted", "quoted_status": None} if toot.quotes else None
        return {"state": "accepted", "quoted_status": self._shown(quoted)}

    def _fallback(self, toot: Toot) -> str:
        """app/lib/text_formatter.rb: a link for those who show no quotes, unless the text has it."""
        url = self.url(self.toots[toot.quotes]) if toot.quotes in self.toots else ""
        return "" if not url or url in toot.text else f'<p class="quote-inline">RE: {_link(url)}</p>'


class FakeOtherMake(FakeMastodon):
    """ULIDs, no Link headers, no v2 instance, empty contexts, no memory for idempotency keys, no allowance headers.

    Nor a look-up of accounts, a policy for notifications, a filter by their type, or a stream of server-sent events.
    """

    other_make = True
    page_size = 7

    def __init__(self, source: Source = Source.MENTIONS) -> None:
        super().__init__(source, ulids=True)

    def limited(self) -> httpx.Response:
        headers = {"Retry-After": str(int(self.rate_wait.total_seconds()))}
        return httpx.Response(429, headers=headers, json={"error": "Throttled"})

    def _allowance(self) -> dict[str, str]:
        return {}

    def _links(self, links: list[str]) -> dict[str, str]:
        return {}

    def _context(self, request: Request) -> Json:
        self._found(request.path_params["id"])
        return {"ancestors": [], "descendants": []}

    def _instance_v2(self, request: Request) -> Json:
        raise KeyError("not here")

    def _lookup(self, request: Request) -> Json:
        raise KeyError("not here")

    def _policy(self, request: Request) -> Json:
        raise KeyError("not here")

    def _accounts(self, request: Request) -> list[Json]:
        asked = request.query_params["q"]
        return [self._account(one) for one in (f"{WATCHED}-fans", WATCHED) if asked.startswith(WATCHED)]

    def _instance(self) -> Json:
        return {"uri": HOST, "title": "Other", "version": "2.7.2 (compatible; Otherdon 0.3)", "max_toot_chars": 5000}


def rendered(text: str, tags: tuple[str, ...] = ()) -> str:
    """The HTML that Mastodon makes of what was typed: paragraphs, links with hidden parts, mentions as cards."""
    out = "".join(_pieces(text))
    out += "".join(f' <a class="mention hashtag" href="/tags/{tag}" rel="tag">#<span>{tag}</span></a>' for tag in tags)
    return "".join(f"<p>{part}</p>" for part in out.split("\n\n")).replace("\n", "<br />")


def _pieces(text: str) -> Iterator[str]:
    at = 0
    for found in re.finditer(f"{_LINK.pattern}|{_MENTION.pattern}", text):
        yield html.escape(text[at : found.start()], quote=False)
        yield _link(found.group()) if found.group().startswith("http") else _mention(found.group(1))
        at = found.end()
    yield html.escape(text[at:], quote=False)


def _link(url: str) -> str:
    scheme, _, rest = url.partition("://")
    shown, hidden = html.escape(rest[:30]), html.escape(rest[30:])
    return (
        f'<a href="{html.escape(url)}" rel="nofollow noopener" target="_blank"><span class="invisible">{scheme}://</span>'
        f'<span class="{"ellipsis" if hidden else ""}">{shown}</span><span class="invisible">{hidden}</span></a>'
    )


def _mention(user: str) -> str:
    return f'<span class="h-card" translate="no"><a href="https://{HOST}/@{user}" class="u-url mention">@<span>{user}</span></a></span>'


def _streamed(said: Any) -> str:
    """As JSON.stringify writes it: only what must be escaped is."""
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


def _rank(name: str) -> tuple[int, str]:
    return len(name), name


def _ulids() -> Iterator[str]:
    for number in count(1):
        digits, rest = "", number
        for _ in range(10):
            rest, digit = divmod(rest, 32)
            digits = CROCKFORD[digit] + digits
        yield "01JBQ3Z5K8XW4T6N" + digits


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, media_type="application/json")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "mastodon-mentions": FakeMastodon,
    "mastodon-hashtag": partial(FakeMastodon, Source.HASHTAG),
    "mastodon-account": partial(FakeMastodon, Source.ACCOUNT),
    "mastodon-search": partial(FakeMastodon, Source.SEARCH),
    "mastodon-ulids": partial(FakeMastodon, ulids=True),
    "mastodon-other-make": FakeOtherMake,
    "mastodon-other-make-hashtag": partial(FakeOtherMake, Source.HASHTAG),
    "mastodon-other-make-account": partial(FakeOtherMake, Source.ACCOUNT),
}
