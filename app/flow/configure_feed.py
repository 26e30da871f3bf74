"""Configure feeds: which connector, account and settings; on or off; poll now; what to do about quarantined posts."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from sqlalchemy import Delete, Update, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms, registry
from app.connectors.base import Connector, SettingsModel
from app.db import announce
from app.errors import Conflict, Invalid, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh
from app.flow.house import House
from app.flow.poll import lane_of
from app.i18n import N_, _
from app.jobs import POLL, defer
from app.models.account import Account
from app.models.feed import NEVER, Feed, FeedStream, Health, Quarantine


class FeedBasics(SettingsModel):
    """What an admin sets of any feed, whatever its connector. Intervals in seconds."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=120, examples=["Mentions of @northwind"])
    enabled: bool = Field(True, title=N_("On"), description=N_("Off: nothing is fetched; what came stays."))
    import_backlog: bool = Field(
        False,
        title=N_("Queue what is there already"),
        description=N_("Off: posts that are older than this feed are stored closed, nobody is asked to answer them."),
    )
    min_interval: int = Field(15, title=N_("Poll at most every"), description=N_("Seconds."), ge=5, le=86_400)
    max_interval: int = Field(300, title=N_("Poll at least every"), description=N_("Seconds."), ge=5, le=86_400)


class FeedShape(FeedBasics):
    """The basics and the settings of the connector."""

    settings: Mapping[str, Any] = Field(default_factory=dict, title=N_("Settings of the connector"))
    house: House = Field(default_factory=House, title=N_("Rules of the house"))


class FeedSettings(FeedShape):
    """A feed's shape and the account it reads and answers with."""

    account_id: int | None = Field(None, title=N_("Account"))


def feed_settings(feed: Feed) -> FeedSettings:
    """The settings of a stored feed."""
    return FeedSettings(
        name=feed.name,
        account_id=feed.account_id,
        enabled=feed.enabled,
        import_backlog=feed.import_backlog,
        min_interval=feed.min_interval,
        max_interval=feed.max_interval,
        settings=dict(sorted(feed.settings.items())),
        house=House.model_validate(feed.house),
    )


async def create_feed(session: AsyncSession, channel: str, settings: FeedSettings) -> Feed:
    """Make a feed; it is polled at once when it is on. Raises NotFound (no such connector), Invalid."""
    connector = registry.get(channel)
    checked = await _check(session, connector, settings)
    feed = Feed(channel=channel, interval=settings.min_interval, **_columns(settings, checked))
    session.add(feed)
    await session.flush()
    await wake_feed(session, feed)
    return feed


async def change_feed(session: AsyncSession, feed_id: int, settings: FeedSettings, seen: str | None = None) -> Feed:
    """Change a feed. New settings or another account start it afresh: health new, cursor kept only if they did not change.

    Raises:
        NotFound: there is no such feed.
        Conflict: somebody else changed it meanwhile.
        Invalid: a setting is not acceptable to the connector, or the account belongs to another channel.
    """
    feed = await _feed(session, feed_id)
    before = feed_settings(feed)
    must_be_fresh(before, seen, feed.name)
    connector = registry.get(feed.channel)
    checked = await _check(session, connector, settings)
    moved = dict(before.settings) != checked or before.account_id != settings.account_id
    for name, value in _columns(settings, checked).items():
        setattr(feed, name, value)
    feed.interval = min(max(feed.interval, settings.min_interval), settings.max_interval)
    if moved:
        _start_afresh(feed)
    await session.flush()
    await wake_feed(session, feed)
    return feed


async def change_house(session: AsyncSession, feed_id: int, house: House) -> Feed:
    """Give a feed other rules of the house; what is stored stays. Raises NotFound."""
    feed = await _feed(session, feed_id)
    feed.house = house.model_dump(mode="json", exclude_defaults=True)
    await session.flush()
    announce(session, "feeds", [feed.id])
    return feed


async def enable_feed(session: AsyncSession, feed_id: int, enabled: bool) -> Feed:
    """Switch a feed on or off. Switching on tries at once and forgets the back-off. Raises NotFound."""
    feed = await _feed(session, feed_id)
    feed.enabled = enabled
    await session.flush()
    await wake_feed(session, feed)
    return feed


