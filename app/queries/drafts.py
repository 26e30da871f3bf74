"""What an agent has begun to write and not sent, also where its item has gone elsewhere by now."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent
from app.models.change import first_words, newest_version
from app.models.item import Item
from app.models.post import Author, Post
from app.models.reply import HandedDraft, Reply, ReplyState
from app.models.sight import visible_queues
from app.queries.shield import order_pattern, shielded

MOST = 100
SNIPPET = 160  # characters of the post that is answered


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft. `name` and `said` are empty where the reader may not see the item any more; their own words stay."""

    item_id: int
    seen: bool
    channel: str
    state: str
    mine: bool  # whether the reader holds the item
    begun_at: datetime
    visibility: str
    text: str
    name: str
    said: str


async def drafts(session: AsyncSession, reader: Agent) -> list[Draft]:
    """The reader's drafts, the newest first."""
    seen = Item.queue_id.in_(visible_queues(reader)) | (Item.agent_id == reader.id)
    newest = newest_version()
    found = (
        select(
            Reply, Item, seen, func.coalesce(func.nullif(Author.name, ""), Author.handle), first_words(newest, SNIPPET)
        )
        .join(Item, Item.id == Reply.item_id)
        .join(Post, Post.id == Item.post_id)
        .join(Author, Author.id == Post.author_id)
        .outerjoin(newest, true())
        .where(Reply.agent_id == reader.id, Reply.state == ReplyState.DRAFT, func.btrim(Reply.text) != "")
        .order_by(Reply.id.desc())
        .limit(MOST)
    )
    order = await order_pattern(session)
    return [
        Draft(
            item_id=item.id,
            seen=bool(visible),
            channel=item.channel,
            state=item.state,
            mine=item.agent_id == reader.id,
            begun_at=draft.created_at,
            visibility=draft.visibility,
            text=draft.text,
            name=name if visible else "",
            said=shielded(said, order) if visible else "",
        )
        for draft, item, visible, name, said in await session.execute(found)
    ]


async def begun_by(session: AsyncSession, reply_id: int) -> str | None:
    """The name of who began a draft that was handed over."""
    named = (
        select(Agent.name).join(HandedDraft, HandedDraft.agent_id == Agent.id).where(HandedDraft.reply_id == reply_id)
    )
    return await session.scalar(named)


async def sent_under(session: AsyncSession, agent_id: int, key: UUID) -> str | None:
    """What an agent sent under a composer's key; None when nothing was."""
    sent = select(Reply.text).where(Reply.key == key, Reply.agent_id == agent_id, Reply.state != ReplyState.DRAFT)
    return await session.scalar(sent)
