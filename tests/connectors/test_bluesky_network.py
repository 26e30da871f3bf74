"""The Bluesky connector against a real network on loopback: `make peers` (or `tools/peers/bluesky.sh start` before).

Everything here is the real software: directory, personal data server, app view. The app view follows the data server's
firehose, so what was written is awaited there by asking until it shows, never by sleeping a fixed time.
"""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Route, async_playwright
from pydantic import SecretStr

from app.connectors.base import IncomingPost, Json, Link, OutgoingReply, PostKind, SettingsModel
from app.connectors.bluesky import BlueskyConnector
from app.connectors.bluesky_account import SIGN_IN, BlueskyCredentials
from app.connectors.bluesky_lists import BlueskySettings, Source
from app.connectors.bluesky_oauth import prepared, require_asked
from app.connectors.oauth import ask, fresh, redeem
from app.errors import Refused, Unauthorized

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1200)]  # the first start fetches the network

PDS, DIRECTORY = "http://localhost:2583", "http://localhost:2582"
BACK = "http://127.0.0.1:8765/oauth/callback/7"  # nobody listens there: the browser is stopped on its way
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
POST = "app.bsky.feed.post"
SCRIPT = Path(__file__).parents[2] / "tools" / "peers" / "bluesky.sh"
PATIENCE = 20.0  # seconds until the app view must have caught up

T = TypeVar("T")

bluesky = BlueskyConnector()


@pytest.fixture(scope="session", autouse=True)
def network(request: pytest.FixtureRequest) -> None:
    """The network, started if it does not run yet, and left running: the next test run finds it."""
    if "peer" not in request.config.getoption("markexpr"):
        pytest.skip("needs a real Bluesky network: make peers")
    subprocess.run([str(SCRIPT), "start"], check=True, timeout=900)


@dataclass
class Person:
    """An account on the real server, used as a person would use it with an app."""

    http: httpx.AsyncClient
    handle: str
    did: str
    token: str

    @classmethod
    async def join(cls, http: httpx.AsyncClient, name: str) -> "Person":
        handle = f"{name}-{uuid4().hex[:8]}.test"
        account = {"handle": handle, "email": f"{handle}@mail.example", "password": "correct horse"}
        answer = await http.post(f"{PDS}/xrpc/com.atproto.server.createAccount", json=account)
        answer.raise_for_status()
        return cls(http, handle, answer.json()["did"], answer.json()["accessJwt"])

    async def post_to(self, method: str, body: Json) -> Json:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = await self.http.post(f"{PDS}/xrpc/{method}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}

    async def ask(self, method: str, **params: Any) -> Json:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = await self.http.get(f"{PDS}/xrpc/{method}", params=params, headers=headers)
        return dict(answer.json())

    async def write(self, text: str, **fields: Any) -> Json:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"$type": POST, "text": text, "createdAt": now, "langs": ["en"], **fields}
        body = {"repo": self.did, "collection": POST, "record": record}
        made = await self.post_to("com.atproto.repo.createRecord", body)
        return {"uri": made["uri"], "cid": made["cid"]}

    async def mention(self, other: "Person", text: str, **fields: Any) -> Json:
        feature = {"$type": "app.bsky.richtext.facet#mention", "did": other.did}
        facet = {"index": {"byteStart": 0, "byteEnd": len(other.handle) + 1}, "features": [feature]}
        return await self.write(f"@{other.handle} {text}", facets=[facet], **fields)

    async def delete(self, uri: str) -> None:
        body = {"repo": self.did, "collection": POST, "rkey": uri.rpartition("/")[2]}
        await self.post_to("com.atproto.repo.deleteRecord", body)


class Desk:
    """Our side: an account with an app password, and what a worker would hold for it."""

    def __init__(self, person: Person, password: str) -> None:
        self.person = person
        self.kept: list[BlueskyCredentials] = []
        self.cursor: Json = {}
        self.found: dict[str, IncomingPost] = {}
        self.credentials = BlueskyCredentials(service=PDS, identifier=person.handle, app_password=SecretStr(password))

    def link(self, settings: BlueskySettings | None = None) -> Link:
        async def keep(fresh: SettingsModel) -> None:
            assert isinstance(fresh, BlueskyCredentials)
            self.kept.append(fresh)
            self.credentials = fresh

        return Link(settings or BlueskySettings(), self.credentials, self.person.http, datetime.now(UTC), keep)

    async def fetch(self, settings: BlueskySettings | None = None) -> None:
        batch = await bluesky.fetch(self.link(settings), self.cursor)
        repeated = self.found.keys() & {post.external_id for post in batch.posts}
        assert not repeated, "the same post came twice"
        self.cursor = batch.cursor
        self.found |= {post.external_id: post for post in batch.posts}

    async def see(self, uri: str, settings: BlueskySettings | None = None) -> IncomingPost:
        async def there() -> IncomingPost | None:
            await self.fetch(settings)
            return self.found.get(uri)

        return await until(there)

    def reply(self, to: IncomingPost, text: str) -> OutgoingReply:
        reply = OutgoingReply(str(uuid4()), text, to.visibility, to.ref, to.external_id, datetime.now(UTC))
        return replace(reply, prepared=bluesky.prepare(self.link(), reply))


