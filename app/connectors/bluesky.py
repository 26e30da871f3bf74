"""Bluesky (AT Protocol): notifications, an account's posts or a search in, replies out.

Sources: the lexicons under https://docs.bsky.app/docs/api, https://docs.bsky.app/docs/advanced-guides/rate-limits and
the behaviour of a real network on loopback (docs/connectors.md says how to start one).
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import ClassVar

from app.connectors.base import (
    Batch,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
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
from app.connectors.bluesky_lists import (
    PAGE,
    BlueskySettings,
    author_page,
    complete,
    parent_views,
    post_views,
    read_page,
)
from app.connectors.bluesky_posts import Entry, as_dict, read_author, read_post, web_url
from app.connectors.bluesky_records import BYTES, COLLECTION, GRAPHEMES, blob, record_key, reply_record
from app.connectors.bluesky_walk import BACKLOG_PAGES, Page, Walk
from app.connectors.bluesky_xrpc import BlueskyCredentials, Xrpc, XrpcError
from app.connectors.text import storable_json
from app.connectors.wire import uploading
from app.errors import ChannelDown, Malformed, Refused
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
        "Brings mentions, replies and quotes of your account, the posts of any account, or what a search finds, and "
        "answers in the thread. Make an app password in Bluesky (Settings, Privacy and security) and enter it with "
        "the account's handle."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        delete=True,
        threads=True,
        idempotent=True,
        find_sent=True,
        visibilities=(Visibility.PUBLIC,),
        length_limit=GRAPHEMES,
        length_counts=Length.GRAPHEMES,
        byte_limit=BYTES,
        parents=True,
        looks=25,  # what one call may name
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = BlueskySettings
    Credentials: ClassVar[type[SettingsModel] | None] = BlueskyCredentials

    async def check(self, link: Link) -> Check:
        """Sign in, say who we are and show the newest post of the feed, or of our own when it has none."""
        api = Xrpc(link)
        did = await api.did()
        account = read_author(await api.query("app.bsky.actor.getProfile", actor=did))
        page = await read_page(api, link.settings, None)
        entries = page.entries or (await author_page(api, did, None, reposts=False)).entries
        posts, _ = _read(entries[:1], did, link)
        found = N_("Its newest post is shown.") if page.entries else N_("There is nothing in it yet.")
        return Check(
            message=N_("Signed in to %(service)s as @%(handle)s. %(found)s")
            % {"service": api.credentials.service, "handle": account.handle, "found": found},
            account=account,
            sample=posts[0] if posts else None,
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Walk the list from its head, or from where the last call stopped, down to what is known; four pages a call."""
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
            cursor=walk.cursor(),
            more=walk.at is not None,
            rejected=rejected,
            budget=api.budget,
            notice=N_("The first look back ended after %(posts)s posts.") % {"posts": BACKLOG_PAGES * PAGE}
            if walk.cut
            else "",
        )

    async def look_again(self, link: Link, posts: Sequence[KnownPost]) -> tuple[PostChange, ...]:
        """Ask for all of them in one call; what is not shown any more is deleted to us. Records cannot be edited."""
        shown = await post_views(Xrpc(link), [known.external_id for known in posts])
        return tuple(
            PostChange(one.external_id, link.now, deleted=True) for one in posts if one.external_id not in shown
        )

    async def parents(self, link: Link, post: KnownPost) -> tuple[IncomingPost, ...]:
        """All that the network shows above a post, in one call."""
        api = Xrpc(link)
        views = await parent_views(api, post.external_id)
        posts, _ = _read([Entry(view, None) for view in views], await api.did(), link)
        return tuple(posts)

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Everybody can: a record has one address on the whole network."""
        return True

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        """Freeze the record and its key: the same record under the same key twice is a no-op for the server."""
        kept = link.credentials.did if link.credentials else None
        did = link.account.external_id if link.account else kept
        return {"repo": did, "rkey": record_key(reply.created_at, reply.key), "record": reply_record(reply)}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Put the frozen record, unless the post it answers is gone or closed to us."""
        api = Xrpc(link)
        place = await _place(api, reply)
        if place["repo"] != await api.did():
            raise Refused(
                N_("This reply was written for another Bluesky account than the one now connected. Write it anew.")
            )
        try:
            await _require_answerable(api, reply)
        except Refused:
            if standing := await _standing(api, reply):
                return standing  # an earlier try was taken before the post went
            raise
        if reply.pictures and reply.attempted_at and (standing := await _standing(api, reply)):
            return standing
        await _upload(api, reply)
        body = {**place, "record": reply.prepared["record"], "swapRecord": None}  # null: never overwrite another
        try:
            answer = await api.write("com.atproto.repo.putRecord", body)
        except XrpcError as error:
            if error.error == "InvalidSwap" and (standing := await _standing(api, reply)):
                return standing
            raise
        return _sent(answer, reply, api)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Look under the reply's own key in our repository; certain both ways."""
        return await _standing(Xrpc(link), reply)

    async def delete(self, link: Link, reply: Standing) -> None:
        """Ensure that our record does not exist: that is what the method promises, however often it is called."""
        api = Xrpc(link)
        repo, _, record = reply.external_id.removeprefix("at://").partition("/")
        if repo != await api.did():
            raise Refused(
                N_("This reply stands under another Bluesky account than the one now connected. Change it there.")
            )
        collection, _, key = record.partition("/")
        await api.write("com.atproto.repo.deleteRecord", {"repo": repo, "collection": collection, "rkey": key})


