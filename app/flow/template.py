"""Answer with a text that the channel has approved, when it takes no words of our own."""

import re
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Filled, Visibility
from app.db import announce
from app.errors import Conflict, Invalid, NotFound
from app.flow.answerable import answerable
from app.flow.reply import hold
from app.flow.visibility import held_item, own_reply
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Item, State
from app.models.reply import Reply, ReplyState
from app.models.template import ChannelTemplate, ReplyTemplate

LONGEST_VALUE = 1000  # characters of what is filled in
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


async def templates_for(session: AsyncSession, item: Item) -> list[ChannelTemplate]:
    """The templates that an item can be answered with, by name. Raises Conflict: see `answerable`."""
    way = await answerable(session, item, templates=True)
    found = select(ChannelTemplate).where(ChannelTemplate.account_id == way.account_id)
    return list(await session.scalars(found.order_by(ChannelTemplate.name, ChannelTemplate.language)))


async def send_template(
    session: AsyncSession,
    agent: Agent,
    item_id: int,
    template_id: int,
    values: Sequence[str],
    *,
    key: UUID | None = None,
) -> Reply:
    """Answer with a template, its blanks filled in, as with any reply: held for the queue's undo time first.

    Raises:
        NotFound, Conflict: see `held_item` and `answerable`; or there is no such template any more.
        Invalid: a blank is not filled in.
    """
    key = key or uuid4()
    known = await session.scalar(select(Reply).where(Reply.key == key, Reply.state != ReplyState.DRAFT))
    if known is not None:
        return await own_reply(session, agent, known.id)
    item = await held_item(session, agent, item_id)
    if item.state != State.ACTIVE:
        raise Conflict(
            _("Item %(item_id)s is not in progress (%(state)s). Wake it before you answer.")
            % {"item_id": item_id, "state": State(item.state).words}
        )
    way = await answerable(session, item, templates=True)
    template = await session.get(ChannelTemplate, template_id)
    if template is None or template.account_id != way.account_id:
        raise NotFound(_("The channel lists this template no more. Choose another one."))
    filled = fill(template, values)
    text = said(template, filled)
    held = await hold(session, agent, item, way, key=key, text=text, visibility=Visibility.DIRECT, then_close=None)
    pairs = [[name, value] for name, value in filled.values]
    row = {"name": filled.name, "language": filled.language, "values": pairs, "named": filled.named}
    await session.execute(insert(ReplyTemplate).values(reply_id=held.id, **row))
    announce(session, "items", [item.id])
    return held


def fill(template: ChannelTemplate, values: Sequence[str]) -> Filled:
    """The template with these values in the order of its variables. Raises Invalid."""
    given = [" ".join(value.split()) for value in values]  # a channel takes no line breaks in a blank
    if len(given) != len(template.variables) or not all(given):
        raise Invalid(_("Fill in every blank of the template before you send it."), "value")
    if any(len(value) > LONGEST_VALUE for value in given):
        raise Invalid(_("What is filled in has at most %(most)s characters.") % {"most": LONGEST_VALUE}, "value")
    pairs = tuple(zip(template.variables, given, strict=True))
    return Filled(template.name, template.language, pairs, template.named)


def said(template: ChannelTemplate, filled: Filled) -> str:
    """What the customer will read."""
    known: Mapping[str, str] = dict(filled.values)
    body = _VARIABLE.sub(lambda found: known.get(found.group(1), found.group()), template.body)
    return "\n\n".join(part for part in (template.header, body, template.footer) if part)
