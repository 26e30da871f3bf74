"""What every connector must do, written once.

Each check is a function named as a sentence; it gets a fresh `FakeChannel` and fails by assertion. `@check(...)` names
what it needs: capabilities of the connector (`reply`, `idempotent` ...), or one of `pull` (it has `fetch`), `receive`,
`account` (it has credentials), `strict` (a cut answer can be recognised), `own` (the variant shows our own posts),
`broken` (an unreadable entry can arrive among others), `changes` (what becomes of posts is told), `rewrite` (the
channel lets authors edit), `window` (the channel shows more than two pages), `dated` (a delivery's signature covers
its time), `asks` (posts come by `fetch`, or by deliveries that the variant makes of what arrives), `parents` (a reply
stands under a post, not only in a conversation), `above` (threads are fetched upward),
`rename` (people there can take another handle).
`checks_for(fake)` gives those that apply; nothing else is skipped.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from app.connectors.base import (
    MOST_PARENTS,
    Batch,
    Connector,
    IncomingPost,
    Json,
    KnownPost,
    OutgoingReply,
    Picture,
    PostChange,
    PostKind,
    Sent,
    Visibility,
)
from app.connectors.base import Standing as Placed
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized, Unreachable
from tests.connectors.fakes.base import FOREVER, FakeChannel, Trouble

Check = Callable[[FakeChannel], Awaitable[None]]

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


@dataclass(frozen=True, slots=True)
class _Registered:
    needs: frozenset[str]
    run: Check


_CHECKS: list[_Registered] = []


def check(*needs: str) -> Callable[[Check], Check]:
    """Register a check and what it needs."""

    def register(run: Check) -> Check:
        _CHECKS.append(_Registered(frozenset(needs), run))
        return run

    return register


def checks_for(fake: FakeChannel) -> list[Check]:
    """The checks that this variant's connector has to pass."""
    have = abilities(fake)
    return [one.run for one in _CHECKS if one.needs <= have]


def abilities(fake: FakeChannel) -> frozenset[str]:
    """What this variant can be asked for."""
    connector = fake.connector
    declared = {f.name for f in fields(connector.capabilities) if getattr(connector.capabilities, f.name) is True}
    more = {
        "pictures": connector.capabilities.pictures is not None,
        "pull": type(connector).fetch is not Connector.fetch,
        "receive": type(connector).receive is not Connector.receive,
        "account": connector.Credentials is not None,
        "strict": not fake.lenient,
        "changes": connector.capabilities.looks > 0 or connector.name == "demo",
        "rename": type(fake).rename is not FakeChannel.rename,
        "rewrite": type(fake).rewrite is not FakeChannel.rewrite,
        "own": fake.shows_own,
        "broken": fake.broken_arrivals,
        "dated": True,
        "asks": type(fake).pushed is not FakeChannel.pushed,
        "parents": True,
        "above": connector.capabilities.parents,
        "window": fake.window is None or fake.window > 2 * fake.page_size,
    }
    if not fake.shows_direct:
        declared.discard("direct")
    able = frozenset(declared | {name for name, has in more.items() if has}) - fake.cannot
    return able | {"asks"} if "pull" in able else able


# What the checks share


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


async def drain(
    fake: FakeChannel, cursor: Json, between: Callable[[], None] = lambda: None
) -> tuple[dict[str, IncomingPost], Json]:
    """Fetch until nothing more is waiting, and take what is pushed. Returns the posts by external_id and the last cursor."""
    found: dict[str, IncomingPost] = {}
    for sent in fake.pushed():
        received = fake.connector.receive(fake.link(), sent.headers, sent.body)
        found |= {post.external_id: post for post in received.posts}
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


# Fetching


@check("pull")
async def the_first_sync_starts_from_an_empty_cursor_and_brings_what_is_there(fake: FakeChannel) -> None:
    arrived = fill(fake, 3)
    found, _ = await drain(fake, {})
    assert set(arrived) <= set(found)


@check("pull")
async def an_empty_channel_gives_no_posts_and_no_error(fake: FakeChannel) -> None:
    found, cursor = await drain(fake, {})
    assert not found
    arrived = fake.arrive("the first post ever")
    found, _ = await drain(fake, cursor)
    assert arrived in found


@check("pull")
async def every_page_is_brought_after_a_pause(fake: FakeChannel) -> None:
    fill(fake, 2)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, many(fake))
    found, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found)


@check("pull")
async def nothing_is_missed_when_posts_arrive_between_two_fetches(fake: FakeChannel) -> None:
    fill(fake, 1)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, many(fake) // 2)
    late = iter(range(2))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("just now"))

    found, cursor = await drain(fake, cursor, one_more)
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


