"""Comments of ours on Facebook and Instagram: written, found again, deleted.

Rules: developers.facebook.com/docs/graph-api/reference/object/comments, /docs/instagram-platform/comment-moderation.
"""

from datetime import datetime
from typing import Any

from app.connectors.base import Json, OutgoingReply, Sent, Standing
from app.connectors.meta_graph import Gone, Graph, moment
from app.connectors.meta_messages import CLOCKS_APART, same
from app.connectors.wire import is_web
from app.errors import Malformed, MaybeSent, Refused
from app.i18n import N_

_PAGES = 10  # of comments under the parent that are looked through


async def comment_under(graph: Graph, path: str, reply: OutgoingReply, now: datetime) -> Sent:
    """Write the comment once. Raises ConnectorError, MaybeSent among them."""
    answer = await graph.post(path, reply.prepared["body"])
    name = answer.get("id")
    if not isinstance(name, str) or not name:
        raise Malformed(N_("Meta took the comment but did not say where it stands."))
    return Sent(name, None, now, {"kind": "comment", "id": name}, graph.budget)


async def find_comment(graph: Graph, us: str, path: str, reply: OutgoingReply) -> Sent | None:
    """Our comment with this text under the parent, of a time since shortly before the first try.

    Raises MaybeSent when there is more than a call may read: that is no proof that it is not there.
    """
    since = (reply.attempted_at or reply.created_at) - CLOCKS_APART
    after = ""
    for _ in range(_PAGES):
        page = await graph.edge(path, after, fields="id,message,created_time,from,permalink_url", order="reverse_chronological", limit=100)  # fmt: skip
        for raw in page.entries:
            at = moment(raw.get("created_time")) if isinstance(raw, dict) else None
            if at is not None and at < since:
                return None
            if _is(raw, us, "message", reply.prepared["body"]["message"]):
                url = raw.get("permalink_url")
                name = str(raw["id"])
                return Sent(name, url if is_web(str(url)) else None, at, {"kind": "comment", "id": name}, graph.budget)
        after = page.after
        if not after:
            return None
    raise MaybeSent(N_("There was too much written since the first try to look through it all."))


def _is(raw: Any, us: str, field: str, text: str) -> bool:
    if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
        return False
    person = raw.get("from")
    return isinstance(person, dict) and str(person.get("id")) == us and same(str(raw.get(field) or ""), text)


async def delete_comment(graph: Graph, reply: Standing) -> None:
    """Delete our comment; what Meta does not find is gone."""
    name = reply.ref.get("id")
    if not name:
        raise Refused(N_("Nobody told Careline which comment this reply is. Delete it on the channel itself."))
    try:
        require_done(await graph.delete(str(name)))
    except Gone:
        return


def require_done(answer: Json) -> None:
    """Raises Malformed unless Meta said that it is done."""
    if answer.get("success") is not True:
        raise Malformed(N_("Meta did not say that it is done."))
