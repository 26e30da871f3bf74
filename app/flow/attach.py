"""Attach: a picture joins the draft of a reply, gets its description, or leaves again. What was sent never changes."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Pictures
from app.errors import Conflict, Invalid, NotFound
from app.flow.answerable import answerable
from app.flow.draft import save_draft
from app.flow.picture import Cleaned
from app.flow.take_along import too_many
from app.flow.visibility import held_item
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Item
from app.models.reply import Attachment, Reply, ReplyState

LONGEST_NAME = 200


async def picture_rules(session: AsyncSession, agent: Agent, item_id: int) -> tuple[Item, Pictures]:
    """What pictures a reply to an item may carry. The agent must hold it.

    Raises:
        NotFound, Conflict: see `held_item` and `answerable`; or the channel takes no pictures.
    """
    item = await held_item(session, agent, item_id)
    way = await answerable(session, item)
    rules = registry.get(item.channel).able(way.post.ref).pictures
    if rules is None:
        raise Conflict(_("This channel takes no pictures in a reply."))
    return item, rules


async def attach(
    session: AsyncSession, agent: Agent, item_id: int, picture: Cleaned, *, name: str, key: UUID, visibility: str
) -> Reply:
    """Put a picture to the agent's draft, which begins with it if need be; returns the draft.

    Raises:
        NotFound, Conflict: see `picture_rules`.
        Invalid: there are as many as the channel takes already.
    """
    _item, rules = await picture_rules(session, agent, item_id)
    mine = select(Reply).where(Reply.item_id == item_id, Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT)
    draft = await session.scalar(mine.with_for_update().execution_options(populate_existing=True))
    if draft is None:
        draft = await save_draft(session, agent, item_id, "", visibility, seen=0, key=key)
    there = await session.scalar(select(func.count()).where(Attachment.reply_id == draft.id)) or 0
    if there >= rules.most:
        raise Invalid(too_many(rules.most), "picture")
    size = {"width": picture.width, "height": picture.height}
    session.add(
        Attachment(reply_id=draft.id, name=name[:LONGEST_NAME], kind=picture.kind, content=picture.content, **size)
    )
    await session.flush()
    return draft


async def detach(session: AsyncSession, agent: Agent, attachment_id: int) -> int:
    """Take a picture from the agent's own draft; returns the item's id.

    Raises:
        NotFound: it is in no draft of theirs.
    """
    mine = select(Reply.id).where(Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT)
    gone = delete(Attachment).where(Attachment.id == attachment_id, Attachment.reply_id.in_(mine))
    reply_id = await session.scalar(gone.returning(Attachment.reply_id).execution_options(synchronize_session=False))
    if reply_id is None:
        raise NotFound(_("This picture is in no draft of yours. It may have been sent with its reply."))
    return (await session.get_one(Reply, reply_id)).item_id


async def describe(session: AsyncSession, agent: Agent, item_id: int, alts: Mapping[int, str]) -> None:
    """Set the descriptions of pictures of the agent's draft on an item; pictures that are not in it are left alone.

    Raises:
        Invalid: longer than the channel takes.
    """
    if not alts:
        return
    item = await session.get_one(Item, item_id)
    rules = registry.get(item.channel).capabilities.pictures
    mine = select(Reply.id).where(Reply.item_id == item_id, Reply.agent_id == agent.id, Reply.state == ReplyState.DRAFT)
    for attachment_id, alt in alts.items():
        if rules is not None and len(alt) > rules.alt:
            told = _("A description has at most %d characters on this channel. Shorten it.")
            raise Invalid(told % rules.alt, "alt")
        said = update(Attachment).where(Attachment.id == attachment_id, Attachment.reply_id.in_(mine))
        await session.execute(said.values(alt=alt).execution_options(synchronize_session=False))