@check("pull")
async def nothing_is_missed_when_posts_arrive_between_two_pages(fake: FakeChannel) -> None:
    fill(fake, 1)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, many(fake) - 5)
    late = iter(range(5))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("in the middle of your paging"))

    fake.between_requests = one_more
    found, cursor = await drain(fake, cursor)
    fake.between_requests = None
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


@check("pull")
async def nothing_is_missed_when_posts_arrive_during_the_first_sync(fake: FakeChannel) -> None:
    arrived = fill(fake, 3)
    late = iter(range(3))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("while you were starting"))

    fake.between_requests = one_more
    found, cursor = await drain(fake, {})
    fake.between_requests = None
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


@check("pull")
async def a_post_keeps_its_identity_and_its_conversation_over_fetches(fake: FakeChannel) -> None:
    fill(fake, 4)
    first, _ = await drain(fake, {})
    second, _ = await drain(fake, {})
    assert first.keys() == second.keys()
    for external_id, post in first.items():
        again = second[external_id]
        assert (again.thread_id, again.author.external_id, again.posted_at, again.text) == (
            post.thread_id,
            post.author.external_id,
            post.posted_at,
            post.text,
        )


@check("pull")
async def a_cursor_is_small_json(fake: FakeChannel) -> None:
    fill(fake, many(fake))
    _, cursor = await drain(fake, {})
    assert len(json.dumps(cursor)) < 100_000


@check("pull")
async def fields_that_nobody_documented_change_nothing(fake: FakeChannel) -> None:
    arrived = fill(fake, 3)
    fake.unknown_fields = True
    found, _ = await drain(fake, {})
    assert set(arrived) <= set(found)


@check("pull")
async def text_of_any_script_arrives_verbatim_but_for_what_cannot_be_stored(fake: FakeChannel) -> None:
    arrived = {fake.arrive(text): text for text in SCRIPTS.values()}
    found, _ = await drain(fake, {})
    for external_id, text in arrived.items():
        assert plain(text) in plain(found[external_id].text)


@check("pull", "threads")
async def an_answer_to_a_post_is_in_the_same_conversation(fake: FakeChannel) -> None:
    root = fake.arrive("my order is late")
    child = fake.arrive("and now it is lost", under=root)
    grandchild = fake.arrive("hello?", under=child)
    stranger = fake.arrive("something else entirely", by="bob")
    found, _ = await drain(fake, {})
    assert found[child].in_reply_to == root
    assert found[grandchild].in_reply_to == child
    assert found[root].thread_id == found[child].thread_id == found[grandchild].thread_id
    assert found[stranger].thread_id != found[root].thread_id


@check("pull", "rename")
async def an_author_who_took_another_handle_is_the_same(fake: FakeChannel) -> None:
    before = fake.arrive("hello")
    first, cursor = await drain(fake, {})
    fake.rename("ada")
    after = fake.arrive("hello again")
    second, _ = await drain(fake, cursor)
    assert second[after].author.external_id == first[before].author.external_id
    assert second[after].author.handle != first[before].author.handle


@check("pull", "direct")
async def a_direct_message_is_marked_as_such(fake: FakeChannel) -> None:
    direct = fake.arrive("my address is private", direct=True)
    public = fake.arrive("hello all")
    found, _ = await drain(fake, {})
    assert found[direct].kind is PostKind.DIRECT
    assert found[direct].visibility is Visibility.DIRECT
    assert found[public].kind is not PostKind.DIRECT


@check("pull", "own")
async def our_own_posts_are_marked_as_own(fake: FakeChannel) -> None:
    ours = fake.arrive_own("we are open on Sunday")
    theirs = fake.arrive("are you open on Sunday?")
    found, _ = await drain(fake, {})
    assert found[ours].own
    assert not found[theirs].own


@check("pull", "broken")
async def one_unreadable_entry_is_set_aside_and_the_others_arrive(fake: FakeChannel) -> None:
    before = fake.arrive("fine")
    fake.arrive_broken()
    after = fake.arrive("fine, too")
    batch = await fetch(fake, {})
    assert {before, after} <= {post.external_id for post in batch.posts}
    assert len(batch.rejected) == 1
    assert batch.rejected[0].reason
    again = await fetch(fake, {})
    assert again.rejected[0].external_id == batch.rejected[0].external_id, "the same entry keeps its identity"


# Failures while fetching


async def _fails(fake: FakeChannel, trouble: Trouble, kind: type[ConnectorError]) -> ConnectorError:
    """A fetch that meets nothing but this trouble raises that error, and later nothing is lost."""
    fill(fake, 2)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, 2)
    fake.trouble(trouble, times=FOREVER)
    with raises(kind) as caught:
        await fetch(fake, cursor)
    fake.calm()
    found, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found)
    return caught.value