async def until(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Ask until there is an answer."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await ask()) is None:  # noqa: ASYNC110 - what is awaited happens in another process
            await asyncio.sleep(0.1)
    return answer


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


@pytest.fixture
async def stranger(http: httpx.AsyncClient) -> Person:
    return await Person.join(http, "ada")


@pytest.fixture
async def desk(http: httpx.AsyncClient) -> Desk:
    us = await Person.join(http, "north")
    made = await us.post_to("com.atproto.server.createAppPassword", {"name": "careline"})
    return Desk(us, made["password"])


async def thread(person: Person, uri: str, *, replies: int) -> Json:
    """The thread as the app view shows it, once it shows that many replies."""

    async def shown() -> Json | None:
        answer = (await person.ask("app.bsky.feed.getPostThread", uri=uri)).get("thread", {})
        return answer if len(answer.get("replies", ())) >= replies else None

    return await until(shown)


async def test_a_mention_is_answered_in_its_thread_and_the_answer_comes_back(desk: Desk, stranger: Person) -> None:
    await desk.fetch()
    asked = await stranger.mention(desk.person, "where is my parcel? 📦")
    post = await desk.see(asked["uri"])
    assert (post.kind, post.thread_id, post.language) == (PostKind.MENTION, asked["uri"], "en")
    assert post.author.external_id == stranger.did
    assert post.posted_at <= datetime.now(UTC)

    reply = desk.reply(post, f"Grüße @{stranger.handle}! Siehe https://northwind.example/ä #Paket")
    assert await bluesky.find_sent(desk.link(), reply) is None
    sent = await bluesky.send(desk.link(), reply)
    again = await bluesky.send(desk.link(), reply)
    found = await bluesky.find_sent(desk.link(), reply)
    assert found is not None
    assert sent.external_id == again.external_id == found.external_id
    assert sent.ref == again.ref == found.ref

    (standing,) = (await thread(stranger, asked["uri"], replies=1))["replies"]
    assert standing["post"]["uri"] == sent.external_id
    record = standing["post"]["record"]
    assert record["reply"] == {"root": asked, "parent": asked}
    raw = record["text"].encode()
    spans = [raw[f["index"]["byteStart"] : f["index"]["byteEnd"]].decode() for f in record["facets"]]
    assert spans == [f"@{stranger.handle}", "https://northwind.example/ä", "#Paket"]

    ours = {"uri": sent.external_id, "cid": sent.ref["cid"]}
    thanks = await stranger.write("thank you!", reply={"root": asked, "parent": ours})
    back = await desk.see(thanks["uri"])
    assert (back.kind, back.in_reply_to, back.thread_id) == (PostKind.REPLY, sent.external_id, post.thread_id)

    second = await bluesky.send(desk.link(), desk.reply(back, "You are welcome."))
    answers = (await thread(stranger, thanks["uri"], replies=1))["replies"]
    assert [one["post"]["uri"] for one in answers] == [second.external_id]
    assert answers[0]["post"]["record"]["reply"] == {"root": asked, "parent": thanks}


async def test_a_session_is_refreshed_with_its_own_token_and_a_revoked_password_is_noticed(desk: Desk) -> None:
    await desk.fetch()
    first = desk.credentials
    assert first.refresh_jwt is not None
    desk.credentials = first.model_copy(update={"access_jwt": SecretStr("no.such.token")})
    await desk.fetch()
    assert len(desk.kept) == 2
    assert desk.credentials.refresh_jwt != first.refresh_jwt

    await desk.person.post_to("com.atproto.server.revokeAppPassword", {"name": "careline"})
    desk.credentials = desk.credentials.model_copy(update={"access_jwt": SecretStr("no.such.token")})
    with pytest.raises(Unauthorized, match="app password"):
        await desk.fetch()


async def test_a_deleted_post_is_not_answered(desk: Desk, stranger: Person) -> None:
    asked = await stranger.mention(desk.person, "never mind")
    post = await desk.see(asked["uri"])
    await stranger.delete(asked["uri"])

    async def gone() -> bool | None:
        answer = await stranger.ask("app.bsky.feed.getPosts", uris=[asked["uri"]])
        return True if not answer["posts"] else None

    await until(gone)
    reply = desk.reply(post, "too late")
    with pytest.raises(Refused, match="deleted"):
        await bluesky.send(desk.link(), reply)
    assert await bluesky.find_sent(desk.link(), reply) is None


async def test_a_record_is_never_overwritten_by_another_under_its_key(desk: Desk, stranger: Person) -> None:
    post = await desk.see((await stranger.mention(desk.person, "hello"))["uri"])
    first, second = desk.reply(post, "one"), desk.reply(post, "two")
    await bluesky.send(desk.link(), first)
    clash = replace(second, prepared={**second.prepared, "rkey": first.prepared["rkey"]})
    with pytest.raises(Refused, match="Another record"):
        await bluesky.send(desk.link(), clash)


async def test_pages_follow_one_another_without_a_gap(desk: Desk, stranger: Person) -> None:
    uris = [(await stranger.mention(desk.person, f"question {n}"))["uri"] for n in range(125)]
    await desk.see(uris[-1])

    async def all_there() -> bool | None:
        await desk.fetch()
        return True if set(uris) <= desk.found.keys() else None

    await until(all_there)


async def test_pictures_and_quotes_come_with_their_words(desk: Desk, stranger: Person) -> None:
    ours = await desk.person.write("our news")
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
    )
    headers = {"authorization": f"Bearer {stranger.token}", "content-type": "image/png"}
    uploaded = await stranger.http.post(f"{PDS}/xrpc/com.atproto.repo.uploadBlob", content=pixel, headers=headers)
    image = {"image": uploaded.json()["blob"], "alt": "a torn boot"}
    shown = await stranger.mention(desk.person, "see", embed={"$type": "app.bsky.embed.images", "images": [image]})
    quoted = await stranger.write("this?", embed={"$type": "app.bsky.embed.record", "record": ours})
    picture = (await desk.see(shown["uri"])).media[0]
    quote = (await desk.see(quoted["uri"])).media[0]
    assert (picture.kind, picture.description) == ("image", "a torn boot")
    assert (quote.kind, quote.description, quote.quote and quote.quote.handle) == (
        "quote",
        "our news",
        desk.person.handle,
    )


