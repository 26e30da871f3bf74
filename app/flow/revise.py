"""Revise: what a reply says that stands on the channel is changed there."""

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.errors import Conflict, Invalid
from app.flow.reply import checked_text
from app.flow.reply_change import ask, live_changes, require_settled, require_standing
from app.flow.visibility import changeable_reply
from app.i18n import _
from app.listening.clean import LONGEST_TEXT, storable
from app.models.agent import Agent
from app.models.post import Post
from app.models.reply import ChangeKind, ChangeState, Reply, ReplyChange, RevisionDraft


async def revise(session: AsyncSession, agent: Agent, reply_id: int, text: str) -> Reply:
    """Have a sent reply say this on its channel, and drop the agent's draft of it. What it says already stays so.

    Raises:
        NotFound, Forbidden: see `changeable_reply`.
        Conflict: see `revisable`; or something else was asked for, and the channel has not answered yet.
        Invalid: empty, with a blank still to fill in, or too long for the channel.
    """
    reply, changes = await revisable(session, agent, reply_id)
    said = checked_text(reply.channel, text, await session.get_one(Post, reply.post_id))
    if not any(one.state == ChangeState.WAITING and one.text == said for one in changes):
        require_settled(changes)
        if said != reply.text:
            await ask(session, agent, reply, ChangeKind.EDIT, said)
    await drop_revision(session, agent, reply_id)
    return reply


async def revisable(
    session: AsyncSession, agent: Agent, reply_id: int, *, lock: bool = True
) -> tuple[Reply, list[ReplyChange]]:
    """A reply, locked unless it is only looked at, that the agent may edit, and what was done to it so far.

    Raises:
        NotFound, Forbidden: see `changeable_reply`.
        Conflict: it does not stand on the channel, is being deleted there, or the channel cannot edit.
    """
    reply = await changeable_reply(session, agent, reply_id, lock=lock)
    await require_standing(session, reply)
    if not registry.get(reply.channel).capabilities.edit:
        raise Conflict(_("This channel does not let us edit a reply. Open it and edit it there, or write another one."))
    changes = await live_changes(session, reply_id)
    if any(one.kind == ChangeKind.DELETE for one in changes):
        raise Conflict(_("This reply was deleted, so it cannot be edited any more."))
    return reply, changes


async def save_revision(session: AsyncSession, agent: Agent, reply_id: int, text: str) -> Reply:
    """Keep what an edit says so far, for this agent.

    Raises:
        NotFound, Forbidden, Conflict: see `revisable`.
        Invalid: longer than any channel takes.
    """
    reply, _changes = await revisable(session, agent, reply_id)
    if len(text) > LONGEST_TEXT:
        raise Invalid(_("A reply has at most %(longest_text)s characters.") % {"longest_text": LONGEST_TEXT}, "text")
    kept = insert(RevisionDraft).values(reply_id=reply.id, agent_id=agent.id, text=storable(text), saved_at=func.now())
    at = [RevisionDraft.reply_id, RevisionDraft.agent_id]
    newer = {"text": kept.excluded.text, "saved_at": kept.excluded.saved_at}
    await session.execute(kept.on_conflict_do_update(index_elements=at, set_=newer))
    return reply


async def begun_revision(session: AsyncSession, agent: Agent, reply: Reply) -> str:
    """What an edit of the reply begins with: the agent's draft, else what the channel refused last, else what stands."""
    draft = await session.get(RevisionDraft, (reply.id, agent.id), populate_existing=True)
    if draft is not None:
        return draft.text
    asked = select(ReplyChange).where(ReplyChange.reply_id == reply.id).order_by(ReplyChange.id.desc()).limit(1)
    newest = await session.scalar(asked)
    refused = newest is not None and newest.kind == ChangeKind.EDIT and newest.state != ChangeState.DONE
    return newest.text or "" if newest is not None and refused else reply.text


async def drop_revision(session: AsyncSession, agent: Agent, reply_id: int) -> Reply:
    """Throw away what the agent has written of an edit and not sent. Raises NotFound, Forbidden: see `changeable_reply`."""
    reply = await changeable_reply(session, agent, reply_id)
    mine = delete(RevisionDraft).where(RevisionDraft.reply_id == reply_id, RevisionDraft.agent_id == agent.id)
    await session.execute(mine.execution_options(synchronize_session=False))
    return reply