@check("pull")
async def a_rate_limit_says_how_long_the_channel_wants_us_to_wait(fake: FakeChannel) -> None:
    error = await _fails(fake, Trouble.RATE_LIMITED, RateLimited)
    assert isinstance(error, RateLimited)
    assert abs(error.retry_after - fake.rate_wait) <= timedelta(seconds=2)
    assert not error.permanent


@check("pull", "account")
async def refused_credentials_ask_for_a_person(fake: FakeChannel) -> None:
    error = await _fails(fake, Trouble.EXPIRED, Unauthorized)
    assert error.permanent


@check("pull")
async def a_channel_in_trouble_is_down_and_not_our_fault(fake: FakeChannel) -> None:
    error = await _fails(fake, Trouble.DOWN, ChannelDown)
    assert not error.permanent


@check("pull")
async def a_page_of_html_with_status_200_is_malformed(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.HTML, Malformed)


@check("pull", "strict")
async def an_answer_cut_in_the_middle_is_malformed(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.TRUNCATED, Malformed)


@check("pull", "strict")
async def json_of_another_shape_is_malformed(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.NULL, Malformed)


@check("pull")
async def no_connection_is_unreachable(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.NO_CONNECTION, Unreachable)


@check("pull")
async def a_broken_connection_while_reading_is_unreachable(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.RESET, Unreachable)


@check("pull")
async def an_answer_that_takes_too_long_while_reading_is_unreachable(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.SLOW, Unreachable)


@check("pull")
async def a_failure_in_the_middle_of_paging_loses_nothing(fake: FakeChannel) -> None:
    fill(fake, 1)
    found, cursor = await drain(fake, {})
    arrived = set(fill(fake, many(fake)))
    for kind in (Trouble.DOWN, Trouble.TRUNCATED, Trouble.RATE_LIMITED, Trouble.RESET, Trouble.HTML):
        fake.calm()
        fake.trouble(kind, after=1)
        try:
            batch = await fetch(fake, cursor)
        except ConnectorError:
            continue
        found |= {post.external_id: post for post in batch.posts}
        cursor = batch.cursor
    fake.calm()
    more, _ = await drain(fake, cursor)
    assert arrived <= set(found | more)


@check("pull", "account")
async def credentials_that_expire_in_the_middle_of_paging_lose_nothing(fake: FakeChannel) -> None:
    fill(fake, 1)
    found, cursor = await drain(fake, {})
    arrived = set(fill(fake, many(fake)))
    fake.trouble(Trouble.EXPIRED, after=1)
    try:
        batch = await fetch(fake, cursor)
        found |= {post.external_id: post for post in batch.posts}
        cursor = batch.cursor
    except Unauthorized:
        pass
    fake.calm()
    more, _ = await drain(fake, cursor)
    assert arrived <= set(found | more)


# Test connection


@check("pull")
async def testing_the_connection_says_what_was_found_and_changes_nothing(fake: FakeChannel) -> None:
    fill(fake, 2)
    before = fake.ledger()
    said = await fake.connector.check(fake.link())
    assert said.message
    assert said.sample is not None
    assert_sound(said.sample)
    assert fake.ledger() == before
    assert not [request for request in fake.requests if fake.is_send(request)]


@check("pull", "account")
async def testing_the_connection_names_our_account(fake: FakeChannel) -> None:
    said = await fake.connector.check(fake.link(account=None))
    expected = fake.account()
    assert said.account is not None
    assert expected is not None
    assert (said.account.external_id, said.account.handle) == (expected.external_id, expected.handle)


@check("pull", "account")
async def testing_the_connection_with_a_refused_login_says_so(fake: FakeChannel) -> None:
    fake.trouble(Trouble.EXPIRED, times=FOREVER)
    with raises(Unauthorized):
        await fake.connector.check(fake.link())


@check("pull")
async def testing_the_connection_to_a_wrong_address_says_so(fake: FakeChannel) -> None:
    fake.trouble(Trouble.HTML, times=FOREVER)
    with raises(Malformed):
        await fake.connector.check(fake.link())
    fake.calm()
    fake.trouble(Trouble.NO_CONNECTION, times=FOREVER)
    with raises(Unreachable):
        await fake.connector.check(fake.link())


# Replying