async def test_an_accounts_posts_and_a_search_are_brought(desk: Desk, stranger: Person) -> None:
    word = f"boots{uuid4().hex[:8]}"
    written = await stranger.write(f"my {word} leak")
    account = BlueskySettings(source=Source.AUTHOR, value=stranger.handle)
    assert (await desk.see(written["uri"], account)).kind is PostKind.POST
    desk.cursor, desk.found = {}, {}
    search = BlueskySettings(source=Source.SEARCH, value=word)
    assert (await desk.see(written["uri"], search)).text == f"my {word} leak"


async def test_testing_the_connection_says_who_we_are(desk: Desk, stranger: Person) -> None:
    asked = await stranger.mention(desk.person, "anybody there?")
    await desk.see(asked["uri"])
    said = await bluesky.check(desk.link())
    assert said.account is not None
    assert (said.account.external_id, said.account.handle) == (desk.person.did, desk.person.handle)
    assert said.sample is not None
    assert said.sample.external_id == asked["uri"]


# Signing in on the server itself


async def agreed(url: str, password: str, back: str) -> dict[str, str]:
    """A person signs in and agrees in a browser; what the server sends back with it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def arrive(route: Route) -> None:
        await route.fulfill(body="back")
        came.set_result(route.request.url)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=SWITCHES)
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.route(f"{back}**", arrive)
        await page.goto(url)
        await page.fill("input[type=password]", password)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="Authorize").click()
        found = await came
        await browser.close()
    return dict(parse_qsl(urlsplit(found).query))


async def test_an_account_signs_in_by_oauth_and_its_tokens_read_and_are_renewed() -> None:
    async with httpx.AsyncClient(timeout=20) as http:
        us, ada = await Person.join(http, "north"), await Person.join(http, "ada")
        asked = await ada.mention(us, "my parcel is lost")
        desk = Desk(us, "")
        desk.credentials = desk.credentials.model_copy(update={"directory": DIRECTORY})
        desk.credentials = made = await prepared(desk.link(), BACK)
        way = SIGN_IN.at(made)
        question = ask(way, made.client_id, BACK)
        came = await agreed(await bluesky.leave(desk.link(), question.url), "correct horse", BACK)
        assert (came["iss"], came["state"]) == (PDS, question.state)
        brought = await redeem(desk.link(), way, code=came["code"], redirect=BACK, verifier=question.verifier)
        desk.credentials = require_asked(brought)  # type: ignore[arg-type]
        who = await bluesky.who(desk.link())
        assert who is not None
        assert (who.external_id, who.handle) == (us.did, us.handle)
        assert (await desk.see(asked["uri"])).text.endswith("my parcel is lost")
        old = desk.credentials.access_token.get_secret_value()
        assert await fresh(desk.link(), SIGN_IN, refused=old) != old
        await desk.fetch()
