"""Threads: mentions of a profile and all that stands under its posts; answers, which can be deleted, and hiding.

Rules: developers.facebook.com/docs/threads (replies and conversations, mentions, posts, "Delete Posts", "Reply
Management", webhooks, "Troubleshooting"); what is shared with Facebook and Instagram stands in `meta_*`.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from app.connectors.base import (
    Allowance,
    Batch,
    Capabilities,
    Check,
    IncomingAuthor,
    Json,
    KnownPost,
    Length,
    Link,
    OutgoingReply,
    PostChange,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.guide import OAuth, Paste, Places, Step
from app.connectors.length import count, refuse_long
from app.connectors.meta_app import AppConnector
from app.connectors.meta_feed import ChosenThings, Parts, Reader, read_parts
from app.connectors.meta_graph import moment
from app.connectors.meta_hooks import Told, signed
from app.connectors.meta_reply import delete_comment, require_done
from app.connectors.sent import may_stand_since, same
from app.connectors.threads_account import (
    REPLIES,
    SIGN_IN,
    Profile,
    ThreadsCredentials,
    lasting,
    profile,
    require_room,
)
from app.connectors.threads_posts import look_under, our_posts, read_mentions, read_post, read_replies
from app.connectors.wire import is_web, uploading
from app.errors import ChannelDown, Malformed, MaybeSent, Refused
from app.i18n import N_

_LONGEST = 500  # characters
_LOOKS, _PAUSE = 10, 1.0  # at a container that is not finished, and seconds between two
_PAGES = 10  # of our own replies that are looked through


class ThreadsSettings(ChosenThings):
    """What a feed brings of its profile."""

    things: ClassVar = ("replies", "mentions")

    replies: bool = Field(
        default=True, title=N_("Replies"), description=N_("Under our posts. Polls see the 50 newest posts.")
    )
    mentions: bool = Field(default=True, title=N_("Mentions"), description=N_("Public posts that name the profile."))


async def _read(link: Link, found: Profile, cursor: Json) -> Parts:
    """All that the feed wants; what both lists bring counts as a reply."""
    ours, settings = await our_posts(found), link.settings
    readers: dict[str, Reader[Profile]] = {}
    if settings.mentions:
        readers["mentions"] = partial(read_mentions, ours=ours)
    if settings.replies:
        readers["replies"] = partial(read_replies, ours=ours)
    return await read_parts(readers, found, cursor, link.now)


class ThreadsConnector(AppConnector):
    """A profile: what names it and what stands under its posts; answers out."""

    name: ClassVar[str] = "threads"
    title: ClassVar[str] = "Threads"
    help: ClassVar[str] = N_(
        "Brings mentions of a profile and replies under its posts, and answers them. Needs an app of your company at "
        "developers.facebook.com with the use case Threads, reviewed by Meta."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        delete=True,
        threads=True,
        hooks=True,
        hide=True,
        find_sent=True,
        visibilities=(Visibility.PUBLIC,),
        length_limit=_LONGEST,
        length_counts=Length.THREADS,
        looks=20,
    )
    Settings: ClassVar[type[SettingsModel]] = ThreadsSettings
    Credentials: ClassVar[type[SettingsModel] | None] = ThreadsCredentials
    oauth: ClassVar[OAuth | None] = SIGN_IN

    def guide(self, places: Places) -> tuple[Step, ...]:
        """The app, its sign-in, its deliveries."""
        return (
            Step(
                N_("Create an app"),
                N_("With the use case Threads API. Under App settings, Basic, copy the Threads app id and its secret."),
                "https://developers.facebook.com/apps/creation/",
            ),
            Step(
                N_("Let people sign in"),
                N_("Customise the use case: add the permissions below, and paste this under Redirect Callback URLs."),
                paste=(Paste(N_("Redirect address"), places.redirect),) if places.redirect else (),
            ),
            Step(
                N_("Have deliveries sent"),
                N_(
                    "Add real-time notifications to the use case, paste the address with your verify token, and subscribe "
                    "to replies and mentions."
                ),
                paste=(Paste(N_("Callback URL"), places.hook),) if places.hook else (),
            ),
        )

    async def signed_in(self, link: Link) -> SettingsModel:
        """Change the short token for one of sixty days."""
        return await lasting(link)

    async def who(self, link: Link) -> IncomingAuthor | None:
        """The profile."""
        return (await profile(link)).author

    def allowances(self, settings: Any, credentials: Any, *, replying: bool = False) -> tuple[Allowance, ...]:
        """Replies of 24 hours; polls draw from what the headers of all calls tell."""
        return (Allowance(REPLIES, N_("Replies of 24 hours")),) if replying else ()

    async def check(self, link: Link) -> Check:
        """Say which profile it is, and show the newest thing that the feed would bring."""
        found = await profile(link)
        parts = await _read(link, found, {})
        return Check(N_("Connected as @%(name)s.") % {"name": found.name}, found.author, parts.newest)

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new of all that the feed wants."""
        found = await profile(link)
        return (await _read(link, found, cursor)).batch(budget=found.graph.budget)

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Read what a delivery tells of this profile, as far as the feed wants it."""
        told, name = signed(link, headers, body)
        held, settings, seen = link.credentials, link.settings, Told()
        us = IncomingAuthor(held.user_id, held.user_name)
        for field, value in _notified(told):
            ours = _under_ours(value, held.user_id)
            replied = field == "replies" and settings.replies and ours
            mentioned = field == "mentions" and settings.mentions and _names(value, held.user_name)
            if replied or mentioned:
                seen.add(read_post(value, us, link.now, {} if ours else None))
        return seen.batch(delivery_id=name)

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Look through what stands under our posts. Posts of others elsewhere are not ours to ask for."""
        by_post: dict[str, dict[str, KnownPost]] = {}
        for known in posts:
            if known.ref.get("on"):
                by_post.setdefault(known.ref["on"], {})[known.external_id] = known
        found = await profile(link)
        return tuple([one for on, known in by_post.items() for one in await look_under(found, on, known, link.now)])

    async def hide(self, link: Link, post: KnownPost, *, hidden: bool) -> None:
        """Hide a reply, or show it again. A repeat is harmless."""
        found = await profile(link)
        require_done(await found.graph.post(f"{post.ref['id']}/manage_reply", {"hide": hidden}))

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """Raises Refused for what Threads never takes."""
        refuse_long(count(reply.text, Length.THREADS), _LONGEST)
        return {"text": reply.text, "under": str(reply.after.get("id") or reply.to["id"])}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Make a container and publish it, once; nothing at Meta drops a repeat."""
        found = await profile(link)
        with uploading():
            await require_room(found, link)
            body = {"media_type": "TEXT", "text": reply.prepared["text"], "reply_to_id": reply.prepared["under"]}
            container = (await found.graph.post(f"{found.id}/threads", body)).get("id")
            await _require_finished(found, container)
        name = (await found.graph.post(f"{found.id}/threads_publish", {"creation_id": container})).get("id")
        if not isinstance(name, str) or not name:
            raise Malformed(N_("Meta took the reply but did not say where it stands."))
        return Sent(name, None, link.now, {"kind": "reply", "id": name}, found.graph.budget)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look through our own replies since shortly before the first try, for this text under this post."""
        found = await profile(link)
        since, after = may_stand_since(reply), ""
        for _page in range(_PAGES):
            fields = "id,text,timestamp,permalink,replied_to"
            page = await found.graph.edge(f"{found.id}/replies", after, fields=fields, limit=100)
            for raw in page.entries:
                at = moment(raw.get("timestamp")) if isinstance(raw, dict) else None
                if at is None:
                    continue
                if at < since:
                    return None
                if _is(raw, reply):
                    url = str(raw.get("permalink"))
                    name = str(raw["id"])
                    return Sent(name, url if is_web(url) else None, at, {"kind": "reply", "id": name})
            after = page.after
            if not after:
                return None
        raise MaybeSent(N_("There was too much written since the first try to look through it all."))

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our reply; Meta takes a hundred deletions a day."""
        await delete_comment((await profile(link)).graph, reply)


async def _require_finished(found: Profile, container: Any) -> None:
    """Wait until a container can be published. Raises ConnectorError."""
    if not isinstance(container, str) or not container:
        raise Malformed(N_("Meta took the reply but did not say where it stands."))
    for _look in range(_LOOKS):
        told = await found.graph.get(container, fields="status,error_message")
        match told.get("status"):
            case "FINISHED":
                return
            case "ERROR" | "EXPIRED":
                raise Refused(N_("Meta will not take this: %(said)s") % {"said": str(told.get("error_message"))[:200]})
        await asyncio.sleep(_PAUSE)
    raise ChannelDown(N_("Meta has not finished with the reply yet. It is tried again later."))


def _notified(told: Any) -> Iterator[tuple[str, Json]]:
    """Field and post of each notification ("Webhooks for Threads"). Raises Malformed."""
    for one in told if isinstance(told, list) else [told]:
        values = one.get("values") if isinstance(one, dict) else None
        if not isinstance(values, dict | list):
            raise Malformed(N_("The delivery is no envelope of Meta's with entries."))
        for each in values if isinstance(values, list) else [values]:
            if isinstance(each, dict) and isinstance(each.get("value"), dict):
                yield str(each.get("field")), each["value"]


def _under_ours(value: Json, user_id: str) -> bool:
    root = value.get("root_post")
    return isinstance(root, dict) and str(root.get("owner_id")) == user_id


def _names(value: Json, user_name: str) -> bool:
    """A delivery of a mention does not say of whom: another profile of the app may be meant."""
    named = re.findall(r"@([\w.]+)", str(value.get("text") or ""))
    return user_name.casefold() in [one.rstrip(".").casefold() for one in named]


def _is(raw: Json, reply: OutgoingReply) -> bool:
    above = raw.get("replied_to")
    under = str(above.get("id")) if isinstance(above, dict) else ""
    return under == reply.prepared["under"] and same(str(raw.get("text") or ""), reply.prepared["text"])