@check("asks", "reply")
async def a_reply_stands_once_under_the_right_parent(fake: FakeChannel) -> None:
    await asked(fake)
    post = await asked(fake)
    await asked(fake)
    sent = await send(fake, answer(fake, post))
    (standing,) = fake.ledger()
    assert standing.external_id == sent.external_id
    assert standing.parent == post.external_id or "parents" in fake.cannot
    assert "We are looking into it." in standing.text
    through_json(sent.ref)


@check("asks", "reply", "threads")
async def a_reply_to_an_answer_stands_under_that_answer(fake: FakeChannel) -> None:
    root = fake.arrive("it is broken")
    child = fake.arrive("still broken", under=root)
    found, _ = await drain(fake, {})
    await send(fake, answer(fake, found[child]))
    (standing,) = fake.ledger()
    assert standing.parent == child


@check("asks", "reply", "threads")
async def a_reply_goes_on_under_our_own(fake: FakeChannel) -> None:
    post = await asked(fake)
    first = await send(fake, answer(fake, post, "The first part."))
    fake.tick()
    await send(fake, answer(fake, post, "The second part.", after=through_json(first.ref)))
    one, two = fake.ledger()
    assert (one.parent, two.parent) == (post.external_id, one.external_id)


@check("asks", "reply")
async def a_reply_in_any_script_stands_verbatim(fake: FakeChannel) -> None:
    post = await asked(fake)
    for text in SCRIPTS.values():
        await send(fake, answer(fake, post, plain(text)))
        fake.tick()
    for text, standing in zip(SCRIPTS.values(), fake.ledger(), strict=True):
        assert plain(text) in standing.text


@check("asks", "reply", "direct")
async def a_reply_to_a_direct_message_is_no_wider_than_it_even_when_asked(fake: FakeChannel) -> None:
    post = await asked(fake, direct=True)
    await send(fake, answer(fake, post, visibility=Visibility.PUBLIC))
    (standing,) = fake.ledger()
    assert standing.visibility is Visibility.DIRECT


