"""Replies as records in our repository: put once under their own key, found again there, deleted.

Sources: the lexicons `com.atproto.repo.putRecord`, `getRecord`, `deleteRecord` and `uploadBlob`.
"""

import regex

from app.connectors.base import Json, OutgoingReply, Sent, Standing
from app.connectors.bluesky_json import as_dict
from app.connectors.bluesky_lists import did_of, post_views
from app.connectors.bluesky_posts import web_url
from app.connectors.bluesky_records import COLLECTION, blob
from app.connectors.bluesky_xrpc import Xrpc, XrpcError
from app.connectors.wire import uploading
from app.errors import Malformed, Refused
from app.i18n import N_

_POST_LINK = regex.compile(
    r"https://bsky\.app/profile/(?P<actor>[A-Za-z0-9.:_-]+)/post/(?P<rkey>[A-Za-z0-9._:~-]{1,512})"
)


async def put(api: Xrpc, reply: OutgoingReply) -> Sent:
    """Put the frozen record, unless the post it answers is gone or closed to us."""
    place = await _place(api, reply)
    if place["repo"] != await api.did():
        raise Refused(
            N_("This reply was written for another Bluesky account than the one now connected. Write it anew.")
        )
    try:
        await _require_answerable(api, reply)
    except Refused:
        if there := await standing(api, reply):
            return there  # an earlier try was taken before the post went
        raise
    if reply.pictures and reply.attempted_at and (there := await standing(api, reply)):
        return there
    await _upload(api, reply)
    with uploading():
        record = await _quoting(api, reply.prepared["record"])
    body = {**place, "record": record, "swapRecord": None}  # null: never overwrite another
    try:
        answer = await api.write("com.atproto.repo.putRecord", body)
    except XrpcError as error:
        if error.error == "InvalidSwap" and (there := await standing(api, reply)):
            return there
        raise
    return _sent(answer, reply, api)


async def remove(api: Xrpc, reply: Standing) -> None:
    """Ensure that our record does not exist. Raises Refused for what is not in our repository."""
    if not reply.external_id.startswith("at://"):
        raise Refused(N_("On Bluesky a message can only be deleted for oneself: the other side would keep it."))
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


async def _quoting(api: Xrpc, record: Json) -> Json:
    """The record with the post that its text links to as a quote, as Bluesky's own app makes it; else as it was.

    What another try finds changed about that post is settled by what stands under the reply's key.
    """
    link = _POST_LINK.search(record["text"])
    view = await _linked(api, link["actor"], link["rkey"]) if link else None
    if view is None or as_dict(view.get("viewer")).get("embeddingDisabled") is True:
        return record
    quote = {"$type": "app.bsky.embed.record", "record": {"uri": view["uri"], "cid": view.get("cid")}}
    if "embed" in record:
        quote = {"$type": "app.bsky.embed.recordWithMedia", "record": quote, "media": record["embed"]}
    return {**record, "embed": quote}


async def _linked(api: Xrpc, actor: str, rkey: str) -> Json | None:
    try:
        did = await did_of(api, actor)
    except XrpcError:
        return None  # nobody has this handle
    uri = f"at://{did}/{COLLECTION}/{rkey}"
    return (await post_views(api, [uri])).get(uri)


async def _place(api: Xrpc, reply: OutgoingReply) -> Json:
    """Where the reply belongs: in the repository of the account it was written for, under its own key."""
    repo = reply.prepared.get("repo") or await api.did()
    return {"repo": repo, "collection": COLLECTION, "rkey": reply.prepared["rkey"]}


async def standing(api: Xrpc, reply: OutgoingReply) -> Sent | None:
    """The reply as it stands in our repository. Raises Refused where another record stands in its place."""
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
