"""Facebook Pages: comments, visitors' posts, mentions, recommendations and Messenger, by deliveries and by polls.

Rules: developers.facebook.com/docs/pages-api, /docs/graph-api/reference/{page,page-post,comment}, /docs/messenger-platform;
the fields and edges that are asked for are those of Meta's own specification (facebook-business-sdk-codegen: Page.json,
PagePost.json, Comment.json, UnifiedThread.json). What is shared with Instagram stands in `meta_*`.
"""

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
from app.connectors.facebook_posts import read_look, told
from app.connectors.facebook_walk import read_comments, read_mentions, read_posts, read_ratings
from app.connectors.guide import OAuth, Paste, Places, Scope, Step
from app.connectors.length import refuse_long
from app.connectors.meta_account import Page, login, page, subscribe
from app.connectors.meta_feed import ChosenThings, Reader, look_each, read_parts
from app.connectors.meta_hooks import Told, changes, entries, messages
from app.connectors.meta_messages import (
    LONGEST,
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
from app.connectors.meta_reply import FACEBOOK, comment_under, delete_comment, find_comment, require_done
from app.connectors.wire import refuse_late
from app.errors import Refused
from app.i18n import N_

_LONGEST_COMMENT = 8000  # characters
_PLACE = "messenger"  # `platform` of its conversations
_HOOK_FIELDS = "feed,mention,ratings,messages,message_echoes,message_edits,messaging_postbacks"


class FacebookSettings(ChosenThings):
    """What a feed brings of its Page."""

    things: ClassVar = ("comments", "posts", "mentions", "recommendations", "messages")

    comments: bool = Field(
        default=True, title=N_("Comments"), description=N_("Under the Page's posts. Polls see its 100 newest posts.")
    )
    posts: bool = Field(default=True, title=N_("Visitors' posts"))
    mentions: bool = Field(default=True, title=N_("Mentions"), description=N_("Posts of others that tag the Page."))
    recommendations: bool = Field(default=True, title=N_("Recommendations"))
    messages: bool = Field(default=True, title=N_("Messenger"))
    human_agent: bool = Field(
        default=False,
        title=N_("Answer messages for 7 days"),
        description=N_("Only when Meta has approved the feature Human Agent for the app. Else it is 24 hours."),
    )


def _readers(settings: FacebookSettings) -> dict[str, Reader[Page]]:
    """By the name of its part in the cursor, how each thing is read that the feed brings."""
    wanted: dict[str, tuple[bool, Reader[Page]]] = {
        "messages": (settings.messages, _read_messages),
        "comments": (settings.comments, read_comments),
        "posts": (settings.posts, read_posts),
        "mentions": (settings.mentions, read_mentions),
        "ratings": (settings.recommendations, read_ratings),
    }
    return {name: reader for name, (is_wanted, reader) in wanted.items() if is_wanted}


async def _read_messages(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    return await read_conversations(found, _PLACE, state, told, now)


class FacebookConnector(PageConnector):
    """A Page: what is written to it and about it; comments, private replies and messages out; comments hidden."""

    name: ClassVar[str] = "facebook"
    title: ClassVar[str] = "Facebook"
    help: ClassVar[str] = N_(
        "Brings comments, visitors' posts, mentions, recommendations and Messenger of a Page, and answers them. Needs an "
        "app of your company at developers.facebook.com with the products Webhooks and Messenger, reviewed by Meta."
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
    Settings: ClassVar[type[SettingsModel]] = FacebookSettings
    oauth: ClassVar[OAuth | None] = login(
        Scope("pages_show_list", N_("to find the Page")),
        Scope("pages_manage_metadata", N_("to have deliveries sent")),
        Scope("pages_read_engagement", N_("to read the Page's posts and what tags it")),
        Scope("pages_read_user_content", N_("to read comments, visitors' posts and recommendations")),
        Scope("pages_manage_engagement", N_("to comment, and to hide comments")),
        Scope("pages_messaging", N_("to read and write in Messenger")),
    )

    def guide(self, places: Places) -> tuple[Step, ...]:
        """The app, its products, the review."""
        return (
            Step(
                N_("Create an app"),
                N_("Of the type Business, for the business that owns the Page. Copy App id and App secret below."),
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
                    "Add Webhooks, choose Page, and paste the address with your verify token. Subscribe to feed, mention, "
                    "ratings, messages, message_echoes, message_edits and messaging_postbacks."
                ),
                paste=(Paste(N_("Callback URL"), places.hook),) if places.hook else (),
            ),
            Step(
                N_("Ask for review"),
                N_(
                    "Meta lets an app read what strangers wrote only after App Review and Business Verification. "
                    "Until then only people with a role in the app appear."
                ),
                "https://developers.facebook.com/docs/resp-plat-initiatives/app-review",
            ),
        )

    async def who(self, link: Link) -> IncomingAuthor | None:
        """The Page."""
        return named(await page(link), _PLACE)

    async def check(self, link: Link) -> Check:
        """Say which Page it is, and show the newest thing that the feed would bring."""
        found = await page(link)
        parts = await read_parts(_readers(link.settings), found, {}, link.now)
        return Check(N_("Connected as the Page %(page)s.") % {"page": found.name}, named(found, _PLACE), parts.newest)

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new of all that the feed wants; a first one has deliveries sent as well."""
        found = await page(link)
        notice = await subscribe(found, _HOOK_FIELDS) if link.hook and not cursor else ""
        parts = await read_parts(_readers(link.settings), found, cursor, link.now)
        return parts.batch(budget=found.graph.budget, notice=notice)

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Read what a delivery tells of this Page, as far as the feed wants it."""
        listed, name = entries(link, headers, body, "page")
        settings, page_id, seen = link.settings, link.credentials.page_id, Told()
        us = IncomingAuthor(page_id, link.credentials.page_name, link.credentials.page_name)
        for entry in listed:
            if str(entry.get("id")) != page_id:
                continue  # another Page of the same app
            for field, value in changes(entry):
                if _wants(settings, field, value):
                    seen.add(told(field, value, page_id, link.now))
            for event in messages(entry) if settings.messages else ():
                seen.add(read_event(event, us, link.now))
        return seen.batch(delivery_id=name)

    async def complete(self, link: Link, batch: Batch) -> Batch:
        """Who wrote the messages: deliveries name only a number."""
        return await with_names(await page(link), _PLACE, batch)

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for each comment and post; messages tell of themselves, and recommendations cannot be asked for."""
        found = await page(link)
        asked = [known for known in posts if known.ref.get("kind") in {"comment", "post"}]
        return await look_each(found.graph, asked, "id,message", read_look, link.now)

    def able(self, to: Json, visibility: Visibility | None = None) -> Capabilities:
        """Messages are shorter than comments, and stay."""
        if to.get("kind") == MESSAGE or visibility is Visibility.DIRECT:
            return replace(self.capabilities, length_limit=LONGEST, delete=False)
        return self.capabilities

    async def hide(self, link: Link, post: KnownPost, *, hidden: bool) -> None:
        """Hide it from all but its author and their friends, or show it again. A repeat is harmless."""
        found = await page(link)
        require_done(await found.graph.post(str(post.ref["id"]), {"is_hidden": hidden}))

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """A message or a comment. Raises Refused when it is too long, or comes too late."""
        refuse_late(self.window(link.settings, reply.to, reply.visibility, link.now), link.now)
        refuse_long(len(reply.text), self.able(reply.to, reply.visibility).length_limit)
        if reply.to.get("kind") == MESSAGE or reply.visibility is Visibility.DIRECT:
            return {"as": MESSAGE, "body": body_of(reply, link.now)}
        return {"as": "comment", "under": reply.to.get("under") or reply.to["id"], "body": {"message": reply.text}}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once; nothing at Meta drops a repeat."""
        found = await page(link)
        if reply.prepared["as"] == MESSAGE:
            return await send_message(found, reply, link.now)
        return await comment_under(found.graph, f"{reply.prepared['under']}/comments", reply, link.now)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look for our text under the same parent, or in the same conversation."""
        found = await page(link)
        if reply.prepared["as"] == MESSAGE:
            return await find_message(found, _PLACE, reply)
        return await find_comment(found.graph, [found.id], f"{reply.prepared['under']}/comments", reply, FACEBOOK)

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our comment."""
        if reply.ref.get("kind") == MESSAGE:
            raise Refused(N_("Facebook does not let us delete a message. Delete it in Messenger."))
        await delete_comment((await page(link)).graph, reply)


def _wants(settings: FacebookSettings, field: str, value: Json) -> bool:
    if field == "feed":
        return settings.comments if value.get("item") == "comment" else settings.posts
    return {"mention": settings.mentions, "ratings": settings.recommendations}.get(field, False)
