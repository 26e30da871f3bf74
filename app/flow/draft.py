"""Drafts: what an agent has begun to write, saved as they type, one for each agent and item.

A draft is never written over by a window that has not seen it, and never thrown away because something else was sent.
"""

from collections.abc import Mapping
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import QueryableAttribute

from app.connectors import registry
from app.db import announce
from app.errors import Conflict, Invalid
from app.flow.visibility import readable_item
from app.i18n import _
from app.listening.clean import LONGEST_TEXT, storable
from app.models.account import Account
from app.models.agent import Agent
from app.models.item import Item
from app.models.reply import Attachment, HandedDraft, Reply, ReplyState

NOTE = "note"  # the kind of a draft that will be a note, where a reply has its visibility


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
    account_id: int | None = None,
) -> Reply:
    """Save what is written so far. `seen` is the version that the writer's page last saved (None: whatever stands).

    `key` names the reply that the composer is writing; a draft that was sent meanwhile is not written again.
    `account_id` is who of us shall answer (None: as it stands).

    Raises:
        NotFound: not for their eyes.
        Invalid: longer than any channel takes, or an account of another channel.
        Conflict: another window of the same agent saved something else, or the reply is on its way already.
    """
    item = await readable_item(session, agent, item_id)
    if len(text) > LONGEST_TEXT:
        raise Invalid(
            _("A reply has at most %(longest_text)s characters.") % {"longest_text": LONGEST_TEXT}, field="text"
        )
    chosen = await _chosen(session, item, account_id)
    values = {"text": storable(text), "visibility": visibility, "version": Reply.version + 1, **chosen}
    mine = update(Reply).where(Reply.item_id == item_id, Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT)
    guarded = mine if seen is None else mine.where(Reply.version == seen)
    saved = await session.scalar(
        guarded.values(values).returning(Reply).execution_options(synchronize_session=False, populate_existing=True)
    )
    if saved is not None:
        return saved
    written = {"key": key or uuid4(), "text": storable(text), "visibility": visibility, **chosen}
    return await _first(session, agent, item, written)


async def _chosen(session: AsyncSession, item: Item, account_id: int | None) -> dict[str, object]:
    """What is kept of who shall answer. Whether they can is asked when the reply is sent."""
    if account_id is None:
        return {}
    channel = registry.get(item.channel).accounts_of or item.channel
    there = select(Account.id).where(Account.id == account_id, Account.channel == channel)
    if await session.scalar(there) is None:
        raise Invalid(_("This account cannot answer this post (any more). Choose another one."), "account_id")
    return {"account_id": account_id}


async def clear_draft(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """Leave an empty draft of a newer version, so that a save which is still on its way is refused.

    Raises:
        NotFound: not for their eyes.
    """
    item = await readable_item(session, agent, item_id)
    values = {**_fixed(agent, item), "key": uuid4(), "text": "", "visibility": NOTE}
    await session.execute(
        insert(Reply)
        .values(values)
        .on_conflict_do_update(
            index_elements=[Reply.item_id, Reply.agent_id],
            index_where=Reply.state == ReplyState.DRAFT,
            # Another key is another composer: what was sent does not stay in it.
            set_={"key": uuid4(), "text": "", "version": Reply.version + 1},
        )
    )


async def drop_draft(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """Throw the agent's own draft on an item away. One's own words may be dropped even where the item went elsewhere."""
    mine = delete(Reply).where(Reply.item_id == item_id, Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT)
    await session.execute(mine.execution_options(synchronize_session=False))
    announce(session, "items", [item_id])


async def hand_over_draft(session: AsyncSession, item_id: int, from_agent: int, to_agent: int) -> Reply | None:
    """Give the reply that somebody has begun to who takes the item over; None when there is nothing to give.

    What the receiver has begun themselves is kept, above what they are given. The caller has moved the item, and has
    checked that it may be moved.
    """
    theirs = await _locked(session, item_id, from_agent)
    if from_agent == to_agent or theirs is None or theirs.visibility == NOTE:
        return None
    if not theirs.text.strip() and not await session.scalar(select(carries(theirs.id))):
        return None
    own = await _locked(session, item_id, to_agent)
    text = theirs.text
    if own is not None:
        text = "\n\n".join(part for part in (own.text.strip(), theirs.text) if part)
        await move_pictures(session, own.id, theirs.id)
        await session.delete(own)
        await session.flush()
    theirs.agent_id, theirs.text, theirs.version = to_agent, text, theirs.version + 1
    await session.flush()
    await session.merge(HandedDraft(reply_id=theirs.id, agent_id=from_agent))
    announce(session, "items", [item_id])
    return theirs


def carries(reply_id: int | QueryableAttribute[int]) -> ColumnElement[bool]:
    """Whether a draft or reply has pictures."""
    return select(Attachment.id).where(Attachment.reply_id == reply_id).exists()


async def move_pictures(session: AsyncSession, from_reply: int, to_reply: int) -> None:
    """Two drafts become one: the pictures come along."""
    moved = update(Attachment).where(Attachment.reply_id == from_reply).values(reply_id=to_reply)
    await session.execute(moved.execution_options(synchronize_session=False))


async def _locked(session: AsyncSession, item_id: int, agent_id: int) -> Reply | None:
    draft = select(Reply).where(Reply.item_id == item_id, Reply.agent_id == agent_id, Reply.state == ReplyState.DRAFT)
    return await session.scalar(draft.with_for_update().execution_options(populate_existing=True))


def _fixed(agent: Agent, item: Item) -> dict[str, object]:
    return {
        "item_id": item.id,
        "conversation_id": item.conversation_id,
        "post_id": item.post_id,
        "agent_id": agent.id,
        "channel": item.channel,
    }


async def _first(session: AsyncSession, agent: Agent, item: Item, written: Mapping[str, object]) -> Reply:
    values = {**_fixed(agent, item), **written, "created_at": func.now()}
    made: Reply | None = await session.scalar(insert(Reply).values(values).on_conflict_do_nothing().returning(Reply))
    if made is None:
        raise Conflict(
            _("This draft was changed or sent in another window. Load it again; what you typed is still here.")
        )
    return made
