"""What became of posts and messages: X wants what is deleted there deleted everywhere (its developer agreement).

Rules: docs.x.com, "Posts lookup" (up to 100 ids; what is missing stands under `errors`), "Edit Posts" (each version has
an id of its own, and names them all).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from app.connectors.base import Json, KnownPost, PostChange
from app.connectors.x_api import Api, Gone, entries
from app.connectors.x_posts import FIELDS, Included, Post, hung_on


async def looked(api: Api, written: Mapping[str, KnownPost]) -> tuple[PostChange, ...]:
    """Ask for posts by their ids, and for the newest version of those that were edited since. Raises ConnectorError."""
    now = api.link.now
    answer = await api.get("lookup", "/2/tweets", {**FIELDS, "ids": ",".join(written)})
    await api.paid(answer)
    gone = _gone(answer)
    changes = [PostChange(written[name].external_id, now, deleted=True) for name in gone if name in written]
    edited = {}
    for raw in entries(answer):
        post = _as_post(raw)
        if post is not None and post.newest != post.id and post.id in written:
            edited[post.newest] = written[post.id]
        elif post is not None and post.newest != post.name and post.id in written:
            changes.append(_version(post, written[post.id], Included(answer)))
    if edited:
        versions = await api.get("lookup", "/2/tweets", {**FIELDS, "ids": ",".join(edited)})
        await api.paid(versions)
        found = [post for post in map(_as_post, entries(versions)) if post is not None and post.id in edited]
        changes += [_version(post, edited[post.id], Included(versions)) for post in found]
    return tuple(changes)


def _as_post(raw: Any) -> Post | None:
    try:
        return Post.model_validate(raw)
    except ValidationError:
        return None


def _version(post: Post, known: KnownPost, included: Included) -> PostChange:
    return PostChange(
        external_id=known.external_id,
        changed_at=post.created_at.astimezone(UTC),
        text=post.written,
        media=hung_on(post, included),
    )


def _gone(answer: Json) -> list[str]:
    """Posts that X says do not exist, or are not for us to see (suspended, protected)."""
    errors = answer.get("errors")
    told = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
    kinds = ("resource-not-found", "not-authorized-for-resource", "resource-unavailable", "disallowed-resource")
    return [
        str(one.get("resource_id") or one.get("value"))
        for one in told
        if one.get("resource_type") in {"tweet", None} and str(one.get("type", "")).endswith(kinds)
        and one.get("parameter") in {"ids", "id"}
    ]  # fmt: skip


async def message_looked(api: Api, known: KnownPost, now: datetime) -> tuple[PostChange, ...]:
    """Ask for one message. Raises ConnectorError."""
    try:
        answer = await api.get("lookup", f"/2/dm_events/{known.ref['message']}", {"dm_event.fields": "id,event_type"})
    except Gone:
        return (PostChange(known.external_id, now, deleted=True),)
    return (PostChange(known.external_id, now, deleted=True),) if "data" not in answer and _missing(answer) else ()


def _missing(answer: Json) -> bool:
    errors = answer.get("errors")
    return isinstance(errors, list) and any(
        isinstance(one, dict) and str(one.get("type", "")).endswith("resource-not-found") for one in errors
    )
