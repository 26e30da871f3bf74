"""The Telegram connector against telegram-test-api on loopback: `make peers` (or `tools/peers/telegram.sh start` before).

That server is no Telegram in all it does: it gives each update once whatever the offset, and tells times in milliseconds.
"""

import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from app.connectors.base import IncomingAuthor, IncomingPost, Json, Link, OutgoingReply, SettingsModel
from app.connectors.base import Standing as Placed
from app.connectors.telegram import TelegramConnector
from app.connectors.telegram_settings import TelegramCredentials, TelegramSettings
from app.settings import Settings
from app.transport import guarded_client

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]
TOOL = Path(__file__).resolve().parents[2] / "tools" / "peers" / "telegram.sh"
SERVER = "http://localhost:2590"
TELEGRAM = TelegramConnector()


@pytest.fixture(scope="module", autouse=True)
def _server(request: pytest.FixtureRequest) -> Iterator[None]:
    if "peer" not in request.config.getoption("markexpr"):
        pytest.skip("needs a Telegram on loopback: make peers")
    there = subprocess.run([TOOL, "status"], check=False, capture_output=True).returncode == 0
    if not there:
        subprocess.run([TOOL, "start"], check=True)
    yield
    if not there:
        subprocess.run([TOOL, "stop"], check=True)


async def _keep(_credentials: SettingsModel) -> None:
    pytest.fail("a bot's token is never refreshed")


class Talk:
    """A bot, and a person who writes to it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.token = f"{uuid4().int % 10**9}:test"
        self.person = uuid4().int % 10**9

    def link(self) -> Link:
        held = TelegramCredentials(token=SecretStr(self.token), server=SERVER)
        us = IncomingAuthor(self.token.partition(":")[0], "TestNameBot")
        return Link(TelegramSettings(), held, self.http, datetime.now(UTC), _keep, us)

    async def says(self, text: str) -> None:
        """The person writes."""
        chat = {"id": self.person, "type": "private", "first_name": "Ada"}
        message = {
            "text": text,
            "chat": chat,
            "from": {**chat, "is_bot": False},
            "date": int(datetime.now(UTC).timestamp()),
        }
        (await self.http.post(f"{SERVER}/sendMessage", json={"botToken": self.token, **message})).raise_for_status()

    async def heard(self) -> list[Json]:
        """What the bot wrote, as the server keeps it."""
        response = await self.http.post(f"{SERVER}/getUpdatesHistory", json={"token": self.token})
        return [one for one in response.json()["result"] if "chat_id" in one["message"]]

    async def brought(self, cursor: Json | None = None) -> tuple[list[IncomingPost], Json]:
        batch = await TELEGRAM.fetch(self.link(), cursor or {})
        return list(batch.posts), batch.cursor


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    async with guarded_client(Settings(), also=frozenset({"localhost"})) as http:
        yield Talk(http)


def reply(post: IncomingPost, text: str, link: Link, **more: Any) -> OutgoingReply:
    made = OutgoingReply(str(uuid4()), text, post.visibility, post.ref, post.external_id, link.now, **more)
    prepared = TELEGRAM.prepare(link, made)
    return OutgoingReply(made.key, text, made.visibility, post.ref, post.external_id, link.now, prepared, **more)


async def test_a_conversation_is_brought_answered_edited_and_taken_back(talk: Talk) -> None:
    said = await TELEGRAM.check(talk.link())
    assert said.message == "Connected as @TestNameBot."
    await talk.says("Where is my order?")
    [post], cursor = await talk.brought()
    assert (post.text, post.author.name) == ("Where is my order?", "Ada")
    link = talk.link()
    sent = await TELEGRAM.send(link, reply(post, "It comes today.", link))
    [heard] = await talk.heard()
    assert heard["message"]["text"] == "It comes today."
    assert heard["message"]["reply_parameters"] == {"message_id": post.ref["id"]}
    placed = Placed(sent.external_id, sent.ref, "", post.ref, post.visibility, "", link.now)
    await TELEGRAM.edit(link, placed, "It comes tomorrow.")
    assert [one["message"]["text"] for one in await talk.heard()] == ["It comes tomorrow."]
    await TELEGRAM.delete(link, placed)
    assert await talk.heard() == []
    await talk.says("Thank you!")
    [second], _ = await talk.brought(cursor)
    assert second.thread_id == post.thread_id


async def test_a_stream_waits_for_what_is_written(talk: Talk) -> None:
    stream = TELEGRAM.listen(talk.link(), {})
    assert (await anext(stream)).posts == ()
    await talk.says("Hello?")
    assert [post.text for post in (await anext(stream)).posts] == ["Hello?"]
    await stream.aclose()
