"""Drafts: what an agent has begun to write, saved as they type, one for each agent and item."""

from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Invalid
from app.flow.visibility import visible_item
from app.listening.clean import LONGEST_TEXT, storable
from app.models.agent import Agent
from app.models.item import Item
from app.models.post import Post
from app.models.reply import Reply, ReplyState


async def load_draft(session: AsyncSession, agent: Agent, item_id: int) -> Reply | None:
    """The agent's draft on an item, if there is one."""
    mine = select(Reply).where(Reply.item_id == item_id, Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT)
    return await session.scalar(mine)


async def save_draft(
    session: AsyncSession,
    agent: Agent,
    item_id: int,
    text: str,
    visibility: str,
    *,
    seen: int | None = None,
    key: UUID | None = None,
) -> Reply:
    """Save what is written so far. `seen` is the version that the writer's page last saved (None: whatever stands).

    `key` names the reply that the composer is writing; a draft that was sent meanwhile is not written again.

    Raises:
        NotFound: not for their eyes.
        Invalid: longer than any channel takes.
        Conflict: another window of the same agent saved something else, or the reply is on its way already.
    """
    item = await visible_item(session, agent, item_id)
    if len(text) > LONGEST_TEXT:
        raise Invalid(f"A reply has at most {LONGEST_TEXT} characters.", field="text")
    values = {"text": storable(text), "visibility": visibility, "version": Reply.version + 1}
    mine = update(Reply).where(Reply.item_id == item_id, Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT)
    guarded = mine if seen is None else mine.where(Reply.version == seen)
    saved = await session.scalar(
        guarded.values(values).returning(Reply).execution_options(synchronize_session=False, populate_existing=True)
    )
    return saved or await _first(session, agent, item, text=storable(text), visibility=visibility, key=key)


async def _first(
    session: AsyncSession, agent: Agent, item: Item, *, text: str, visibility: str, key: UUID | None
) -> Reply:
    post = await session.get_one(Post, item.post_id)
    values = {
        "key": key or uuid4(),
        "item_id": item.id,
        "conversation_id": item.conversation_id,
        "post_id": post.id,
        "agent_id": agent.id,
        "channel": item.channel,
        "text": text,
        "visibility": visibility,
        "created_at": func.now(),
    }
    made: Reply | None = await session.scalar(insert(Reply).values(values).on_conflict_do_nothing().returning(Reply))
    if made is None:
        raise Conflict("This draft was changed or sent in another window. Load it again; what you typed is still here.")
    return made
