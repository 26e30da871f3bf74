"""Take along: the pictures that stand beside a composer leave with the reply, all of them and no others."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.errors import Conflict, Invalid
from app.i18n import _, ngettext
from app.models.agent import Agent
from app.models.reply import Attachment, Reply, ReplyState


def too_many(most: int) -> str:
    """How many pictures a channel takes, as a refusal."""
    return ngettext("This channel takes %d picture.", "This channel takes %d pictures.", most) % most


async def take_along(session: AsyncSession, agent: Agent, reply: Reply, shown: Sequence[int] | None) -> None:
    """Freeze a reply's pictures as it leaves: those that its writer saw beside it (`shown`; None: nobody looked).

    Raises:
        Conflict: another window took one away, or added one that this window does not show.
        Invalid: more than the channel takes.
    """
    there = select(Attachment.id).where(Attachment.reply_id == reply.id)
    if shown is not None:
        drafts = select(Reply.id).where(
            Reply.item_id == reply.item_id, Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT
        )
        brought = update(Attachment).where(Attachment.id.in_(shown), Attachment.reply_id.in_(drafts))
        await session.execute(brought.values(reply_id=reply.id).execution_options(synchronize_session=False))
        if set(await session.scalars(there)) != set(shown):
            told = _("The pictures of this reply were changed in another window. Look at them before you send it.")
            raise Conflict(told)
    rules = registry.get(reply.channel).capabilities.pictures
    count = await session.scalar(select(func.count()).select_from(there.subquery())) or 0
    if count > (rules.most if rules else 0):
        raise Invalid(too_many(rules.most if rules else 0), "picture")