@check("asks", "reply")
async def what_was_prepared_is_the_same_every_time(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    fake.tick(timedelta(minutes=3))
    again = fake.connector.prepare(fake.link(), replace(reply, prepared={}))
    assert through_json(again) == reply.prepared


@check("asks", "reply", "idempotent")
async def the_same_send_repeated_stands_once(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    first = await send(fake, reply)
    again = tried(fake, reply)
    fake.tick(timedelta(minutes=1))
    second = await send(fake, again)
    assert first.external_id == second.external_id
    assert len(fake.ledger()) == 1


@check("asks", "reply", "idempotent")
async def a_send_repeated_hours_later_still_stands_once(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    first = await send(fake, reply)
    again = tried(fake, reply)
    fake.tick(timedelta(hours=5))
    second = await send(fake, again)
    assert first.external_id == second.external_id
    assert len(fake.ledger()) == 1


@check("asks", "reply", "idempotent")
async def a_send_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError):
        await send(fake, reply)
    again = tried(fake, reply)
    fake.tick(timedelta(minutes=2))
    sent = await send(fake, again)
    (standing,) = fake.ledger()
    assert sent.external_id == standing.external_id


@check("asks", "reply")
async def two_replies_with_the_same_text_are_two(fake: FakeChannel) -> None:
    post = await asked(fake)
    await send(fake, answer(fake, post, "Thank you!"))
    fake.tick(timedelta(hours=1))
    await send(fake, answer(fake, post, "Thank you!"))
    assert len(fake.ledger()) == 2


async def _uncertain(fake: FakeChannel, trouble: Trouble) -> OutgoingReply:
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


@check("asks", "reply", "find_sent")
async def a_send_whose_answer_was_lost_is_found_by_looking(fake: FakeChannel) -> None:
    reply = await _uncertain(fake, Trouble.ANSWER_LOST)
    sent = await fake.connector.find_sent(fake.link(), reply)
    (standing,) = fake.ledger()
    assert sent is not None
    assert sent.external_id == standing.external_id


@check("asks", "reply", "find_sent")
async def a_send_that_broke_off_before_it_was_done_is_not_found(fake: FakeChannel) -> None:
    for trouble in (Trouble.RESET, Trouble.SLOW):
        reply = await _uncertain(fake, trouble)
        assert await fake.connector.find_sent(fake.link(), reply) is None
    assert not fake.ledger()


@check("asks", "reply")
async def a_send_answered_with_an_error_page_leaves_its_outcome_open(fake: FakeChannel) -> None:
    for trouble in (Trouble.DOWN, Trouble.HTML, Trouble.NULL):
        await _uncertain(fake, trouble)


@check("asks", "reply", "find_sent")
async def a_send_whose_answer_was_cut_is_found_by_looking(fake: FakeChannel) -> None:
    reply = await _uncertain(fake, Trouble.TRUNCATED)
    sent = await fake.connector.find_sent(fake.link(), reply)
    assert sent is not None


@check("asks", "reply", "find_sent", "parents")
async def looking_is_not_fooled_by_the_same_text_under_another_post(fake: FakeChannel) -> None:
    other = await asked(fake)
    reply = await _uncertain(fake, Trouble.RESET)
    await send(fake, answer(fake, other, reply.text))
    assert await fake.connector.find_sent(fake.link(), reply) is None


@check("asks", "reply", "find_sent")
async def looking_is_not_fooled_by_another_text_under_the_same_post(fake: FakeChannel) -> None:
    reply = await _uncertain(fake, Trouble.RESET)
    post = (await drain(fake, {}))[0][reply.to_external_id]
    await send(fake, answer(fake, post, "Something else entirely."))
    assert await fake.connector.find_sent(fake.link(), reply) is None


@check("asks", "reply", "find_sent")
async def looking_is_not_fooled_by_the_same_text_of_an_earlier_reply(fake: FakeChannel) -> None:
    post = await asked(fake)
    await send(fake, answer(fake, post, "Thank you!"))
    fake.tick(timedelta(hours=2))
    reply = tried(fake, answer(fake, post, "Thank you!"))
    assert await fake.connector.find_sent(fake.link(), reply) is None


@check("asks", "reply", "find_sent")
async def looking_while_the_channel_is_in_trouble_raises_and_never_says_no(fake: FakeChannel) -> None:
    reply = await _uncertain(fake, Trouble.ANSWER_LOST)
    for trouble in (Trouble.DOWN, Trouble.HTML, Trouble.RATE_LIMITED, Trouble.TRUNCATED, Trouble.NO_CONNECTION):
        fake.calm()
        fake.trouble(trouble, times=FOREVER)
        with raises(ConnectorError):
            await fake.connector.find_sent(fake.link(), reply)


@check("asks", "reply")
async def a_send_without_a_connection_was_not_delivered(fake: FakeChannel) -> None:
    post = await asked(fake)
    fake.trouble(Trouble.NO_CONNECTION, times=FOREVER)
    with raises(Unreachable) as caught:
        await send(fake, answer(fake, post))
    assert caught.value.delivered is False
    assert not fake.ledger()


@check("asks", "reply")
async def a_send_under_a_rate_limit_was_not_delivered_and_says_how_long_to_wait(fake: FakeChannel) -> None:
    post = await asked(fake)
    fake.trouble(Trouble.RATE_LIMITED, times=FOREVER)
    with raises(RateLimited) as caught:
        await send(fake, answer(fake, post))
    assert caught.value.delivered is False
    assert isinstance(caught.value, RateLimited)
    assert abs(caught.value.retry_after - fake.rate_wait) <= timedelta(seconds=2)


@check("asks", "reply", "account")
async def a_send_with_refused_credentials_was_not_delivered(fake: FakeChannel) -> None:
    post = await asked(fake)
    fake.trouble(Trouble.EXPIRED, times=FOREVER)
    with raises(Unauthorized) as caught:
        await send(fake, answer(fake, post))
    assert caught.value.delivered is False
    assert not fake.ledger()


@check("asks", "reply")
async def a_reply_to_a_deleted_post_is_refused_for_good(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    fake.remove(post.external_id)
    with raises(Refused) as caught:
        await send(fake, reply)
    assert caught.value.permanent
    assert caught.value.delivered is False
    assert not fake.ledger()


@check("asks", "reply")
async def a_reply_that_is_too_long_is_refused_for_good(fake: FakeChannel) -> None:
    post = await asked(fake)
    limit = fake.connector.able(post.ref).length_limit
    if limit is None:
        return
    with raises(Refused):
        await send(fake, answer(fake, post, "x" * (limit * 20)))
    assert not fake.ledger()


# What becomes of posts


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


@check("asks", "reply", "edit")
async def an_edited_reply_says_what_it_shall_and_the_others_what_they_did(fake: FakeChannel) -> None:
    reply = await stands(fake)
    before = fake.ledger()[-1]
    await fake.connector.edit(fake.link(), reply, "We looked again: it comes today.")
    other, edited = fake.ledger()
    assert ("Another answer." in other.text, "it comes today." in edited.text) == (True, True)
    assert "We are looking into it." not in edited.text
    assert (edited.external_id, edited.parent, edited.visibility) == (
        before.external_id,
        before.parent,
        before.visibility,
    )


@check("asks", "reply", "edit", "pictures")
async def an_edited_reply_keeps_its_pictures(fake: FakeChannel) -> None:
    reply = await stands(fake, pictures=PICTURES)
    await fake.connector.edit(fake.link(), reply, "We looked again.")
    edited = fake.ledger()[-1]
    assert "We looked again." in edited.text
    assert edited.pictures == tuple((picture.alt, picture.content) for picture in PICTURES)


@check("asks", "reply", "edit")
async def an_edit_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    reply = await stands(fake)
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError) as caught:
        await fake.connector.edit(fake.link(), reply, "We looked again.")
    assert not caught.value.permanent
    for _ in range(2):
        await fake.connector.edit(fake.link(), reply, "We looked again.")
    assert ["We looked again." in standing.text for standing in fake.ledger()] == [False, True]


@check("asks", "reply", "edit")
async def an_edit_that_did_not_happen_is_never_taken_for_one(fake: FakeChannel) -> None:
    reply = await stands(fake)
    for trouble in (Trouble.DOWN, Trouble.HTML, Trouble.NULL, Trouble.NO_CONNECTION, Trouble.RESET):
        fake.trouble(trouble, sends_only=True)
        with raises(ConnectorError) as caught:
            await fake.connector.edit(fake.link(), reply, "We looked again.")
        assert not caught.value.permanent, trouble
    assert not any("We looked again." in standing.text for standing in fake.ledger())


@check("asks", "reply", "edit", "delete")
async def editing_what_is_gone_is_refused_for_good(fake: FakeChannel) -> None:
    reply = await stands(fake)
    await fake.connector.delete(fake.link(), reply)
    with raises(Refused) as caught:
        await fake.connector.edit(fake.link(), reply, "We looked again.")
    assert caught.value.permanent
    assert len(fake.ledger()) == 1


@check("asks", "reply", "edit")
async def an_edit_that_is_too_long_is_refused_and_what_stood_stands(fake: FakeChannel) -> None:
    limit = fake.connector.capabilities.length_limit
    if limit is None:
        return
    reply = await stands(fake)
    before = fake.ledger()
    with raises(Refused):
        await fake.connector.edit(fake.link(), reply, "x" * (limit * 20))
    assert fake.ledger() == before


@check("asks", "reply", "delete")
async def a_deleted_reply_stands_no_more_and_the_others_do(fake: FakeChannel) -> None:
    reply = await stands(fake)
    await fake.connector.delete(fake.link(), reply)
    assert ["Another answer." in standing.text for standing in fake.ledger()] == [True]


@check("asks", "reply", "delete")
async def deleting_what_is_gone_already_is_no_error(fake: FakeChannel) -> None:
    reply = await stands(fake)
    for _ in range(2):
        await fake.connector.delete(fake.link(), reply)
    assert len(fake.ledger()) == 1


@check("asks", "reply", "delete")
async def a_deletion_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    reply = await stands(fake)
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError) as caught:
        await fake.connector.delete(fake.link(), reply)
    assert not caught.value.permanent
    await fake.connector.delete(fake.link(), reply)
    assert len(fake.ledger()) == 1


@check("asks", "reply", "delete")
async def a_deletion_that_did_not_happen_is_never_taken_for_one(fake: FakeChannel) -> None:
    reply = await stands(fake)
    for trouble in (Trouble.DOWN, Trouble.HTML, Trouble.NULL, Trouble.NO_CONNECTION, Trouble.RESET):
        fake.trouble(trouble, sends_only=True)
        with raises(ConnectorError) as caught:
            await fake.connector.delete(fake.link(), reply)
        assert not caught.value.permanent, trouble
    assert len(fake.ledger()) == 2


async def _changes(fake: FakeChannel, posts: list[IncomingPost], cursor: Json) -> dict[str, PostChange]:
    """What a poll and a look say of these posts, whichever of them the channel tells changes by."""
    batch = await fake.connector.fetch(fake.link(), through_json(cursor))
    told = list(batch.changes)
    if fake.connector.capabilities.looks:
        known = [KnownPost(post.external_id, through_json(post.ref)) for post in posts]
        told += await fake.connector.look_again(fake.link(), known)
    return {change.external_id: change for change in told}


@check("changes")
async def a_deleted_post_is_told_and_those_that_stand_are_not(fake: FakeChannel) -> None:
    gone, stays = fake.arrive("gone soon"), fake.arrive("stays")
    batch = await fetch(fake, {})
    fake.remove(gone)
    told = await _changes(fake, list(batch.posts), batch.cursor)
    assert set(told) == {gone}
    assert stays not in told
    assert told[gone].deleted


@check("changes", "rewrite")
async def an_edited_post_is_told_with_its_new_text_and_time(fake: FakeChannel) -> None:
    name = fake.arrive("My tent is torn")
    batch = await fetch(fake, {})
    fake.rewrite(name, "My tent and my bag are torn")
    first = (await _changes(fake, list(batch.posts), batch.cursor))[name]
    assert "My tent and my bag are torn" in first.text
    assert not first.deleted
    assert first.changed_at > batch.posts[0].posted_at
    fake.rewrite(name, "All is well again")
    assert (await _changes(fake, list(batch.posts), batch.cursor))[name].changed_at > first.changed_at


# What stands above


def known(post: IncomingPost) -> KnownPost:
    """The post as the database gives it back."""
    return KnownPost(post.external_id, through_json(post.ref), post.in_reply_to)


async def above(fake: FakeChannel, post: IncomingPost) -> list[IncomingPost]:
    """What the connector brings of the thread above a post."""
    return list(await fake.connector.parents(fake.link(), known(post)))


async def under(fake: FakeChannel, parent: str) -> IncomingPost:
    """A post that the feed brings, which answers one that it does not."""
    name = fake.arrive("does anybody know?", under=parent)
    found, _ = await drain(fake, {})
    assert parent not in found
    return found[name]


@check("pull", "above")
async def the_posts_above_one_are_brought_with_the_topmost_first(fake: FakeChannel) -> None:
    top = fake.aside("which tent do you take?", by="bob")
    middle = fake.aside("mine leaks", by="carol", under=top)
    brought = await above(fake, await under(fake, middle))
    assert [post.external_id for post in brought] == [top, middle]
    assert [post.in_reply_to for post in brought] == [None, top]
    assert [plain(post.text) for post in brought] == ["which tent do you take?", "mine leaks"]
    assert len({post.author.external_id for post in brought}) == 2
    for post in brought:
        assert_sound(post)
        assert not post.own


@check("pull", "above")
async def nothing_stands_above_a_post_that_begins_its_thread(fake: FakeChannel) -> None:
    name = fake.arrive("hello")
    found, _ = await drain(fake, {})
    assert await above(fake, found[name]) == []


@check("pull", "above")
async def a_parent_that_is_gone_ends_the_thread_there(fake: FakeChannel) -> None:
    top = fake.aside("which tent do you take?")
    middle = fake.aside("mine leaks", under=top)
    low = fake.aside("mine too", under=middle)
    post = await under(fake, low)
    fake.remove(middle)
    assert [one.external_id for one in await above(fake, post)] == [low]
    fake.remove(low)
    assert await above(fake, post) == []


@check("pull", "above")
async def nothing_stands_above_a_post_that_is_gone_itself(fake: FakeChannel) -> None:
    post = await under(fake, fake.aside("which tent do you take?"))
    fake.remove(post.external_id)
    assert await above(fake, post) == []


@check("pull", "above")
async def a_long_thread_is_brought_in_part_its_nearest_posts_and_few_calls(fake: FakeChannel) -> None:
    chain = [fake.aside("one")]
    for _ in range(MOST_PARENTS + 5):
        chain.append(fake.aside("and one more", under=chain[-1]))
    post = await under(fake, chain[-1])
    fake.requests.clear()
    brought = [one.external_id for one in await above(fake, post)]
    assert 1 <= len(brought) <= MOST_PARENTS
    assert brought == chain[-len(brought) :]
    assert len(fake.requests) <= 10


@check("pull", "above")
async def a_channel_in_trouble_never_says_that_nothing_stands_above(fake: FakeChannel) -> None:
    post = await under(fake, fake.aside("which tent do you take?"))
    for trouble in (Trouble.DOWN, Trouble.HTML, Trouble.RATE_LIMITED, Trouble.NO_CONNECTION, Trouble.SLOW):
        fake.trouble(trouble, times=FOREVER)
        with raises(ConnectorError):
            await above(fake, post)
        fake.calm()


# Pictures

PICTURES = (
    Picture("image/png", 2, 1, "Two pixels, side by side", b"\x89PNG\r\n\x1a\nfirst"),
    Picture("image/jpeg", 640, 480, "Ein Zelt, \u6c34\u306e\u4e2d", b"\xff\xd8\xff\xe0second"),
)


def carried(fake: FakeChannel) -> tuple[Picture, ...]:
    """As many pictures as the channel takes, described as far as it knows descriptions."""
    rules = fake.connector.capabilities.pictures
    assert rules is not None
    return tuple(replace(one, alt=one.alt[: rules.alt]) for one in PICTURES[: rules.most])


@check("asks", "reply", "pictures")
async def a_reply_carries_its_pictures_in_order_with_their_descriptions(fake: FakeChannel) -> None:
    post = await asked(fake)
    pictures = carried(fake)
    await send(fake, answer(fake, post, pictures=pictures))
    (standing,) = fake.ledger()
    assert standing.pictures == tuple((one.alt, one.content) for one in pictures)


@check("asks", "reply", "pictures")
async def what_was_prepared_with_pictures_is_small_and_the_same_every_time(fake: FakeChannel) -> None:
    post = await asked(fake)
    heavy = replace(PICTURES[0], content=PICTURES[0].content + bytes(500_000))
    reply = answer(fake, post, pictures=(heavy,))
    assert through_json(fake.connector.prepare(fake.link(), replace(reply, prepared={}))) == reply.prepared
    assert len(json.dumps(reply.prepared)) < 10_000


@check("asks", "reply", "pictures", "idempotent")
async def a_send_with_pictures_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post, pictures=carried(fake))
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError):
        await send(fake, reply)
    fake.tick(timedelta(minutes=2))
    await send(fake, tried(fake, reply))
    (standing,) = fake.ledger()
    assert len(standing.pictures) == len(PICTURES)


