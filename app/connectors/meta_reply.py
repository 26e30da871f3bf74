"""Comments of ours on Facebook and Instagram: written, found again, deleted.

Rules: developers.facebook.com/docs/graph-api/reference/object/comments, /docs/instagram-platform/comment-moderation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.connectors.base import Json, OutgoingReply, Sent, Standing
from app.connectors.meta_graph import Gone, Graph, moment
from app.connectors.sent import may_stand_since, same
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


@dataclass(frozen=True, slots=True)
class Words:
    """What the fields of a comment are called, and how it is asked for."""

    text: str
    time: str
    more: str
    params: Mapping[str, str] = field(default_factory=dict)


FACEBOOK = Words("message", "created_time", "permalink_url", {"order": "reverse_chronological"})
INSTAGRAM = Words("text", "timestamp", "username")


async def find_comment(graph: Graph, us: Sequence[str], path: str, reply: OutgoingReply, words: Words) -> Sent | None:
    """Our comment (by id or name) with this text under the parent, of a time since shortly before the first try.

    Raises MaybeSent when there is more than a call may read: that is no proof that it is not there.
    """
    since = may_stand_since(reply)
    fields = f"id,{words.text},{words.time},from,{words.more}"
    text, after = reply.prepared["body"]["message"], ""
    for _ in range(_PAGES):
        page = await graph.edge(path, after, fields=fields, limit=100, **words.params)
        for raw in page.entries:
            at = moment(raw.get(words.time)) if isinstance(raw, dict) else None
            if at is not None and at < since and words is FACEBOOK:
                return None
            if at is not None and at >= since and _is(raw, us) and same(str(raw.get(words.text) or ""), text):
                url = raw.get("permalink_url")
                name = str(raw["id"])
                return Sent(name, url if is_web(str(url)) else None, at, {"kind": "comment", "id": name}, graph.budget)
        after = page.after
        if not after:
            return None
    raise MaybeSent(N_("There was too much written since the first try to look through it all."))


def _is(raw: Any, us: Sequence[str]) -> bool:
    """Whether we wrote it: Instagram may say only under which name."""
    if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
        return False
    person = raw.get("from")
    names = {str(person.get("id")), str(person.get("username"))} if isinstance(person, dict) else set()
    return bool({*names, str(raw.get("username"))} & {*us})


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
