"""Skeleton: posts and answers over an HTTP API of JSON.

Change this to what your channel's documents say, and name the document here. As it stands it speaks to the fake server
in tests/: `GET /api/me`, `GET /api/posts?after=ID` (oldest first, a page at a time), `POST /api/posts` (a repeat under
the same Idempotency-Key gives the post that stands already).
"""

import json
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel, Field, SecretStr, ValidationError

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    OutgoingReply,
    PostKind,
    Rejected,
    Sent,
    SettingsModel,
    Visibility,
)
from app.connectors.text import storable_json
from app.connectors.wire import reaching, read_bounded, refusal
from app.errors import Malformed, Refused

WHAT = "Skeleton"  # as people read it in messages
PAGES = 5  # in one fetch: a busy feed must not hold a worker
LARGEST = 5_000_000  # bytes of one answer
LONGEST = 500  # characters of a reply


class SkeletonSettings(SettingsModel):
    """What an admin sets for a feed; the form is drawn from it."""

    url: str = Field(
        title="Address of the server", json_schema_extra={"format": "url"}, examples=["https://skeleton.example"]
    )


class SkeletonCredentials(SettingsModel):
    """What an account needs; sealed before it is stored."""

    token: SecretStr = Field(title="Access token", min_length=1)


class Person(BaseModel):
    """Somebody, as the channel tells."""

    id: str
    handle: str
    name: str = ""


class Post(BaseModel):
    """A post, as the channel tells. What is not named here is kept in the payload and read by nobody."""

    id: int
    thread: int  # the post that began it
    parent: int | None = None
    author: Person
    text: str
    at: AwareDatetime


class SkeletonConnector(Connector):
    """Reads what is new, answers in threads. One object serves all feeds, so it has no state."""

    name: ClassVar[str] = "skeleton"
    title: ClassVar[str] = "Skeleton"
    help: ClassVar[str] = "Brings posts and sends answers. On the server, create an access token and copy it."
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True, threads=True, idempotent=True, visibilities=(Visibility.PUBLIC,), length_limit=LONGEST
    )
    Settings: ClassVar[type[SettingsModel]] = SkeletonSettings
    Credentials: ClassVar[type[SettingsModel] | None] = SkeletonCredentials

    async def check(self, link: Link) -> Check:
        """Say who we are, and show one real post."""
        me = person(shaped(Person, await call(link, "GET", "/api/me")))
        posts, _, _ = await page(link, 0)
        return Check(f"Connected as {me.handle}.", account=me, sample=posts[0] if posts else None)

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Go on behind the last post that was read."""
        after, more = int(cursor.get("after", 0)), True
        found: list[IncomingPost] = []
        rejected: list[Rejected] = []
        for _ in range(PAGES):
            posts, broken, told = await page(link, after)
            found += posts
            rejected += broken
            after, more = max([after, *map(number, told["posts"])]), bool(told.get("more"))
            if not more:
                break
        found.sort(key=lambda post: post.posted_at)
        return Batch(tuple(found), cursor={"after": after}, more=more, rejected=tuple(rejected))

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """Freeze what will be sent: the same bytes at every try."""
        if len(reply.text) > LONGEST:
            raise Refused(f"{WHAT} takes {LONGEST} characters. Shorten the reply.")
        return {"text": reply.text, "parent": reply.after.get("id", reply.to["id"])}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Send once. The server knows a repeat by its key."""
        post = shaped(Post, await call(link, "POST", "/api/posts", body=reply.prepared, key=reply.key))
        return Sent(name_of(link, post.id), posted_at=post.at, ref={"id": post.id})


async def page(link: Link, after: int) -> tuple[list[IncomingPost], list[Rejected], Json]:
    """The posts behind `after`; those that cannot be read stand alone and stop no other."""
    told = await call(link, "GET", "/api/posts", params={"after": after})
    if not isinstance(told.get("posts"), list):
        raise Malformed(f"{WHAT} answers without its posts. Is the address right?")
    found, rejected = [], []
    for raw in told["posts"]:
        try:
            found.append(incoming(link, Post.model_validate(raw), raw))
        except ValidationError as error:
            rejected.append(Rejected(name_of(link, number(raw)), str(error.errors()[0]["msg"]), {"entry": raw}))
    return found, rejected, told


def incoming(link: Link, post: Post, raw: Json) -> IncomingPost:
    """The post as Careline knows it. What we wrote ourselves is marked, so that it is never queued."""
    return IncomingPost(
        external_id=name_of(link, post.id),
        thread_id=name_of(link, post.thread),
        author=person(post.author),
        text=post.text,
        posted_at=post.at,
        kind=PostKind.REPLY if post.parent else PostKind.POST,
        in_reply_to=name_of(link, post.parent) if post.parent else None,
        own=link.account is not None and link.account.external_id == post.author.id,
        ref={"id": post.id},
        payload=raw,
    )


def person(who: Person) -> IncomingAuthor:
    """Known by what never changes: an id, not a handle."""
    return IncomingAuthor(who.id, who.handle, who.name)


def name_of(link: Link, post: int) -> str:
    """The same for ever, and on every server another."""
    return f"{link.settings.url.rstrip('/')}/posts/{post}"


def number(raw: Any) -> int:
    """A post's number, of an entry that may be anything."""
    found = raw.get("id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) else 0


async def call(
    link: Link, method: str, path: str, *, params: Json | None = None, body: Json | None = None, key: str = ""
) -> Json:
    """One request and its JSON answer. Raises ConnectorError: every failure is one of those in `app.errors`."""
    headers = {"authorization": f"Bearer {link.credentials.token.get_secret_value()}"}
    if key:
        headers["idempotency-key"] = key
    url = link.settings.url.rstrip("/") + path
    with reaching(WHAT, sending=method != "GET"):
        async with link.http.stream(method, url, params=params, headers=headers, json=body) as response:
            content = await read_bounded(response, LARGEST, WHAT)
    error = refusal(response, WHAT, link.now)
    if error is not None:
        raise error
    try:
        told = storable_json(json.loads(content))
    except (ValueError, RecursionError) as broken:
        raise Malformed(f"{WHAT} does not answer with JSON. Is the address right?") from broken
    if not isinstance(told, dict):
        raise Malformed(f"{WHAT} answers with JSON of another shape. Is the address right?")
    return told


def shaped(model: type[Any], told: Json) -> Any:
    """What was told, as its model."""
    try:
        return model.model_validate(told)
    except ValidationError as error:
        raise Malformed(f"{WHAT} answers with JSON of another shape: {error.errors()[0]['msg']}.") from error
