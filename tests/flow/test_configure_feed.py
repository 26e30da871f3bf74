"""Configuring accounts and feeds."""

import base64
import json

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Check, IncomingAuthor
from app.connectors.registry import get
from app.errors import Conflict, Invalid, NotFound, SealError
from app.flow.configure_account import (
    AccountSettings,
    change_account,
    create_account,
    credentials_of,
    keep_identity,
    remove_account,
)
from app.flow.configure_feed import (
    FeedSettings,
    change_feed,
    create_feed,
    drop_quarantined,
    enable_feed,
    feed_settings,
    poll_now,
    retry_quarantined,
)
from app.flow.configured import fingerprint
from app.models.account import Account
from app.models.feed import Feed, Health, Quarantine
from app.vault import Vault

VAULT = Vault([b"k" * 32])
BLOG = FeedSettings(name="Blog", settings={"url": "https://blog.example.com/feed.xml"})
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


async def _account(session: AsyncSession, name: str = "Shop") -> Account:
    credentials = credentials_of(get("webhook"), {"secret": SECRET})
    return await create_account(session, VAULT, "webhook", AccountSettings(name=name), credentials)


async def _polls(session: AsyncSession) -> list[int]:
    jobs = await session.execute(
        text("SELECT (args->>'feed_id')::int FROM procrastinate_jobs WHERE task_name = 'poll_feed'")
    )
    return list(jobs.scalars())


async def test_credentials_are_sealed_to_their_account(session: AsyncSession) -> None:
    account = await _account(session)

    assert account.sealed is not None
    assert SECRET.encode() not in account.sealed
    assert json.loads(VAULT.open(account.sealed, f"account:{account.id}"))["secret"] == SECRET
    with pytest.raises(SealError):
        VAULT.open(account.sealed, "account:999")


async def test_credentials_that_the_connector_refuses_name_their_field(session: AsyncSession) -> None:
    with pytest.raises(Invalid, match="Signing secret") as refusal:
        credentials_of(get("webhook"), {"secret": "short"})

    assert refusal.value.field == "secret"
    with pytest.raises(Invalid, match="needs no account"):
        credentials_of(get("rss"), {})


async def test_two_accounts_of_a_channel_have_two_names(session: AsyncSession) -> None:
    await _account(session)

    with pytest.raises(Invalid) as refusal:
        await _account(session)

    assert refusal.value.field == "name"


async def test_new_credentials_wake_the_feeds_that_had_stopped(session: AsyncSession) -> None:
    account = await _account(session)
    feed = await create_feed(
        session, "webhook", FeedSettings(name="S", account_id=account.id, settings={"source": "s"})
    )
    feed.health, feed.trouble = Health.STOPPED, "The password is refused."
    account.needs_reconnect = True

    fresh = credentials_of(get("webhook"), {})
    await change_account(session, VAULT, account.id, AccountSettings(name="Shop"), fresh)

    assert not account.needs_reconnect
    assert (feed.health, feed.trouble) == (Health.NEW, "")


async def test_a_check_tells_who_we_are_there(session: AsyncSession) -> None:
    account = await _account(session)

    await keep_identity(session, account.id, Check("Fine.", IncomingAuthor("did:1", "northwind.example")))

    stored = await session.get_one(Account, account.id, populate_existing=True)
    assert (stored.external_id, stored.handle) == ("did:1", "northwind.example")


async def test_an_account_in_use_is_not_removed(session: AsyncSession) -> None:
    account = await _account(session)
    await create_feed(session, "webhook", FeedSettings(name="S", account_id=account.id, settings={"source": "s"}))

    with pytest.raises(Conflict, match="The feed S reads with Shop"):
        await remove_account(session, account.id)
    other = await _account(session, "Other")
    await remove_account(session, other.id)


async def test_a_new_feed_is_polled_at_once(session: AsyncSession) -> None:
    feed = await create_feed(session, "rss", BLOG)

    assert feed_settings(feed) == BLOG
    assert await _polls(session) == [feed.id]


