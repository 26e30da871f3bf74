"""Telegram: a bot's private chats, groups and channels in, by long polling or by deliveries; messages and pictures out.

Rules: core.telegram.org/bots/api (getUpdates, setWebhook, Message), core.telegram.org/bots/features ("Privacy mode").
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, ClassVar
from urllib.parse import urlsplit

from app.connectors.answers import delivered
from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    Media,
    OutgoingReply,
    Pictures,
    PostChange,
    Rejected,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
    Window,
)
from app.connectors.guide import Places, Step
from app.connectors.telegram_api import Bot, Taken, bot_author
from app.connectors.telegram_messages import read_update
from app.connectors.telegram_parts import FILES, moment
from app.connectors.telegram_reply import LONGEST, deleted, edited, prepared, sent, window_of
from app.connectors.telegram_settings import TelegramCredentials, TelegramSettings
from app.connectors.wire import refuse_late
from app.errors import ChannelDown, Malformed, Refused, Unauthorized
from app.i18n import N_

WANTED = (
    *("message", "edited_message", "channel_post", "edited_channel_post", "my_chat_member"),
    *("business_message", "edited_business_message", "deleted_business_messages"),
)
_PAGE = 50  # updates in one call: Telegram gives 100, but each may have a file to fetch
_PATIENCE = 15  # seconds that Telegram may keep us waiting: less than an answer may take
_PAUSE = 1.0  # seconds
_LARGEST_FILE = 8_000_000  # bytes of a customer's file that are kept
_LOOK_EVERY = timedelta(minutes=15)  # whether deliveries still come here
_CONFLICTS = 3  # in a row: a poll ends our wait now and then, more is another program
_PICTURES = Pictures(most=10, bytes=10_000_000, pixels=16_000_000, alt=0)  # Telegram knows no descriptions


class TelegramConnector(Connector):
    """A bot has one feed: what one call of getUpdates took, no other sees."""

    name: ClassVar[str] = "telegram"
    title: ClassVar[str] = "Telegram"
    help: ClassVar[str] = N_(
        "Brings what people write to a bot of yours on Telegram: in private, in groups, and under a channel's posts, and "
        "answers as the bot. A bot has one feed."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        edit=True,
        delete=True,
        threads=True,
        streams=True,
        hooks=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        length_limit=LONGEST,
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = TelegramSettings
    Credentials: ClassVar[type[SettingsModel] | None] = TelegramCredentials

    def guide(self, places: Places) -> tuple[Step, ...]:
        """The bot, and what it may see."""
        return (
            Step(
                N_("Create a bot"),
                N_("Write /newbot to @BotFather and copy the token that it gives you."),
                "https://t.me/BotFather",
            ),
            Step(
                N_("Let it see groups"),
                N_(
                    "Optional: add the bot to the group. Mentions, answers and commands reach it at once; for everything, "
                    "choose /setprivacy, Disable at @BotFather before you add it, or make it an administrator there."
                ),
            ),
            Step(
                N_("Let it see a channel"),
                N_("Optional: make the bot an administrator of the channel and of its group."),
            ),
            Step(
                N_("Let it speak for a business account"),
                N_(
                    "Optional: in that account's app, under Telegram Business, Chatbots, add the bot and let it answer."
                ),
            ),
        )

    def app_of(self, credentials: Any) -> str:
        """A bot has one webhook."""
        return str(credentials.token.get_secret_value().partition(":")[0])

    async def who(self, link: Link) -> IncomingAuthor | None:
        """The bot."""
        return bot_author(await Bot(link).me())

    async def check(self, link: Link) -> Check:
        """Say which bot it is, and show a message that waits for it."""
        bot = Bot(link)
        told = await bot.me()
        us = bot_author(told)
        notices = []
        if link.settings.everything and told.get("can_read_all_group_messages") is False:
            notices.append(N_("In groups the bot sees only what is meant for it, unless it is an administrator there: its privacy mode is on."))  # fmt: skip
        posts = () if link.settings.delivered else (await self._updates(bot, us, {})).posts
        return Check(
            N_("Connected as @%(handle)s.") % {"handle": us.handle}, us, next(iter(posts), None), tuple(notices)
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what waits for the bot, and let Telegram forget what is stored; or see to it that it is delivered."""
        bot = Bot(link)
        if link.settings.delivered:
            return await self._arranged(bot, cursor)
        us = link.account or bot_author(await bot.me())
        try:
            return await self._updates(bot, us, cursor)
        except Taken:
            await self._reclaim(bot)
        return await self._updates(bot, us, cursor)

    async def listen(self, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
        """Wait for messages: Telegram answers when one comes. What was yielded is stored, and may be forgotten there."""
        if link.settings.delivered:
            return
        bot = Bot(link)
        us = link.account or bot_author(await bot.me())
        batch = await self._updates(bot, us, cursor)
        yield batch
        conflicts = 0
        while True:
            asked_at = monotonic()
            try:
                told = await self._updates(bot, us, batch.cursor, _PATIENCE)
            except Taken:
                conflicts += 1
                if conflicts >= _CONFLICTS:
                    raise
                continue
            conflicts = 0
            if told.cursor != batch.cursor:
                batch = told
                yield batch
            elif monotonic() < asked_at + _PAUSE:
                await asyncio.sleep(_PAUSE)  # a server that does not wait is not asked without end

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Read one update. Telegram signs nothing: it shows what we gave it when we asked for deliveries."""
        given = {name.lower(): value for name, value in headers.items()}.get("x-telegram-bot-api-secret-token", "")
        bot = Bot(link)
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), bot.proof.encode()):
            raise Unauthorized(N_("The delivery does not come from Telegram, or is for another bot."))
        told = delivered(body)
        if not isinstance(told, dict) or not isinstance(told.get("update_id"), int):
            raise Malformed(N_("The delivery is no update of Telegram's."))
        us = link.account or IncomingAuthor(str(bot.id), str(bot.id))
        return replace(_batch([told], us, link.settings, link.now), delivery_id=f"update:{told['update_id']}")

    async def complete(self, link: Link, batch: Batch) -> Batch:
        """The files: Telegram gives them to the bot alone."""
        return await _with_files(Bot(link), batch)

    def window(self, settings: Any, to: Json, visibility: Visibility, now: datetime) -> Window | None:
        """For a business account a bot may answer for 24 hours (BusinessBotRights, can_reply)."""
        return window_of(to)

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """The message. Raises Refused when it is too long, or comes too late."""
        refuse_late(window_of(reply.to), link.now)
        return prepared(reply)

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once."""
        return await sent(Bot(link), reply)

    async def edit(self, link: Link, reply: Standing, text: str) -> None:
        """Change our message."""
        await edited(Bot(link), reply, text)

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our message."""
        await deleted(Bot(link), reply)

    async def _updates(self, bot: Bot, us: IncomingAuthor, cursor: Json, wait: int = 0) -> Batch:
        """One call. Its offset tells Telegram what is stored, so it is that of the cursor alone."""
        asked: Json = {"limit": _PAGE, "timeout": wait, "allowed_updates": WANTED}
        asked |= {"offset": cursor["offset"]} if "offset" in cursor else {}
        found = await bot.call("getUpdates", asked)
        if not isinstance(found, list):
            raise bot.odd()
        numbers = [one["update_id"] for one in found if isinstance(one, dict) and isinstance(one.get("update_id"), int)]
        if len(numbers) < len(found):
            raise bot.odd()  # what has no number cannot be passed over
        batch = await _with_files(bot, _batch(found, us, bot.link.settings, bot.link.now))
        kept = {"offset": max(numbers) + 1} if numbers else dict(cursor)
        return replace(batch, cursor=kept, more=len(found) >= _PAGE)

    async def _reclaim(self, bot: Bot) -> None:
        """End our own deliveries, which the feed had before. Raises Refused when they are another program's."""
        place = await self._delivered_to(bot)
        if not place:
            return
        if place != bot.link.hook:
            raise Refused(
                N_("The bot's messages are delivered to %(host)s. End that there, or use another bot.")
                % {"host": urlsplit(place).netloc}
            )
        await bot.call("deleteWebhook")

    async def _delivered_to(self, bot: Bot) -> str:
        info = await bot.call("getWebhookInfo")
        return str(info.get("url") or "") if isinstance(info, dict) else ""

    async def _arranged(self, bot: Bot, cursor: Json) -> Batch:
        """Have updates delivered to the feed's address; four times an hour, see whether they are, and what went wrong."""
        now, hook = bot.link.now, bot.link.hook
        looked = moment(cursor.get("looked"))
        if looked is not None and now < looked + _LOOK_EVERY:
            return Batch(cursor=dict(cursor))
        if not hook.startswith("https://"):
            raise Refused(N_("Telegram delivers to public https addresses only. Turn deliveries off for this feed."))
        info = await bot.call("getWebhookInfo")
        if not isinstance(info, dict):
            raise bot.odd()
        if info.get("url") != hook:
            await bot.call("setWebhook", {"url": hook, "secret_token": bot.proof, "allowed_updates": WANTED})
        failed = moment(info.get("last_error_date"))
        recent = failed is not None and now < failed + _LOOK_EVERY and info.get("url") == hook
        said = str(info.get("last_error_message") or "")[:300]
        notice = N_("Telegram could not deliver: %(said)s") % {"said": said} if recent else ""
        return Batch(cursor={"looked": int(now.timestamp())}, notice=notice)


def _batch(found: list[Any], us: IncomingAuthor, settings: Any, now: datetime) -> Batch:
    read = [one for raw in found for one in read_update(raw, us, settings, now)]
    posts = sorted((one for one in read if isinstance(one, IncomingPost)), key=lambda post: post.posted_at)
    changes = tuple(one for one in read if isinstance(one, PostChange))
    return Batch(tuple(posts), changes=changes, rejected=tuple(one for one in read if isinstance(one, Rejected)))


async def _with_files(bot: Bot, batch: Batch) -> Batch:
    posts = [replace(post, media=tuple([await _kept(bot, one) for one in post.media])) for post in batch.posts]
    return replace(batch, posts=tuple(posts))


async def _kept(bot: Bot, media: Media) -> Media:
    """A file with its bytes; one that Telegram does not give, or that is too large, stays a name."""
    if not media.url.startswith(FILES):
        return media
    with suppress(Refused, ChannelDown):
        return replace(media, content=await bot.file(media.url.removeprefix(FILES), _LARGEST_FILE))
    return media