async def _upload(api: Xrpc, reply: OutgoingReply) -> None:
    """Bring the pictures that the frozen record names. The same content twice is one blob; one in no record is dropped."""
    with uploading():
        for picture in reply.pictures:
            taken = as_dict((await api.upload(picture.content, picture.kind)).get("blob"))
            if as_dict(taken.get("ref")).get("$link") != blob(picture)["ref"]["$link"]:
                raise Refused(
                    N_("%(service)s stores a picture otherwise than it was sent. Send it without.")
                    % {"service": api.credentials.service}
                )


async def _place(api: Xrpc, reply: OutgoingReply) -> Json:
    """Where the reply belongs: in the repository of the account it was written for, under its own key."""
    repo = reply.prepared.get("repo") or await api.did()
    return {"repo": repo, "collection": COLLECTION, "rkey": reply.prepared["rkey"]}


async def _standing(api: Xrpc, reply: OutgoingReply) -> Sent | None:
    try:
        answer = await api.query("com.atproto.repo.getRecord", **await _place(api, reply))
    except XrpcError as error:
        if error.error == "RecordNotFound":
            return None
        raise
    theirs, ours = as_dict(answer.get("value")), reply.prepared["record"]
    if any(theirs.get(key) != ours[key] for key in ("text", "createdAt")):
        raise Refused(
            N_("Another record stands where this reply belongs (%(uri)s). Write the reply anew.")
            % {"uri": answer.get("uri")}
        )
    return _sent(answer, reply, api)


def _sent(answer: Json, reply: OutgoingReply, api: Xrpc) -> Sent:
    uri, cid = answer.get("uri"), answer.get("cid")
    if not (isinstance(uri, str) and isinstance(cid, str)):
        raise Malformed(N_("%(service)s did not say where the reply stands.") % {"service": api.credentials.service})
    root = reply.prepared["record"]["reply"]["root"]
    return Sent(
        external_id=uri,
        url=web_url(uri),
        posted_at=reply.created_at,
        ref={"uri": uri, "cid": cid, "root": root},
        budget=api.budget,
    )


async def _require_answerable(api: Xrpc, reply: OutgoingReply) -> None:
    """A repository takes a reply to anything; whether it would ever be shown under a post only the app view knows."""
    view = (await post_views(api, [reply.to["uri"]])).get(reply.to["uri"])
    if view is None:
        raise Refused(
            N_("The post was deleted, or is hidden from us. A reply would stand alone; close the item instead.")
        )
    theirs, ours = (as_dict(as_dict(owner).get("viewer")) for owner in (view.get("author"), view))
    if theirs.get("blockedBy") is True or theirs.get("blocking"):
        raise Refused(N_("The author and we have blocked one another, so nobody would see the reply."))
    if ours.get("replyDisabled") is True:
        raise Refused(N_("The author has closed this thread to replies from us."))


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
