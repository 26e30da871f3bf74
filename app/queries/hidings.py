"""Which posts of a conversation are hidden on their channel, and which the reader may have hidden or shown."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.models.agent import Agent, Role
from app.models.hiding import PostHiding
from app.models.item import Item
from app.models.post import Post
from app.queries.said import Said


async def with_hidings(session: AsyncSession, reader: Agent, item: Item, told: Sequence[Said]) -> list[Said]:
    """The same posts, with what is known of their hiding; nothing is asked where the channel hides none."""
    connector = registry.get(item.channel)
    if not connector.capabilities.hide:
        return list(told)
    ids = [one.id for one in told if one.kind == "post"]
    found = {one.post_id: one for one in await session.scalars(select(PostHiding).where(PostHiding.post_id.in_(ids)))}
    refs = {
        row.id: row for row in await session.execute(select(Post.id, Post.ref, Post.feed_id).where(Post.id.in_(ids)))
    }
    may = reader.is_at_least(Role.SUPERVISOR) or item.agent_id == reader.id
    return [
        _seen(
            one,
            found.get(one.id),
            may=may and refs[one.id].feed_id is not None and connector.hideable(refs[one.id].ref),
        )
        if one.kind == "post"
        else one
        for one in told
    ]


def _seen(one: Said, hiding: PostHiding | None, *, may: bool) -> Said:
    free = may and one.deleted_at is None
    if hiding is None:
        return replace(one, hideable=free)
    return replace(
        one,
        hidden=hiding.hidden,
        hideable=free and hiding.wanted is None,
        hide_state="waiting" if hiding.wanted is not None else "failed" if hiding.trouble else "",
        hide_trouble=hiding.trouble,
    )
