"""Discourse: new and unanswered topics, answers and private messages of a forum in; posts and private messages out.

Rules: docs.discourse.org (its OpenAPI description), meta.discourse.org "Create and configure an API key", "Configure
webhooks". The modules beside this one name what the description leaves out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Link,
    OutgoingReply,
    Pictures,
    PostChange,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.discourse_api import Forum
from app.connectors.discourse_hooks import received
from app.connectors.discourse_posts import read_change, read_post
from app.connectors.discourse_reply import LIMIT, deleted, edited, found, prepared, sent, standing_post
from app.connectors.discourse_walk import Unanswered, Walk, about_us, fits, newest
from app.connectors.guide import Places, Step
from app.connectors.wire import is_web
from app.i18n import N_, _

_LEVELS = 8  # that a thread is fetched upward, a call each
_PICTURES = Pictures(most=10, bytes=4_000_000, pixels=16_000_000, alt=1000)  # max_image_size_kb is 4096 as it comes


class Source(StrEnum):
    """What a feed brings."""

    TOPICS = "topics"
    UNANSWERED = "unanswered"
    POSTS = "posts"
    MESSAGES = "messages"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {
            Source.TOPICS: _("New topics"),
            Source.UNANSWERED: _("Topics without an answer"),
            Source.POSTS: _("New topics and answers"),
            Source.MESSAGES: _("Private messages"),
        }[self]


class DiscourseSettings(SettingsModel):
    """Which posts to bring."""

    source: Source = Field(default=Source.POSTS, title=N_("Bring"))
    hours: int = Field(
        default=24, title=N_("Hours without an answer"), description=N_("Only for topics without one."), ge=1, le=720
    )
    category: str = Field(
        default="",
        title=N_("Category"),
        description=N_("Its number, or the last part of its address. Subcategories belong to it."),
        pattern=r"^[\w.%-]*$",
        max_length=100,
        examples=["support"],
    )
    tag: str = Field(
        default="",
        title=N_("Tag"),
        pattern=r"^[^\s,/?#]*$",
        max_length=100,
        examples=["tents"],
    )
    group: str = Field(
        default="",
        title=N_("Group"),
        description=N_("The group whose inbox is read instead of the user's. Only for private messages."),
        pattern=r"^[\w.-]*$",
        max_length=60,
        examples=["support"],
    )

    @property
    def is_direct(self) -> bool:
        """Whether it brings private messages."""
        return self.source is Source.MESSAGES

    @property
    def only_topics(self) -> bool:
        """Whether answers are left out."""
        return self.source is Source.TOPICS

    @property
    def waits(self) -> bool:
        """Whether posts are brought only after some time."""
        return self.source is Source.UNANSWERED

    @property
    def scope(self) -> str:
        """What a cursor belongs to."""
        return f"{self.source.value} {self.category} {self.tag} {self.group} {self.hours if self.waits else ''}"


def _forum_address(value: str) -> str:
    address = (value if "://" in value else f"https://{value}").rstrip("/")
    if not is_web(address) or "?" in address or "#" in address or "@" in address:
        message = _("Give the forum's address, like https://forum.example.")
        raise ValueError(message)
    return address


class DiscourseCredentials(SettingsModel):
    """A user of the forum, and the key to call as them."""

    server: Annotated[str, AfterValidator(_forum_address)] = Field(
        title=N_("Forum"), max_length=300, examples=["https://forum.example"], json_schema_extra={"format": "url"}
    )
    username: str = Field(
        title=N_("Username"),
        description=N_("Who answers. A user of its own is best, without an administrator's rights."),
        pattern=r"^[\w.-]{1,60}$",
        examples=["northwind_care"],
    )
    key: SecretStr = Field(title=N_("API key"), min_length=1, max_length=200)
    webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        title=N_("Webhook secret"),
        description=N_("Only for deliveries: twelve characters or more, the same as in the forum's webhook."),
        max_length=200,
    )


class DiscourseConnector(Connector):
    """Everything hangs on the list of a forum's newest posts, and on lists of topics that say which of them are meant."""

    name: ClassVar[str] = "discourse"
    title: ClassVar[str] = "Discourse"
    help: ClassVar[str] = N_(
        "Brings new topics, topics that nobody has answered, answers, and private messages from a forum that runs "
        "Discourse, and answers there. Needs an API key of the forum."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        edit=True,
        delete=True,
        threads=True,
        hooks=True,
        find_sent=True,
        parents=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        length_limit=LIMIT,
        looks=8,  # a call each, of the 60 a minute that a forum allows a key
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = DiscourseSettings
    Credentials: ClassVar[type[SettingsModel] | None] = DiscourseCredentials

    def guide(self, places: Places) -> tuple[Step, ...]:
        """The user, the key, the webhook."""
        return (
            Step(
                N_("Choose who answers"),
                N_(
                    "On the forum, make a user such as northwind_care, of a group that may read and answer what you need."
                ),
            ),
            Step(
                N_("Create an API key"),
                N_(
                    "Under Admin, API keys, for this single user, with the scope Global: the key can do what the user may."
                ),
            ),
            Step(
                N_("Have posts delivered"),
                N_(
                    "Optional, so that posts come at once: under Admin, Webhooks, paste the address that the feed's page "
                    "shows and a secret, keep the content type application/json, and choose all events of posts."
                ),
            ),
        )

    async def who(self, link: Link) -> IncomingAuthor | None:
        """Whom the key speaks for."""
        return await Forum(link).me()

    async def check(self, link: Link) -> Check:
        """Say who we are there, and show the newest post of this feed."""
        forum = Forum(link)
        me = await forum.me()
        told = {"host": forum.host, "handle": me.handle}
        return Check(N_("Signed in to %(host)s as @%(handle)s.") % told, me, await self._sample(forum, me))

    async def _sample(self, forum: Forum, me: IncomingAuthor) -> IncomingPost | None:
        settings = forum.link.settings
        if settings.waits:
            return next(iter((await Unanswered(forum, me, {}).batch(most=1)).posts), None)
        posts = []
        for raw in await newest(forum, settings, None):
            try:
                post = read_post(raw, forum, me, direct=settings.is_direct)
            except ValidationError:
                continue
            posts += [post] if post is not None and fits(settings, post) else []
        return next(iter((await about_us(forum, settings, posts))[0]), None)

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Bring what is new, newest pages first, at most three a call; or what has become too old without an answer."""
        forum = Forum(link)
        reader = Unanswered if link.settings.waits else Walk
        return await reader(forum, link.account, cursor).batch()

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        """Read a delivery."""
        return received(link, headers, body)

    async def complete(self, link: Link, batch: Batch) -> Batch:
        """Leave out what this feed is not about: a delivery names neither tags nor who takes part in a message."""
        posts, _notice = await about_us(Forum(link), link.settings, list(batch.posts))
        return replace(batch, posts=tuple(posts))

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for each post; one that is gone, or no longer for us to see, is deleted to us."""
        forum, changes = Forum(link), []
        for known in posts:
            raw = await forum.seen(f"/posts/{known.ref['id']}.json")
            if raw is None:
                changes.append(PostChange(known.external_id, link.now, deleted=True))
                continue
            try:
                change = read_change(raw, known, forum, link.now)
            except ValidationError as error:
                raise forum.odd() from error
            changes += [change] if change is not None else []
        return tuple(changes)

    async def parents(self, link: Link, post: KnownPost) -> tuple[IncomingPost, ...]:
        """Up the answers by their numbers, a call each, to the topic's first post."""
        forum = Forum(link)
        here = await standing_post(forum, post.ref["id"])
        above: list[IncomingPost] = []
        number = here.parent if here is not None else None
        while here is not None and number is not None and len(above) < _LEVELS:
            raw = await forum.seen(f"/posts/by_number/{here.topic_id}/{number}.json")
            parent = read_post(raw, forum, link.account, direct=post.ref["direct"]) if raw is not None else None
            if parent is None:
                break
            above.append(parent)
            number = None if parent.in_reply_to is None else int(parent.in_reply_to.rpartition("/")[2])
        return tuple(reversed(above))

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Any user of the same forum."""
        return ours.external_id.rpartition("/")[0] == addressed.external_id.rpartition("/")[0]

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """The words, and where they go. Raises Refused when they are too long."""
        return prepared(reply)

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once, pictures ahead of it."""
        return await sent(Forum(link), reply)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look through the latest posts of the topic, or the messages we sent."""
        return await found(Forum(link), reply)

    async def edit(self, link: Link, reply: Standing, text: str) -> None:
        """Change our post."""
        await edited(Forum(link), reply, text)

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our post."""
        await deleted(Forum(link), reply)
