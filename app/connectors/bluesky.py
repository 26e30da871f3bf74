"""Bluesky (AT Protocol): notifications, an account's posts, a search or messages in, replies out.

Sources: the lexicons under https://docs.bsky.app/docs/api, https://docs.bsky.app/docs/advanced-guides/rate-limits and
the behaviour of a real network on loopback (docs/connectors.md says how to start one).
"""

import hashlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlencode

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Label,
    Length,
    Link,
    OutgoingReply,
    Pictures,
    PostChange,
    Rejected,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.bluesky_account import SIGN_IN, BlueskyCredentials
from app.connectors.bluesky_chat import newest_message, read_messages
from app.connectors.bluesky_labels import labels_in
from app.connectors.bluesky_lists import (
    PAGE,
    BlueskySettings,
    Source,
    author_page,
    complete,
    parent_views,
    post_views,
    read_page,
)
from app.connectors.bluesky_message import able, find_message, is_message, message_of, send_message
from app.connectors.bluesky_oauth import document, prepared, require_asked
from app.connectors.bluesky_posts import Entry, read_author, read_change, read_post
from app.connectors.bluesky_records import BYTES, GRAPHEMES, record_key, reply_record
from app.connectors.bluesky_reply import put, remove, standing
from app.connectors.bluesky_stream import listen, unstreamed
from app.connectors.bluesky_walk import BACKLOG_PAGES, Page, Walk
from app.connectors.bluesky_xrpc import Xrpc, XrpcError
from app.connectors.oauth import OAuth, push
from app.connectors.text import storable_json
from app.errors import ChannelDown, Malformed
from app.i18n import N_

_PAGES_A_CALL = 4
_PICTURES = Pictures(most=4, bytes=1_000_000, pixels=4_000_000, alt=2000)  # lexicon app.bsky.embed.images