async def poll_now(session: AsyncSession, feed_id: int) -> Feed:
    """Ask for a poll at once, back-off or not. Raises NotFound, Conflict when the feed is off or is only pushed to."""
    feed = await _feed(session, feed_id)
    if not feed.enabled:
        raise Conflict(_("The feed %(feed)s is off. Switch it on first.") % {"feed": feed.name})
    if registry.get(feed.channel).capabilities.push:
        raise Conflict(
            _("Posts of %(feed)s are pushed to us, so nothing is fetched. Let the sender deliver again.")
            % {"feed": feed.name}
        )
    await wake_feed(session, feed)
    return feed


async def retry_quarantined(session: AsyncSession, feed_id: int, quarantine_id: int) -> Feed:
    """Read the feed again from its start, so that a quarantined post gets another chance; known posts change nothing.

    If it fails again it comes back to quarantine.

    Raises:
        NotFound: it is not there any more.
        Conflict: the feed is off, or is only pushed to.
    """
    feed = await poll_now(session, feed_id)
    await _take_out(session, delete(Quarantine), feed_id, quarantine_id)
    feed.attempt += 1
    feed.leased_until = None
    feed.cursor = {}
    await session.flush()
    return feed


async def drop_quarantined(session: AsyncSession, feed_id: int, quarantine_id: int) -> None:
    """Settle a quarantined post: nobody needs it any more. Raises NotFound."""
    await _take_out(session, update(Quarantine).values(resolved_at=func.now()), feed_id, quarantine_id)
    announce(session, "feeds", [feed_id])


async def _take_out(session: AsyncSession, change: Update | Delete, feed_id: int, quarantine_id: int) -> None:
    open_post = (Quarantine.id == quarantine_id, Quarantine.feed_id == feed_id, Quarantine.resolved_at.is_(None))
    taken = await session.scalar(change.where(*open_post).returning(Quarantine.id))
    if taken is None:
        raise NotFound(_("That post is not in quarantine any more."))


async def _feed(session: AsyncSession, feed_id: int) -> Feed:
    feed = await session.get(Feed, feed_id, populate_existing=True, with_for_update=UPDATE_LOCK)
    if feed is None:
        raise NotFound(_("There is no such feed."))
    return feed


async def wake_feed(session: AsyncSession, feed: Feed) -> None:
    """Make the feed due now and nudge a worker; one that is pushed to is never due. Its stream is opened anew."""
    pushed = registry.get(feed.channel).capabilities.push
    feed.next_poll_at = NEVER if pushed else func.now()
    if feed.enabled:
        feed.failures = 0
    await session.flush()
    await _end_stream(session, feed.id)
    if feed.enabled and not pushed:
        await defer(session, POLL, "feed_id", [feed.id], lane=lane_of(feed))
    announce(session, "feeds", [feed.id])


async def _end_stream(session: AsyncSession, feed_id: int) -> None:
    """Whoever holds the feed's stream lets it go, and stores nothing more from it; back-off is forgotten."""
    anew = {"leased_until": None, "live_at": None, "next_at": func.now(), "failures": 0, "trouble": ""}
    stream = update(FeedStream).where(FeedStream.feed_id == feed_id)
    await session.execute(stream.values(epoch=FeedStream.epoch + 1, **anew))


def _start_afresh(feed: Feed) -> None:
    feed.attempt += 1  # a poll under way with the old settings may not write its cursor
    feed.leased_until = None
    feed.cursor = {}
    feed.synced_at = None
    feed.health = Health.NEW
    feed.trouble = ""
    feed.failures = 0


async def _check(session: AsyncSession, connector: Connector, settings: FeedSettings) -> dict[str, Any]:
    """The connector's settings as they are stored, once everything is found acceptable."""
    if settings.max_interval < settings.min_interval:
        raise Invalid(_("The longest interval is shorter than the shortest one."), "max_interval")
    if connector.Credentials is None:
        if settings.account_id is not None:
            raise Invalid(_("%(connector)s needs no account.") % {"connector": connector.title}, "account_id")
    elif settings.account_id is not None or connector.account_needed:
        channel = await session.scalar(select(Account.channel).where(Account.id == settings.account_id))
        if channel != (connector.accounts_of or connector.name):
            raise Invalid(
                _("Choose the %(connector)s account to read and answer with, or add one first.")
                % {"connector": connector.title},
                "account_id",
            )
    return forms.check(connector.Settings, settings.settings).model_dump(mode="json")


def _columns(settings: FeedSettings, checked: dict[str, Any]) -> dict[str, Any]:
    asked = settings.house.model_dump(mode="json", exclude_defaults=True)
    return settings.model_dump(mode="json") | {"settings": checked, "house": asked}
