"""The network as others see it: its API, its public page, its ledger, its port."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.connectors.base import Link, OutgoingReply, SettingsModel
from app.connectors.demo import DemoConnector, DemoCredentials, DemoSettings
from app.connectors.testing.fake import START
from app.demo.ledger import Ledger
from app.demo.network import Network
from app.demo.server import running
from app.demo.world import Pace
from app.errors import Blocked
from app.settings import Settings
from app.transport import guarded_client


class Clock:
    now = START

    def __call__(self) -> object:
        return self.now


async def _keep(_: SettingsModel) -> None:
    raise AssertionError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def network(tmp_path: Path, clock: Clock) -> Iterator[Network]:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    yield Network(ledger, lambda: clock.now)
    ledger.close()


def browser(network: Network, token: str | None = None) -> httpx.AsyncClient:
    held = network.ledger.identity.token if token is None else token
    headers = {"authorization": f"Bearer {held}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(network.app), base_url="http://town.example", headers=headers
    )


def ask(network: Network, text: str, *, direct: bool = False) -> int:
    post, rows = network.world.speak(network.clock(), "maya.okafor", text, direct=direct)
    network.ledger.append(rows)
    return post.id


async def answer(
    client: httpx.AsyncClient, parent: object, text: str = "On its way!", key: str = "k"
) -> httpx.Response:
    return await client.post("/api/posts", json={"text": text, "in_reply_to": parent}, headers={"idempotency-key": key})


async def test_our_answer_stands_on_the_public_page_as_text_and_nothing_else(network: Network) -> None:
    asked = ask(network, "Where is my <b>tent</b>?")
    async with browser(network) as client:
        await answer(client, asked, "On its way <script>alert(1)</script>")
        page = await client.get("/")
        assert (await client.get(f"/posts/{asked}")).status_code == 200
    assert "On its way &lt;script&gt;" in page.text
    assert "<b>tent" not in page.text
    assert 'class="ours"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_direct_messages_are_on_no_page(network: Network) -> None:
    asked = ask(network, "my card number is private", direct=True)
    async with browser(network) as client:
        said = (await answer(client, asked)).json()["post"]
        assert (said["visibility"], said["url"]) == ("direct", None)
        assert "private" not in (await client.get("/")).text
        assert (await client.get(f"/posts/{asked}")).status_code == 404


async def test_the_same_key_stands_once_and_survives_a_restart(network: Network, tmp_path: Path) -> None:
    asked = ask(network, "hello?")
    async with browser(network) as client:
        first, second = await answer(client, asked), await answer(client, asked, "again")
    assert first.json() == second.json()
    reopened = Ledger(tmp_path / "ledger.jsonl")
    again = Network(reopened, network.clock)
    async with browser(again) as client:
        assert (await client.get("/api/sent", params={"key": "k"})).json() == first.json()
        assert (await answer(client, asked)).json() == first.json()
    assert again.world.posts == network.world.posts
    reopened.close()


async def test_half_a_line_that_a_crash_left_is_forgotten(network: Network, tmp_path: Path) -> None:
    ask(network, "kept")
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"post": {"id": 2, "te')
    reopened = Ledger(path)
    again = Network(reopened, network.clock)
    ask(again, "after the crash")
    reopened.close()
    once_more = Ledger(path)
    assert len(once_more.rows) == 3
    once_more.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"in_reply_to": 1}', 422),
        (b'{"text": "  ", "in_reply_to": 1}', 422),
        (b'{"text": "hi", "in_reply_to": "1"}', 422),
        (b'{"text": "hi", "in_reply_to": 99}', 404),
    ],
)
async def test_bad_posts_are_refused_with_a_reason(network: Network, body: bytes, status: int) -> None:
    async with browser(network) as client:
        response = await client.post("/api/posts", content=body)
    assert response.status_code == status
    assert response.json()["error"]


async def test_five_hundred_graphemes_fit_whatever_they_are_made_of(network: Network) -> None:
    asked = ask(network, "hello?")
    family = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
    async with browser(network) as client:
        assert (await answer(client, asked, family * 500)).status_code == 200
        assert (await answer(client, asked, family * 501, key="l")).status_code == 422


async def test_only_our_token_reads_the_inbox(network: Network) -> None:
    for token in ("", "wrong"):
        async with browser(network, token) as client:
            assert (await client.get("/api/inbox")).status_code == 401


async def test_too_many_calls_are_told_to_wait_and_then_let_in(network: Network, clock: Clock) -> None:
    async with browser(network) as client:
        answers = [await client.get("/api/me") for _ in range(601)]
        assert [one.status_code for one in answers[-2:]] == [200, 429]
        assert answers[0].headers["x-ratelimit-remaining"] == "599"
        clock.now = START + timedelta(seconds=int(answers[-1].headers["retry-after"]))
        assert (await client.get("/api/me")).status_code == 200


async def test_odd_numbers_in_the_address_are_ignored(network: Network) -> None:
    ask(network, "hello?")
    async with browser(network) as client:
        for odd in ("-1", "x", "²", "9" * 30, ""):
            response = await client.get("/api/inbox", params={"after": odd, "limit": odd})
            assert len(response.json()["posts"]) == 1


async def test_pictures_are_served_and_nothing_else(network: Network) -> None:
    async with browser(network) as client:
        assert (await client.get("/faces/ada.png")).headers["content-type"] == "image/png"
        assert (await client.get("/pictures/tent.png")).content.startswith(b"\x89PNG")
        assert (await client.get("/pictures/secret.png")).status_code == 404


async def test_the_connector_talks_to_the_running_network_through_the_guarded_transport(
    network: Network, tmp_path: Path
) -> None:
    ask(network, "Where is my tent?")
    async with running(tmp_path, Pace(seconds=1)) as town:
        async with guarded_client(Settings(allow_hosts="127.0.0.1")) as client:
            link = Link(
                settings=DemoSettings(url=town.url),
                credentials=DemoCredentials.model_validate({"token": town.token}),
                http=client,
                now=datetime.now(UTC),
                keep=_keep,
            )
            connector = DemoConnector()
            posts = (await connector.fetch(link, {})).posts
            reply = OutgoingReply(
                key="a-key",
                text="It is on its way!",
                visibility=posts[0].visibility,
                to=posts[0].ref,
                to_external_id=posts[0].external_id,
                created_at=link.now,
            )
            assert await connector.find_sent(link, reply) is None
            sent = await connector.send(link, reply)
            found = await connector.find_sent(link, reply)
            assert found is not None
            assert found.external_id == sent.external_id
        async with guarded_client(Settings(allow_hosts="")) as client:
            with pytest.raises(Blocked, match="CARELINE_ALLOW_HOSTS"):
                await connector.fetch(replace(link, http=client), {})


async def test_the_running_network_keeps_its_port_token_and_posts_over_a_restart(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        async with running(tmp_path / "demo", Pace(seconds=1)) as town, httpx.AsyncClient() as client:
            headers = {"authorization": f"Bearer {town.token}"}
            me = await client.get(f"{town.url}/api/me", headers=headers)
            assert me.json()["handle"] == "northwindhelp"
            assert (await client.get(town.url)).status_code == 200
            seen.append(town)
    assert seen[0] == seen[1]
