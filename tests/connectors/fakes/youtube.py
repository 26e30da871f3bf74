"""The YouTube Data API as far as the connector meets it: threads by their first comment, quota, reasons for refusals."""

import html
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import IncomingAuthor, Json, SettingsModel
from app.connectors.testing import Gives
from app.connectors.testing.fake import FakeChannel, Standing
from app.connectors.youtube import Source, YouTubeCredentials, YouTubeSettings

TOKEN, KEY = "secret-token", "secret-key"
US, VIDEO = "UCnorthwind0000000000000", "vidTent0001"
V3 = "/youtube/v3"


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, status: int, reason: str, said: str) -> None:
        super().__init__(said)
        self.status, self.reason = status, reason


@dataclass(slots=True)
class Remark:
    """A comment in the model."""

    id: str
    by: str
    text: str
    at: datetime
    parent: str | None = None
    video: str = VIDEO
    edited: datetime | None = None
    broken: bool = False


@dataclass(slots=True)
class Clip:
    """A video of somebody in the model."""

    id: str
    by: str
    text: str
    at: datetime
    broken: bool = False


class FakeYouTube(FakeChannel):
    """The model and its surface. `source` says which feed this variant is; `keyed` reads by API key alone."""

    connector = registry.get("youtube")
    page_size = 10  # YouTube may give less than was asked for
    shows_direct = False

    def __init__(self, source: Source = Source.COMMENTS) -> None:
        super().__init__()
        self.source = source
        self.shows_own = source is Source.COMMENTS
        self.keyed = False
        if source is Source.SEARCH:
            self.cannot_give = {Gives.EDITS: "a video does not tell when it was edited"}
        self.remarks: dict[str, Remark] = {}
        self.clips: dict[str, Clip] = {}
        self.along = 2  # replies that come with a thread
        self.units = 0
        self.quota = 1_000_000
        self._numbers = count(1)

    @property
    def app(self) -> ASGIApp:
        routes: list[tuple[str, str, int, Callable[[Request], Any]]] = [
            ("GET", "/channels", 1, self._channels),
            ("GET", "/commentThreads", 1, self._threads),
            ("POST", "/commentThreads", 50, self._insert_thread),
            ("GET", "/comments", 1, self._comments),
            ("POST", "/comments", 50, self._insert),
            ("DELETE", "/comments", 50, self._delete),
            ("GET", "/search", 100, self._search),
            ("GET", "/videos", 1, self._videos),
        ]
        made = [Route(V3 + path, partial(self._answer, cost, run), methods=[how]) for how, path, cost, run in routes]
        return Starlette(routes=made)

    def settings(self) -> SettingsModel:
        return YouTubeSettings(source=self.source, value="northwind" if self.source is Source.SEARCH else "")

    def credentials(self) -> SettingsModel:
        if self.keyed:
            return YouTubeCredentials(api_key=SecretStr(KEY), channel="@northwind")
        return YouTubeCredentials(client_id="northwind", access_token=SecretStr(TOKEN))

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(US, "northwind", "Northwind")

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        if self.source is Source.SEARCH:
            clip = Clip(f"clip{next(self._numbers):07}", by, text, self.now)
            self.clips[clip.id] = clip
            self.tick()
            return f"video:{clip.id}"
        return self.remark(by, text, parent=under).id

    def arrive_broken(self) -> None:
        name = self.arrive("northwind")
        (self.clips[name.removeprefix("video:")] if name.startswith("video:") else self.remarks[name]).broken = True

    def arrive_own(self, text: str) -> str:
        return self.remark("northwind", text).id

    def remark(self, by: str, text: str, **more: Any) -> Remark:
        """Somebody comments."""
        made = Remark(f"Ugx{next(self._numbers):08}", by, text, self.now, **more)
        self.remarks[made.id] = made
        self.tick()
        return made

    def remove(self, external_id: str) -> None:
        if external_id.startswith("video:"):
            del self.clips[external_id.removeprefix("video:")]
        else:
            del self.remarks[external_id]

    def ledger(self) -> list[Standing]:
        mine = [one for one in self.remarks.values() if one.by == "northwind"]
        return [
            Standing(one.id, one.text, one.parent or (f"video:{one.video}" if one.video != VIDEO else None))
            for one in mine
        ]

    def is_send(self, request: httpx.Request) -> bool:
        return request.method in {"POST", "DELETE"}

    def limited(self) -> httpx.Response:
        wait = {"Retry-After": str(int(self.rate_wait.total_seconds()))}
        return httpx.Response(429, headers=wait, json=_error(429, "rateLimitExceeded", "Slow down."))

    def expired(self) -> httpx.Response:
        return httpx.Response(401, json=_error(401, "authError", "Invalid Credentials"))

    # -- the surface

    async def _answer(self, cost: int, run: Callable[[Request], Any], request: Request) -> Response:
        signed = request.headers.get("authorization") == f"Bearer {TOKEN}"
        keyed = request.query_params.get("key") == KEY and request.method == "GET"
        if not (signed or keyed):
            return _json(_error(401, "authError", "Invalid Credentials"), 401)
        if self.units + cost > self.quota:
            return _json(_error(403, "quotaExceeded", "The request cannot be completed: quota exceeded."), 403)
        self.units += cost
        try:
            found = run(request)
            value = await found if isinstance(found, Awaitable) else found
        except Refusal as refusal:
            return _json(_error(refusal.status, refusal.reason, str(refusal)), refusal.status)
        return Response(status_code=204) if value is None else _json(value, 200)

    def _channels(self, request: Request) -> Json:
        asked = request.query_params
        if asked.get("mine") != "true" and asked.get("forHandle") != "@northwind" and asked.get("id") != US:
            return {"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 0}}
        return {"items": [{"id": US, "snippet": {"title": "Northwind", "customUrl": "@northwind"}}]}

    def _threads(self, request: Request) -> Json:
        asked = request.query_params
        video = asked.get("videoId")
        tops = [one for one in self.remarks.values() if one.parent is None]
        if video is None:
            assert asked["allThreadsRelatedToChannelId"] == US
            tops = [one for one in tops if one.video == VIDEO]
        else:
            tops = [one for one in tops if one.video == video]
        page, more = self._page(asked, sorted(tops, key=lambda one: one.at, reverse=True))
        return {"kind": "youtube#commentThreadListResponse", "items": [self._thread(one) for one in page]} | more

    def _thread(self, top: Remark) -> Json:
        under = sorted((one for one in self.remarks.values() if one.parent == top.id), key=lambda one: one.at)
        snippet = {"channelId": US, "videoId": top.video, "topLevelComment": self._shown(top), "canReply": True}
        made: Json = {"id": top.id, "snippet": snippet | {"totalReplyCount": len(under), "isPublic": True}}
        return made | ({"replies": {"comments": [self._shown(one) for one in under[: self.along]]}} if under else {})

    def _comments(self, request: Request) -> Json:
        asked = request.query_params
        if "id" in asked:
            return {"items": [self._shown(self.remarks[one]) for one in asked["id"].split(",") if one in self.remarks]}
        if asked["parentId"] not in self.remarks:
            raise Refusal(404, "commentNotFound", "The parent comment was not found.")
        under = sorted(
            (one for one in self.remarks.values() if one.parent == asked["parentId"]), key=lambda one: one.at
        )
        page, more = self._page(asked, under)
        return {"items": [self._shown(one) for one in page]} | more

    async def _insert(self, request: Request) -> Json:
        snippet = (await request.json())["snippet"]
        parent = self.remarks.get(snippet["parentId"])
        if parent is None:
            raise Refusal(404, "parentCommentNotFound", "The parent comment was not found.")
        return self._written(snippet["textOriginal"], parent=parent.id)

    async def _insert_thread(self, request: Request) -> Json:
        snippet = (await request.json())["snippet"]
        if snippet["videoId"] not in self.clips:
            raise Refusal(404, "videoNotFound", "The video was not found.")
        made = self._written(snippet["topLevelComment"]["snippet"]["textOriginal"], video=snippet["videoId"])
        return {"id": made["id"], "snippet": {"topLevelComment": made, "videoId": snippet["videoId"]}}

    def _written(self, text: str, **more: Any) -> Json:
        if len(text) > 10_000:
            raise Refusal(400, "commentTextTooLong", "The comment is too long.")
        made = Remark(f"Ugx{next(self._numbers):08}", "northwind", text, self.now, **more)
        self.remarks[made.id] = made
        return self._shown(made)

    def _delete(self, request: Request) -> None:
        if self.remarks.pop(request.query_params["id"], None) is None:
            raise Refusal(404, "commentNotFound", "The comment was not found.")

    def _search(self, request: Request) -> Json:
        asked = request.query_params
        after = datetime.fromisoformat(asked["publishedAfter"]) if "publishedAfter" in asked else None
        found = [one for one in self.clips.values() if after is None or one.at >= after]
        page, more = self._page(asked, sorted(found, key=lambda one: one.at, reverse=True))
        return {"kind": "youtube#searchListResponse", "items": [_found(one) for one in page]} | more

    def _videos(self, request: Request) -> Json:
        return {"items": [{"id": one} for one in request.query_params["id"].split(",") if one in self.clips]}

    def _page(self, asked: Any, found: list[Any]) -> tuple[list[Any], Json]:
        start = int(asked.get("pageToken", "p0").removeprefix("p"))
        size = min(int(asked.get("maxResults", "20")), self.page_size)
        more = {"nextPageToken": f"p{start + size}"} if len(found) > start + size else {}
        return found[start : start + size], more

    def _shown(self, one: Remark) -> Json:
        if one.broken:
            return {"id": one.id, "snippet": {"publishedAt": "some day"}}
        channel = US if one.by == "northwind" else f"UC{one.by}"
        snippet: Json = {
            "channelId": US,
            "videoId": one.video,
            "textDisplay": one.text,
            "textOriginal": one.text,
            "authorDisplayName": f"@{one.by}",
            "authorProfileImageUrl": f"https://yt3.ggpht.com/{one.by}.jpg",
            "authorChannelUrl": f"http://www.youtube.com/@{one.by}",
            "authorChannelId": {"value": channel},
            "publishedAt": _iso(one.at),
            "updatedAt": _iso(one.edited or one.at),
        }
        return {"id": one.id, "snippet": snippet | ({"parentId": one.parent} if one.parent else {})}


class FakeComments(FakeYouTube):
    """Comments tell when they were edited; what a search finds does not."""

    def rewrite(self, external_id: str, text: str) -> None:
        self.remarks[external_id].text = text
        self.remarks[external_id].edited = self.tick()


def _found(one: Clip) -> Json:
    if one.broken:
        return {"id": {"kind": "youtube#video", "videoId": one.id}, "snippet": {"title": 7}}
    snippet = {
        "publishedAt": _iso(one.at),
        "channelId": f"UC{one.by}",
        "title": "About northwind",
        "description": html.escape(one.text),
        "channelTitle": one.by.title(),
        "thumbnails": {"medium": {"url": f"https://i.ytimg.com/vi/{one.id}/mqdefault.jpg"}},
        "liveBroadcastContent": "none",
    }
    return {"kind": "youtube#searchResult", "id": {"kind": "youtube#video", "videoId": one.id}, "snippet": snippet}


def _error(status: int, reason: str, said: str) -> Json:
    return {
        "error": {"code": status, "message": said, "errors": [{"message": said, "domain": "youtube", "reason": reason}]}
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _json(value: Any, status: int) -> Response:
    return Response(json.dumps(value), status, media_type="application/json")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "youtube-comments": FakeComments,
    "youtube-search": partial(FakeYouTube, Source.SEARCH),
}
