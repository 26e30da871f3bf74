"""The pictures of drafts and replies: what they are, and their bytes for who may see them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent
from app.models.item import Item
from app.models.reply import Attachment, Reply, ReplyState
from app.models.sight import visible_queues


@dataclass(frozen=True, slots=True)
class Attached:
    """One picture, without its bytes."""

    id: int
    name: str
    width: int
    height: int
    alt: str


async def of_replies(session: AsyncSession, reply_ids: Iterable[int]) -> dict[int, tuple[Attached, ...]]:
    """The pictures of each of these replies that has any."""
    wanted = list(reply_ids)
    if not wanted:
        return {}
    asked = select(Attachment).where(Attachment.reply_id.in_(wanted)).order_by(Attachment.id)
    found: dict[int, tuple[Attached, ...]] = {}
    for one in await session.scalars(asked):
        shown = Attached(one.id, one.name, one.width, one.height, one.alt)
        found[one.reply_id] = (*found.get(one.reply_id, ()), shown)
    return found


async def content_of(session: AsyncSession, reader: Agent, attachment_id: int) -> tuple[str, bytes] | None:
    """A picture's kind and bytes; None when the reader may not see it: drafts are for their writer alone."""
    seen = Item.queue_id.in_(visible_queues(reader)) | (Item.agent_id == reader.id)
    asked = (
        select(Attachment.kind, Attachment.content)
        .join(Reply, Reply.id == Attachment.reply_id)
        .join(Item, Item.id == Reply.item_id)
        .where(
            Attachment.id == attachment_id, (Reply.agent_id == reader.id) | ((Reply.state != ReplyState.DRAFT) & seen)
        )
    )
    row = (await session.execute(asked)).one_or_none()
    return (row[0], row[1]) if row else None