class BlueskyConnector(Connector):
    """Bluesky and other servers that speak its protocol.

    A server orders lists by the time that authors claim: a post that is backdated by more than the walk's overlap and
    does not stand among the newest hundred either is never seen, here or in Bluesky's own app.
    """

    name: ClassVar[str] = "bluesky"
    title: ClassVar[str] = "Bluesky"
    help: ClassVar[str] = N_(
        "Brings mentions, replies and quotes of your account, the posts of any account, what a search finds, or direct "
        "messages, and answers there. Give the account's handle and sign in on its server, or make an app password in Bluesky "
        "(Settings, Privacy and security), with access to direct messages if a feed shall bring them."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        delete=True,
        streams=True,
        threads=True,
        idempotent=True,
        find_sent=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        length_limit=GRAPHEMES,
        length_counts=Length.GRAPHEMES,
        byte_limit=BYTES,
        parents=True,
        looks=25,  # what one call may name
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = BlueskySettings
    Credentials: ClassVar[type[SettingsModel] | None] = BlueskyCredentials
    oauth: ClassVar[OAuth | None] = SIGN_IN
    registers: ClassVar[bool] = True

    async def register(self, link: Link, redirect: str) -> SettingsModel:
        """The credentials with the server where the account lives, and the keys of our app."""
        return await prepared(link, redirect)

    def document(self, credentials: Any, redirect: str) -> Json | None:
        """What servers read under our client id."""
        return document(credentials, redirect)

    async def leave(self, link: Link, url: str) -> str:
        """Bring the request for consent to the server, which wants it so, and go on by its name; with the handle filled in."""
        asked = f"{url}&{urlencode({'login_hint': link.credentials.identifier})}"
        return await push(link, link.credentials.push_at, asked)

    async def signed_in(self, link: Link) -> SettingsModel:
        """The tokens, if they are of the account that was asked for."""
        return require_asked(link.credentials)

    async def who(self, link: Link) -> IncomingAuthor | None:
        """Whose tokens these are."""
        api = Xrpc(link)
        return read_author(await api.query("app.bsky.actor.getProfile", actor=await api.did()))

    async def check(self, link: Link) -> Check:
        """Sign in, say who we are and show the newest post of the feed, or of our own when it has none."""
        api = Xrpc(link)
        did = await api.did()
        account = read_author(await api.query("app.bsky.actor.getProfile", actor=did))
        sample, is_of_feed = await _newest(api, link)
        found = N_("Its newest post is shown.") if is_of_feed else N_("There is nothing in it yet.")
        return Check(
            message=N_("Signed in to %(service)s as @%(handle)s. %(found)s")
            % {"service": api.credentials.service, "handle": account.handle, "found": found},
            account=account,
            sample=sample,
            notices=await unstreamed(api, link),
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Walk the list from its head, or from where the last call stopped, down to what is known; four pages a call."""
        if link.settings.source is Source.MESSAGES:
            return await read_messages(Xrpc(link), link, cursor)
        api, walk = Xrpc(link), Walk.resume(cursor)
        did = await api.did()
        found = walk.take(await _first_page(api, link, walk), link.now)
        for _ in range(1, _PAGES_A_CALL):
            if walk.at is None:
                break
            found += walk.take(await read_page(api, link.settings, walk.at), link.now)
        posts, rejected = _read(await complete(api, found), did, link)
        return Batch(
            posts=tuple(sorted(posts, key=lambda post: post.posted_at)),
            cursor=walk.cursor() | {name: cursor[name] for name in ("time_us",) if name in cursor},  # of the stream
            more=walk.at is not None,
            rejected=rejected,
            budget=api.budget,
            notice=N_("The first look back ended after %(posts)s posts.") % {"posts": BACKLOG_PAGES * PAGE}
            if walk.cut
            else "",
        )

    async def listen(self, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
        """Posts as they are written, where the feed names a Jetstream server."""
        if not link.settings.jetstream:
            return
        async with aclosing(listen(Xrpc(link), link, cursor)) as stream:
            async for batch in stream:
                yield batch

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for all of them in one call; what is not shown any more is deleted to us, another record an edit.

        Messages are not asked for: the log tells of those that we deleted for ourselves, and no others can go.
        """
        asked = [one for one in posts if not is_message(one.ref)]
        shown = await post_views(Xrpc(link), [known.external_id for known in asked])
        found = (read_change(one, shown.get(one.external_id), link.now) for one in asked)
        return tuple(change for change in found if change is not None)

    async def parents(self, link: Link, post: KnownPost) -> tuple[IncomingPost, ...]:
        """All that the network shows above a post, in one call; nothing above a message, whose conversation is read."""
        if is_message(post.ref):
            return ()
        api = Xrpc(link)
        views = await parent_views(api, post.external_id)
        posts, _ = _read([Entry(view, None) for view in views], await api.did(), link)
        return tuple(posts)

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Everybody can: a record has one address on the whole network."""
        return True

    def able(self, to: Json, visibility: Visibility | None = None) -> Capabilities:
        """Posts are answered for all to read, messages in their conversation."""
        if is_message(to):
            return able(self.capabilities)
        return replace(self.capabilities, visibilities=(Visibility.PUBLIC,))

    def labels(self, ref: Json) -> tuple[Label, ...]:
        """Of moderation services, of the author, and of the author's account."""
        return labels_in(ref)

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """Freeze the record and its key: the same record under the same key twice is a no-op for the server."""
        if is_message(reply.to):
            return message_of(reply)
        kept = link.credentials.did if link.credentials else None
        did = link.account.external_id if link.account else kept
        return {"repo": did, "rkey": record_key(reply.created_at, reply.key), "record": reply_record(reply)}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Put the frozen record or send the frozen message, unless what it answers is gone or closed to us."""
        api = Xrpc(link)
        return await send_message(api, reply) if "message" in reply.prepared else await put(api, reply)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look under the reply's own key in our repository, certain both ways; for a message through the conversation."""
        api = Xrpc(link)
        return await find_message(api, reply) if "message" in reply.prepared else await standing(api, reply)

    async def delete(self, link: Link, reply: Standing) -> None:
        """Ensure that our record does not exist: that is what the method promises, however often it is called."""
        await remove(Xrpc(link), reply)


async def _newest(api: Xrpc, link: Link) -> tuple[IncomingPost | None, bool]:
    """One real post, and whether it is one that the feed would bring."""
    if link.settings.source is Source.MESSAGES:
        message = await newest_message(api, link.now)
        return message, message is not None
    did, page = await api.did(), await read_page(api, link.settings, None)
    entries = page.entries or (await author_page(api, did, None, reposts=False)).entries
    posts, _ = _read(entries[:1], did, link)
    return posts[0] if posts else None, bool(page.entries)


async def _first_page(api: Xrpc, link: Link, walk: Walk) -> Page:
    """The page where the walk stands; the head when the server no longer understands the kept cursor (400, or 502)."""
    if walk.at is not None:
        try:
            return await read_page(api, link.settings, walk.at)
        except (XrpcError, ChannelDown):
            walk.restart()
    return await read_page(api, link.settings, None)


def _read(entries: Iterable[Entry], did: str, link: Link) -> tuple[list[IncomingPost], tuple[Rejected, ...]]:
    """The posts of these entries, each once, and those that could not be read."""
    posts: dict[str, IncomingPost] = {}
    rejected = []
    for entry in entries:
        try:
            post = read_post(entry, did, link.now)
        except Malformed as error:
            payload = storable_json(entry.view)
            digest = hashlib.sha256(repr(payload).encode(errors="replace")).hexdigest()
            rejected.append(Rejected(entry.uri or digest, error.message, payload))
            continue
        posts.setdefault(post.external_id, post)
    return list(posts.values()), tuple(rejected)
