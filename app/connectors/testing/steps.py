"""What the checks share, and the tests of single connectors with them: to fetch, to answer, to fail in good order."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from app.connectors.base import (
    Batch,
    Connector,
    IncomingPost,
    Json,
    KnownPost,
    OutgoingReply,
    Picture,
    Sent,
)
from app.connectors.base import Standing as Placed
from app.connectors.testing.fake import FOREVER, FakeChannel, Trouble
from app.errors import ConnectorError

SCRIPTS = {
    "arabic": "طلبيتي لم تصل بعد، أين هي؟",
    "hebrew with bidi marks": "\u202bההזמנה שלי\u202c \u200fלא הגיעה\u200e",
    "bidi override": "invoice \u202egpj.exe\u202c attached",
    "hindi": "मेरा ऑर्डर कहाँ है? क्षत्रिय",
    "thai": "สินค้าของฉันยังไม่มาถึง",
    "japanese": "注文した商品がまだ届きません。",
    "emoji families": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 1️⃣",
    "zero width": "no\u200bbreak\u200chere\u200d\u2060\ufeff!",
    "combining": "Z̸̢̛a̷l̶g̴o̷ e\u0301",
    "astral": "\U0001d525\U0001d522\U0001d529\U0001d52d \U00012000 🂡",
    "markup look-alike": "1 < 2 && 3 > 2 &amp; <b>not bold</b> \"quoted\" 'single'",
    "line breaks": "first line\nsecond line\n\nnew paragraph",
    "NUL": "before\x00after",
    "half a surrogate pair": "before\ud83dafter",
}


PICTURES = (
    Picture("image/png", 2, 1, "Two pixels, side by side", b"\x89PNG\r\n\x1a\nfirst"),
    Picture("image/jpeg", 640, 480, "Ein Zelt, \u6c34\u306e\u4e2d", b"\xff\xd8\xff\xe0second"),
)


def carried(fake: FakeChannel) -> tuple[Picture, ...]:
    """As many pictures as the channel takes, described as far as it knows descriptions."""
    rules = fake.connector.capabilities.pictures
    assert rules is not None
    return tuple(replace(one, alt=one.alt[: rules.alt]) for one in PICTURES[: rules.most])


def through_json(cursor: Json) -> Json:
    """The cursor as the database gives it back."""
    stored: Json = json.loads(json.dumps(cursor, allow_nan=False))
    return stored


async def fetch(fake: FakeChannel, cursor: Json) -> Batch:
    """One fetch, as a worker would do it after a restart; the cursor it was given stays as it was."""
    before = json.dumps(cursor, sort_keys=True)
    batch = await fake.connector.fetch(fake.link(), cursor)
    assert json.dumps(cursor, sort_keys=True) == before, "the connector changed the cursor it was given"
    ids = [post.external_id for post in batch.posts]
    assert len(ids) == len(set(ids)), "a post stands twice in one batch"
    times = [post.posted_at for post in batch.posts]
    assert times == sorted(times), "a batch gives the oldest post first"
    for post in batch.posts:
        assert_sound(post)
    return replace(batch, cursor=through_json(batch.cursor))


def fetches(connector: Connector) -> bool:
    """Whether it brings posts by asking for them."""
    return type(connector).fetch is not Connector.fetch


async def drain(
    fake: FakeChannel, cursor: Json, between: Callable[[], None] = lambda: None
) -> tuple[dict[str, IncomingPost], Json]:
    """Fetch until nothing more is waiting, and take what is pushed. Returns the posts by external_id and the last cursor."""
    found: dict[str, IncomingPost] = {}
    for sent in fake.pushed():
        received = fake.connector.receive(fake.link(), sent.headers, sent.body)
        found |= {post.external_id: post for post in received.posts}
    found |= {post.external_id: post for post in fake.typed()}
    if not fetches(fake.connector):
        return found, cursor
    for _ in range(100):
        batch = await fetch(fake, cursor)
        found |= {post.external_id: post for post in batch.posts}
        cursor = batch.cursor
        between()
        if not batch.more:
            return found, cursor
    pytest.fail("the connector asks for more without end")


def assert_sound(post: IncomingPost) -> None:
    """What holds for any post: a name, an aware time, nothing that Postgres cannot store."""
    assert post.external_id
    assert post.thread_id
    assert post.author.external_id
    assert post.author.handle
    assert post.posted_at.tzinfo is not None
    stored = json.dumps(
        [post.text, post.title, post.html, post.author.name, post.ref, post.payload], ensure_ascii=False
    )
    assert "\\u0000" not in stored
    stored.encode("utf-8")  # raises on half a surrogate pair


def fill(fake: FakeChannel, number: int) -> list[str]:
    """Let `number` posts arrive."""
    return [fake.arrive(f"where is my order {n}?") for n in range(number)]


def many(fake: FakeChannel) -> int:
    """More posts than fit on two pages, as far as the channel shows them."""
    wanted = 2 * fake.page_size + 3
    return wanted if fake.window is None else min(wanted, fake.window)


def plain(text: str) -> str:
    """The text without what cannot be stored, nor the mark that may stand in its place."""
    return "".join(c for c in text if c not in "\x00\ufffd" and not "\ud800" <= c <= "\udfff")


@contextmanager
def raises(kind: type[ConnectorError]) -> Iterator[pytest.ExceptionInfo[ConnectorError]]:
    """The error of that kind, with a message for a person and no secret in it."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.message.strip(), "an error says what happened"
    assert "secret" not in caught.value.message, "an error never shows a credential"