@check("asks", "reply", "pictures")
async def a_send_that_breaks_off_while_its_pictures_are_brought_was_not_delivered(fake: FakeChannel) -> None:
    post = await asked(fake)
    for trouble in (Trouble.RESET, Trouble.SLOW, Trouble.DOWN, Trouble.ANSWER_LOST, Trouble.HTML):
        fake.calm()
        fake.trouble(trouble, times=FOREVER)
        with raises(ConnectorError) as caught:
            await send(fake, answer(fake, post, pictures=carried(fake)))
        assert caught.value.delivered is False
    assert not fake.ledger()


# Deliveries


def _received(fake: FakeChannel, *texts: str, **more: Any) -> Batch:
    sent = fake.delivery(*texts, **more)
    return fake.connector.receive(fake.link(), sent.headers, sent.body)


@check("receive")
async def a_signed_delivery_is_read(fake: FakeChannel) -> None:
    batch = _received(fake, "hello", "are you there?")
    assert [post.text for post in batch.posts] == ["hello", "are you there?"]
    assert batch.delivery_id
    for post in batch.posts:
        assert_sound(post)


@check("receive")
async def a_delivery_whose_body_was_changed_is_refused(fake: FakeChannel) -> None:
    sent = fake.delivery("refund me 10 dollars")
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), sent.headers, sent.body.replace(b"10", b"99"))


