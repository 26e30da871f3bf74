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


async def clear_draft(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """Leave an empty draft of a newer version, so that a save which is still on its way is refused.

    Raises:
        NotFound: not for their eyes.
    """
    item = await visible_item(session, agent, item_id)
    values = {**_fixed(agent, item), "key": uuid4(), "text": "", "visibility": "note"}
    await session.execute(
        insert(Reply)
        .values(values)
        .on_conflict_do_update(
            index_elements=[Reply.item_id, Reply.agent_id],
            index_where=Reply.state == ReplyState.DRAFT,
            set_={"text": "", "version": Reply.version + 1},
        )
    )


def _fixed(agent: Agent, item: Item) -> dict[str, object]:
    return {
        "item_id": item.id,
        "conversation_id": item.conversation_id,
        "post_id": item.post_id,
        "agent_id": agent.id,
        "channel": item.channel,
    }


async def _first(
    session: AsyncSession, agent: Agent, item: Item, *, text: str, visibility: str, key: UUID | None
) -> Reply:
    written = {"key": key or uuid4(), "text": text, "visibility": visibility, "created_at": func.now()}
    values = {**_fixed(agent, item), **written}
    made: Reply | None = await session.scalar(insert(Reply).values(values).on_conflict_do_nothing().returning(Reply))
    if made is None:
        raise Conflict("This draft was changed or sent in another window. Load it again; what you typed is still here.")
    return made