_numbers = count(1)


async def asked(fake: FakeChannel, *, text: str = "", direct: bool = False) -> IncomingPost:
    """A stranger's post as the connector brings it."""
    external_id = fake.arrive(text or f"my parcel {next(_numbers)} is lost", direct=direct)
    found, _ = await drain(fake, {})
    return found[external_id]


def answer(
    fake: FakeChannel, post: IncomingPost, text: str = "We are looking into it.", **changes: Any
) -> OutgoingReply:
    """A reply to that post, frozen as the outbox does it."""
    reply = OutgoingReply(
        key=str(uuid4()),
        text=text,
        visibility=post.visibility,
        to=through_json(post.ref),
        to_external_id=post.external_id,
        created_at=fake.now,
        attempted_at=None,
    )
    reply = replace(reply, **changes)
    return replace(reply, prepared=through_json(fake.connector.prepare(fake.link(), reply)))


async def send(fake: FakeChannel, reply: OutgoingReply) -> Any:
    """A try: the first one unless the reply says that it was `tried`."""
    return await fake.connector.send(fake.link(), reply)


def tried(fake: FakeChannel, reply: OutgoingReply) -> OutgoingReply:
    """The same reply as the outbox knows it after its first try."""
    return replace(reply, attempted_at=reply.attempted_at or fake.now)


def placed(sent: Sent, reply: OutgoingReply, fake: FakeChannel) -> Placed:
    """A reply that stands, as the outbox knows it."""
    return Placed(
        external_id=sent.external_id,
        ref=through_json(sent.ref),
        reply_key=reply.key,
        to=reply.to,
        visibility=reply.visibility,
        key=str(uuid4()),
        asked_at=fake.now,
        pictures=reply.pictures,
    )


async def stands(fake: FakeChannel, **more: Any) -> Placed:
    """A reply of ours that stands, beside another."""
    post = await asked(fake)
    await send(fake, answer(fake, post, "Another answer."))
    fake.tick()
    reply = answer(fake, post, **more)
    return placed(await send(fake, reply), reply, fake)


def known(post: IncomingPost) -> KnownPost:
    """The post as the database gives it back."""
    return KnownPost(post.external_id, through_json(post.ref), post.in_reply_to)


async def uncertain(fake: FakeChannel, trouble: Trouble) -> OutgoingReply:
    """A reply, tried once, that met this trouble on the way; nobody can tell whether it stands."""
    post = await asked(fake)
    reply = answer(fake, post)
    fake.trouble(trouble, sends_only=True, times=FOREVER)
    with raises(ConnectorError) as caught:
        await send(fake, reply)
    fake.calm()
    assert caught.value.delivered is None, "this error must leave open whether the reply stands"
    assert not caught.value.permanent
    again = tried(fake, reply)
    fake.tick(timedelta(minutes=1))
    return again


def unanswered(fake: FakeChannel, *troubles: Trouble) -> list[Trouble]:
    """Those of these troubles that leave a request without an answer that can be one."""
    return [trouble for trouble in troubles if trouble is not Trouble.NULL or not fake.any_answer]