@check("receive")
async def a_delivery_without_a_signature_is_refused(fake: FakeChannel) -> None:
    sent = fake.delivery("trust me")
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), {"content-type": "application/json"}, sent.body)
    garbled = {name: "é=,;" if name.lower() != "content-type" else value for name, value in sent.headers.items()}
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), garbled, sent.body)


@check("receive", "dated")
async def a_delivery_recorded_long_ago_is_refused(fake: FakeChannel) -> None:
    sent = fake.delivery("again")
    fake.tick(timedelta(hours=6))
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), sent.headers, sent.body)


@check("receive")
async def a_repeated_delivery_has_the_same_name_and_the_same_posts(fake: FakeChannel) -> None:
    sent = fake.delivery("once")
    first = fake.connector.receive(fake.link(), sent.headers, sent.body)
    second = fake.connector.receive(fake.link(), sent.headers, sent.body)
    assert first.delivery_id == second.delivery_id
    assert [p.external_id for p in first.posts] == [p.external_id for p in second.posts]
    assert _received(fake, "another").delivery_id != first.delivery_id


@check("receive")
async def one_unreadable_post_in_a_delivery_is_set_aside_and_the_others_arrive(fake: FakeChannel) -> None:
    batch = _received(fake, "fine", "fine, too", broken=1)
    assert [post.text for post in batch.posts] == ["fine", "fine, too"]
    (rejected,) = batch.rejected
    assert rejected.reason


@check("receive")
async def a_signed_delivery_of_bad_content_is_malformed(fake: FakeChannel) -> None:
    for body in (b"", b"<html>", b'{"posts": [', b"\xff\xfe", b"null", b"[" * 100_000, b'"text"', b"17"):
        sent = fake.signed(body)
        with raises(Malformed):
            fake.connector.receive(fake.link(), sent.headers, sent.body)


@check("receive")
async def delivered_text_of_any_script_arrives_verbatim_but_for_what_cannot_be_stored(fake: FakeChannel) -> None:
    batch = _received(fake, *SCRIPTS.values())
    assert [plain(post.text) for post in batch.posts] == [plain(text) for text in SCRIPTS.values()]
    for post in batch.posts:
        assert_sound(post)
