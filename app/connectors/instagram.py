"""Instagram: comments, tags, mentions and messages of a professional account that hangs on a Facebook Page.

Rules: developers.facebook.com/docs/instagram-platform (comment moderation, mentions, webhooks), /docs/messenger-platform/
instagram; the fields and edges that are asked for are those of Meta's own specification (facebook-business-sdk-codegen:
IGUser.json, IGMedia.json, IGComment.json). What is shared with Facebook stands in `meta_*`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Link,
    OutgoingReply,
    PostChange,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.guide import OAuth, Paste, Places, Scope, Step
from app.connectors.instagram_posts import (
    named_mention,
    read_comments,
    read_look,
    read_tags,
    told_comment,
    told_mention,
)
from app.connectors.length import refuse_long
from app.connectors.meta_account import Page, login, page, subscribe
from app.connectors.meta_feed import ChosenThings, Reader, look_each, read_parts
from app.connectors.meta_graph import Gone, moment
from app.connectors.meta_hooks import Told, changes, entries, messages
from app.connectors.meta_messages import (
    MESSAGE,
    body_of,
    find_message,
    named,
    read_conversations,
    read_event,
    send_message,
    with_names,
)
from app.connectors.meta_page import PageConnector
from app.connectors.meta_reply import INSTAGRAM, comment_under, delete_comment, find_comment, require_done
from app.connectors.wire import refuse_late
from app.errors import MaybeSent, Refused
from app.i18n import N_

_PLACE = "instagram"  # `platform` of its conversations
_LONGEST_COMMENT = 300  # characters; with at most four hashtags and one link ("Create a comment")
_LONGEST_MESSAGE = 1000  # bytes
_HASHTAGS, _LINKS = 4, 1
_HOOK_FIELDS = "messages,feed"  # of the Page: Instagram's own are chosen in the app's dashboard


class InstagramSettings(ChosenThings):
    """What a feed brings of its account."""

    things: ClassVar = ("comments", "mentions", "messages")

    comments: bool = Field(
        default=True, title=N_("Comments"), description=N_("Under our media. Polls see the 50 newest media.")
    )
    mentions: bool = Field(
        default=True, title=N_("Mentions"), description=N_("Tags are polled; mentions come by deliveries only.")
    )
    messages: bool = Field(default=True, title=N_("Messages"), description=N_("Answers to our stories are among them."))
    human_agent: bool = Field(
        default=False,
        title=N_("Answer messages for 7 days"),
        description=N_("Only when Meta has approved the feature Human Agent for the app. Else it is 24 hours."),
    )


def _readers(settings: InstagramSettings) -> dict[str, Reader[Page]]:
    """By the name of its part in the cursor, how each thing is read that the feed brings."""
    wanted: dict[str, tuple[bool, Reader[Page]]] = {
        "messages": (settings.messages, _read_messages),
        "comments": (settings.comments, read_comments),
        "tags": (settings.mentions, read_tags),
    }
    return {name: reader for name, (is_wanted, reader) in wanted.items() if is_wanted}


async def _read_messages(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    return await read_conversations(found, _PLACE, state, told, now)


async def _account(link: Link) -> Page:
    """The Page with its Instagram account. Raises Refused when it has none."""
    found = await page(link)
    if not found.instagram_id:
        raise Refused(
            N_(
                "No professional Instagram account hangs on the Page %(page)s. Link one in its settings, then connect again."
            )
            % {"page": found.name}
        )
    return found


class InstagramConnector(PageConnector):
    """An account: what is written under its media, about it and to it; comments, private replies and messages out."""

    name: ClassVar[str] = "instagram"
    title: ClassVar[str] = "Instagram"
    help: ClassVar[str] = N_(
        "Brings comments, tags, mentions and messages of a professional account that is linked to a Facebook Page, and "
        "answers them. Needs an app of your company at developers.facebook.com, reviewed by Meta."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        delete=True,
        hooks=True,
        hide=True,
        find_sent=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        length_limit=_LONGEST_COMMENT,
        looks=8,
    )
    Settings: ClassVar[type[SettingsModel]] = InstagramSettings
    oauth: ClassVar[OAuth | None] = login(
        Scope("pages_show_list", N_("to find the Page that the account hangs on")),
        Scope("pages_manage_metadata", N_("to have deliveries sent")),
        Scope("pages_read_engagement", N_("to find the account of the Page")),
        Scope("instagram_basic", N_("to read our media and what we are tagged in")),
        Scope("instagram_manage_comments", N_("to read, write, hide and delete comments")),
        Scope("instagram_manage_messages", N_("to read and write messages")),
    )

    def guide(self, places: Places) -> tuple[Step, ...]:
        """The app, the account, its deliveries."""
        return (
            Step(
                N_("Link the account to a Page"),
                N_(
                    "It has to be a professional one. In its settings under Messages, allow access for connected tools."
                ),
                "https://www.facebook.com/business/help/connect-instagram-to-page",
            ),
            Step(
                N_("Create an app"),
                N_("The one for your Facebook Page will do. Copy App id and App secret below."),
                "https://developers.facebook.com/apps/creation/",
            ),
            Step(
                N_("Let people sign in"),
                N_("Add Facebook Login for Business, and paste this under Valid OAuth redirect URIs."),
                paste=(Paste(N_("Redirect address"), places.redirect),) if places.redirect else (),
            ),
            Step(
                N_("Have deliveries sent"),
                N_(
                    "Add Webhooks, choose Instagram, and paste the address with your verify token. Subscribe to comments, "
                    "live_comments, mentions, messages and message_edit."
                ),
                paste=(Paste(N_("Callback URL"), places.hook),) if places.hook else (),
            ),
        )

    async def who(self, link: Link) -> IncomingAuthor | None:
        """The account."""
        return named(await _account(link), _PLACE)

    async def check(self, link: Link) -> Check:
        """Say which account it is, and show the newest thing that the feed would bring."""
        found = await _account(link)
        parts = await read_parts(_readers(link.settings), found, {}, link.now)
        said = N_("Connected as @%(name)s.") % {"name": found.instagram_name}
        return Check(said, named(found, _PLACE), parts.newest)

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new of all that the feed wants; a first one has deliveries sent as well."""
        found = await _account(link)
        notice = await subscribe(found, _HOOK_FIELDS) if link.hook and not cursor else ""
        parts = await read_parts(_readers(link.settings), found, cursor, link.now)
        return parts.batch(budget=found.graph.budget, notice=notice)

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Read what a delivery tells of this account, as far as the feed wants it."""
        listed, name = entries(link, headers, body, "instagram")
        held, settings, seen = link.credentials, link.settings, Told()
        us = IncomingAuthor(held.instagram_id, held.instagram_name)
        for entry in listed:
            if str(entry.get("id")) != held.instagram_id:
                continue  # another account of the same app
            at = min(moment(entry.get("time")) or link.now, link.now)
            for field, value in changes(entry):
                if field in {"comments", "live_comments"} and settings.comments:
                    seen.add(told_comment(value, us, link.now, at))
                elif field == "mentions" and settings.mentions:
                    seen.add(told_mention(value, at))
            for event in messages(entry) if settings.messages else ():
                seen.add(read_event(event, us, link.now))
        return seen.batch(delivery_id=name)

    async def complete(self, link: Link, batch: Batch) -> Batch:
        """Who wrote the messages, and what the mentions say: deliveries name only numbers."""
        found = await _account(link)
        posts = []
        for post in batch.posts:
            named_only = post.ref.get("kind") == "mention" and not post.text
            posts.append(await _mention(found, post, link.now) if named_only else post)
        return await with_names(found, _PLACE, replace(batch, posts=tuple(one for one in posts if one is not None)))

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for each comment; messages tell of themselves, and what others published is not ours to ask for."""
        found = await _account(link)
        asked = [known for known in posts if known.ref.get("kind") == "comment"]
        return await look_each(found.graph, asked, "id,text", read_look, link.now)

    def able(self, to: Json, visibility: Visibility | None = None) -> Capabilities:
        """Messages are counted in bytes and stay; a tag cannot be answered."""
        if to.get("kind") == MESSAGE or visibility is Visibility.DIRECT:
            return replace(self.capabilities, length_limit=None, byte_limit=_LONGEST_MESSAGE, delete=False)
        return replace(self.capabilities, reply=to.get("kind") != "tag")

    async def hide(self, link: Link, post: KnownPost, *, hidden: bool) -> None:
        """Hide a comment, or show it again. A repeat is harmless."""
        found = await _account(link)
        require_done(await found.graph.post(str(post.ref["id"]), {"hide": hidden}))

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """A message, a comment, or an answer to a mention. Raises Refused for what Instagram never takes."""
        to = reply.to
        if to.get("kind") == "tag":
            raise Refused(N_("Instagram takes no answer to a tag. Open the post and answer there."))
        refuse_late(self.window(link.settings, to, reply.visibility, link.now), link.now)
        if to.get("kind") == MESSAGE or reply.visibility is Visibility.DIRECT:
            refuse_long(len(reply.text.encode("utf-8", "surrogatepass")), _LONGEST_MESSAGE)
            return {"as": MESSAGE, "body": body_of(reply, link.now)}
        _refuse_unfit(reply.text)
        if to.get("kind") == "mention":
            place = {"media_id": to["media"], "comment_id": to["comment"]}
            return {"as": "mention", "body": {"message": reply.text, **{key: one for key, one in place.items() if one}}}
        return {"as": "comment", "under": to.get("under") or to["id"], "body": {"message": reply.text}}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once; nothing at Meta drops a repeat."""
        found = await _account(link)
        if reply.prepared["as"] == MESSAGE:
            return await send_message(found, reply, link.now)
        if reply.prepared["as"] == "mention":
            return await comment_under(found.graph, f"{found.instagram_id}/mentions", reply, link.now)
        return await comment_under(found.graph, f"{reply.prepared['under']}/replies", reply, link.now)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look for our text under the same comment, or in the same conversation."""
        found = await _account(link)
        if reply.prepared["as"] == MESSAGE:
            return await find_message(found, _PLACE, reply)
        if reply.prepared["as"] == "mention":
            raise MaybeSent(N_("Instagram does not show us the comments under others' posts."))
        us = [found.instagram_id, found.instagram_name]
        return await find_comment(found.graph, us, f"{reply.prepared['under']}/replies", reply, INSTAGRAM)

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our comment."""
        if reply.ref.get("kind") == MESSAGE:
            raise Refused(N_("Instagram does not let us delete a message. Delete it in the app."))
        await delete_comment((await _account(link)).graph, reply)


async def _mention(found: Page, post: IncomingPost, now: datetime) -> IncomingPost | None:
    """The mention with its words; None when it is gone already."""
    try:
        return await named_mention(found, post, now)
    except Gone:
        return None


def _refuse_unfit(text: str) -> None:
    """Raises Refused for a comment that Instagram never takes."""
    refuse_long(len(text), _LONGEST_COMMENT)
    if len(re.findall(r"#\w", text)) > _HASHTAGS or len(re.findall(r"https?://", text)) > _LINKS:
        raise Refused(N_("Instagram takes a comment with at most four hashtags and one link."))
