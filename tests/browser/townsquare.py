"""Townsquare in the stories: the simulated network, whose customers have written these posts and say no more by themselves.

So every story finds the same world. Who is first in the waiting list, and in each other line, stands in the names here.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.demo.ledger import Identity
from app.demo.network import Network
from app.demo.posts import NetPost
from tests.browser.serving import served

TOKEN = "the-token-of-northwind"
HELEN = "hikingwithhelen"  # many hear her: the first that waits
TOM = "tom_hartley"  # writes in private, about money
GRACE = "grace_liu"  # sends a picture

WRITTEN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (HELEN, "@northwindhelp The courier says my parcel was delivered, my doorstep says otherwise. NW-20417", {}),
    (TOM, "You charged my card twice for NW-31882. Please refund one of them.", {"direct": True}),
    ("maya.okafor", "@northwindhelp Tracking for NW-48120 has not moved since Monday. Has it left your warehouse?", {}),
    (
        GRACE,
        "@northwindhelp The zip on my Skarv 2 split on the second night out. Rain all night.",
        {"picture": "tent", "alt": "A tent door whose zip has come apart"},
    ),
    ("callum.mcrae", "@northwindhelp The app crashes as soon as I open my cart.", {}),
    ("anna.berger", "@northwindhelp Wo bleibt mein Paket NW-55019? Es sollte am Dienstag kommen.", {"language": "de"}),
    ("kenta.s", "@northwindhelp 注文 NW-60233 がまだ届きません。いつ届くか教えてください。", {"language": "ja"}),
    ("layla.h", "@northwindhelp أين طلبي NW-71408؟ كان يجب أن يصل يوم الثلاثاء.", {"language": "ar"}),
    ("priya.n", "@northwindhelp Best rucksack ever, thank you!", {}),
    ("maya.okafor", "Does the Tarn 45 come in a tall version?", {"direct": True}),
)


class Notebook:
    """What a network remembers by, as long as a story lasts."""

    def __init__(self) -> None:
        """Begin with what stands at the start of every story, a few seconds between one post and the next."""
        self.identity = Identity("stories", TOKEN, seed=1)
        begun = datetime.now(UTC) - timedelta(seconds=3 * len(WRITTEN))
        self.rows: list[dict[str, Any]] = [
            {"post": _post(number, handle, text, begun + timedelta(seconds=3 * number), **more).as_row()}
            for number, (handle, text, more) in enumerate(WRITTEN, start=1)
        ]

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """The world keeps them."""


def _post(number: int, handle: str, text: str, at: datetime, **more: Any) -> NetPost:
    return NetPost(number, number, handle, text, at, **{"language": "en", **more})


@dataclass(frozen=True)
class Townsquare:
    """Where it answers, and its world."""

    url: str
    network: Network = field(repr=False)
    token: str = TOKEN

    def says(self, handle: str, text: str, **more: Any) -> int:
        """Let a customer write; the number of the post. Careline reads it with its next poll."""
        post, _ = self.network.world.speak(datetime.now(UTC), handle, text, **more)
        return post.id


@asynccontextmanager
async def townsquare() -> AsyncIterator[Townsquare]:
    """The network on a free loopback port, as it stands at the start of a story."""
    network = Network(Notebook(), lambda: datetime.now(UTC))
    async with served(network.app, lifespan="off") as url:
        yield Townsquare(url, network)
