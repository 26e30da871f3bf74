"""Withdraw: a reply that stands on the channel is deleted there."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.errors import Conflict
from app.flow.reply_change import ask, changes_of, require_standing
from app.flow.visibility import changeable_reply
from app.i18n import _
from app.models.agent import Agent
from app.models.reply import ChangeKind, ChangeState, Reply


async def withdraw(session: AsyncSession, agent: Agent, reply_id: int) -> Reply:
    """Have a sent reply deleted on its channel. One that is deleted, or on the way to be, stays so.

    Raises:
        NotFound, Forbidden: see `changeable_reply`.
        Conflict: it does not stand there, or the channel cannot delete.
    """
    reply = await changeable_reply(session, agent, reply_id)
    await require_standing(session, reply)
    if not registry.get(reply.channel).capabilities.delete:
        raise Conflict(_("This channel does not let us delete a reply. Open it and delete it there."))
    live = [one for one in await changes_of(session, reply_id) if one.state != ChangeState.FAILED]
    if any(one.kind == ChangeKind.DELETE for one in live):
        return reply
    await ask(session, agent, reply, ChangeKind.DELETE)
    return reply
