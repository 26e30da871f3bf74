"""Asking the holder of an item for it: they give it, or keep it."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Conflict, Forbidden, NotFound
from app.flow.assign import locked, presences_of, put
from app.flow.draft import hand_over_draft
from app.flow.notices import tell
from app.flow.visibility import visible_item
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Item, State
from app.models.together import ItemRequest, NoticeKind, RequestOutcome

HELD = frozenset({State.ACTIVE, State.PARKED})


async def ask_for(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """Ask the holder of an item for it. Asking twice is asking once.

    Raises:
        NotFound: not for their eyes.
        Conflict: nobody holds it, or they do themselves.
    """
    item = await visible_item(session, agent, item_id)
    if item.state not in HELD or item.agent_id is None:
        raise Conflict(_("Nobody holds item %(item)s now. Claim it.") % {"item": item_id})
    if item.agent_id == agent.id:
        raise Conflict(_("You hold item %(item)s already.") % {"item": item_id})
    values = {"item_id": item.id, "asker_id": agent.id, "holder_id": item.agent_id}
    open_one = insert(ItemRequest).values(values)
    again = open_one.on_conflict_do_update(
        index_elements=["item_id", "asker_id"],
        index_where=ItemRequest.outcome.is_(None),
        set_={"holder_id": item.agent_id, "asked_at": func.now()},
        where=ItemRequest.holder_id != item.agent_id,  # the item has another holder by now
    )
    if await session.scalar(again.returning(ItemRequest.id)) is not None:
        await tell(session, [item.agent_id], NoticeKind.WANTED, item.id, by=agent.id)
        announce(session, "items", [item.id])


async def withdraw(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """Ask for it no longer. Nothing happens when they did not. Raises NotFound: not for their eyes."""
    await visible_item(session, agent, item_id)
    await _end(session, ItemRequest.item_id == item_id, ItemRequest.asker_id == agent.id, to=RequestOutcome.WITHDRAWN)
    announce(session, "items", [item_id])


async def give(session: AsyncSession, holder: Agent, item_id: int, request_id: int) -> Item:
    """The holder gives the item to who asked; what they have begun to write goes with it.

    Raises:
        NotFound: not for their eyes, or there is no such request.
        Forbidden: they do not hold it.
        Conflict: the request is over, or who asked may not have it any more.
    """
    item, request = await _mine(session, holder, item_id, request_id)
    asker = await session.get_one(Agent, request.asker_id)
    if not asker.active:
        raise Conflict(_("%(name)s does not work here any more.") % {"name": asker.name})
    await visible_item(session, asker, item_id)  # they may have left the team since
    await presences_of(session, holder.id, asker.id)
    given = await put(session, holder, item, asker, asked=True)
    await hand_over_draft(session, item.id, holder.id, asker.id)
    await _end(session, ItemRequest.id == request.id, to=RequestOutcome.GIVEN)
    return given


async def keep(session: AsyncSession, holder: Agent, item_id: int, request_id: int) -> None:
    """The holder keeps the item, and who asked is told. Raises as `give`."""
    item, request = await _mine(session, holder, item_id, request_id)
    await _end(session, ItemRequest.id == request.id, to=RequestOutcome.KEPT)
    await tell(session, [request.asker_id], NoticeKind.KEPT, item.id, by=holder.id)
    announce(session, "items", [item.id])


async def _mine(session: AsyncSession, holder: Agent, item_id: int, request_id: int) -> tuple[Item, ItemRequest]:
    await visible_item(session, holder, item_id)
    item = await locked(session, item_id)
    request = await session.scalar(
        select(ItemRequest).where(ItemRequest.id == request_id, ItemRequest.item_id == item_id).with_for_update()
    )
    if request is None:
        raise NotFound(_("There is no such request."))
    if item.agent_id != holder.id:
        raise Forbidden(_("You do not hold item %(item)s, so you cannot give it.") % {"item": item_id})
    if request.outcome is not None or request.holder_id != holder.id or item.state not in HELD:
        raise Conflict(_("This request is over. Look at the item again."))
    return item, request


async def _end(session: AsyncSession, *which: object, to: RequestOutcome) -> None:
    over = update(ItemRequest).where(*which, ItemRequest.outcome.is_(None))  # type: ignore[arg-type]
    await session.execute(over.values(outcome=to, ended_at=func.now()).execution_options(synchronize_session=False))