async def test_a_feed_that_is_pushed_to_is_never_due(session: AsyncSession) -> None:
    account = await _account(session)

    feed = await create_feed(
        session, "webhook", FeedSettings(name="S", account_id=account.id, settings={"source": "s"})
    )

    await session.refresh(feed)
    assert feed.next_poll_at.year == 9999
    assert await _polls(session) == []
    with pytest.raises(Conflict, match="pushed to us"):
        await poll_now(session, feed.id)


@pytest.mark.parametrize(
    ("channel", "settings", "field"),
    [
        ("rss", BLOG.model_copy(update={"settings": {"url": "blog.example.com"}}), "url"),
        ("rss", BLOG.model_copy(update={"settings": {"adress": "x"}}), "url"),
        ("rss", BLOG.model_copy(update={"account_id": 404}), "account_id"),
        ("bluesky", FeedSettings(name="B", settings={}), "account_id"),
        ("rss", BLOG.model_copy(update={"min_interval": 60, "max_interval": 30}), "max_interval"),
    ],
)
async def test_what_a_feed_needs_is_named(
    session: AsyncSession, channel: str, settings: FeedSettings, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        await create_feed(session, channel, settings)

    assert refusal.value.field == field


async def test_new_settings_start_a_feed_afresh_and_fence_off_a_poll_under_way(session: AsyncSession) -> None:
    feed = await create_feed(session, "rss", BLOG)
    feed.cursor, feed.attempt, feed.health = {"etag": "1"}, 7, Health.OK
    await session.flush()

    renamed = await change_feed(session, feed.id, BLOG.model_copy(update={"name": "Our blog"}))
    assert (renamed.cursor, renamed.attempt) == ({"etag": "1"}, 7)

    moved = BLOG.model_copy(update={"settings": {"url": "https://other.example.com/feed.xml"}})
    await change_feed(session, feed.id, moved)
    assert (feed.cursor, feed.attempt, feed.health) == ({}, 8, Health.NEW)


async def test_a_stale_form_is_refused(session: AsyncSession) -> None:
    feed = await create_feed(session, "rss", BLOG)
    await enable_feed(session, feed.id, enabled=False)

    with pytest.raises(Conflict, match="changed Blog"):
        await change_feed(session, feed.id, BLOG, seen=fingerprint(BLOG))


async def test_a_feed_that_is_off_is_not_polled(session: AsyncSession) -> None:
    feed = await create_feed(session, "rss", BLOG.model_copy(update={"enabled": False}))

    assert await _polls(session) == []
    with pytest.raises(Conflict, match="is off"):
        await poll_now(session, feed.id)
    await enable_feed(session, feed.id, enabled=True)
    assert await _polls(session) == [feed.id]


async def _quarantined(session: AsyncSession, feed: Feed) -> int:
    row = {"feed_id": feed.id, "external_id": "x", "reason": "No date.", "payload": {}}
    stored = await session.execute(insert(Quarantine).values(row).returning(Quarantine.id))
    return stored.scalar_one()


async def test_a_retried_post_leaves_quarantine_and_the_feed_is_read_from_its_start(session: AsyncSession) -> None:
    feed = await create_feed(session, "rss", BLOG)
    feed.cursor = {"etag": "1"}
    quarantined = await _quarantined(session, feed)

    await retry_quarantined(session, feed.id, quarantined)

    assert (await session.scalars(select(Quarantine))).all() == []
    assert feed.cursor == {}
    with pytest.raises(NotFound):
        await retry_quarantined(session, feed.id, quarantined)


async def test_a_dropped_post_is_settled_once_and_only_through_its_own_feed(session: AsyncSession) -> None:
    feed = await create_feed(session, "rss", BLOG)
    other = await create_feed(session, "rss", BLOG.model_copy(update={"name": "Other"}))
    quarantined = await _quarantined(session, feed)

    with pytest.raises(NotFound):
        await drop_quarantined(session, other.id, quarantined)
    await drop_quarantined(session, feed.id, quarantined)
    with pytest.raises(NotFound):
        await drop_quarantined(session, feed.id, quarantined)
