"""Withdraw: a reply that stands on the channel is deleted there."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Visibility
from app.errors import Conflict
from app.flow.reply_change import ask, live_changes, require_settled, require_standing
from app.flow.visibility import changeable_reply
from app.i18n import _
from app.models.agent import Agent
from app.models.post import Post
from app.models.reply import ChangeKind, Reply


async def withdraw(session: AsyncSession, agent: Agent, reply_id: int) -> Reply:
    """Have a sent reply deleted on its channel. One that is deleted, or on the way to be, stays so.

    Raises:
        NotFound, Forbidden: see `changeable_reply`.
        Conflict: it does not stand there, the channel cannot delete, or an edit is on its way.
    """
    reply = await changeable_reply(session, agent, reply_id)
    await require_standing(session, reply)
    post = await session.get_one(Post, reply.post_id)
    if not registry.get(reply.channel).able(post.ref, Visibility(reply.visibility)).delete:
        raise Conflict(_("This channel does not let us delete a reply. Open it and delete it there."))
    live = await live_changes(session, reply_id)
    if any(one.kind == ChangeKind.DELETE for one in live):
        return reply
    require_settled(live)
    await ask(session, agent, reply, ChangeKind.DELETE)
    return reply
