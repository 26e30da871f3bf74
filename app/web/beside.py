"""What the head of an item offers its reader together with their colleagues."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.assign import supervises
from app.flow.item_request import HELD
from app.flow.take_over import may_take_over
from app.models.agent import Agent
from app.models.item import OPEN_STATES, Item, State
from app.models.queue import Queue
from app.models.sight import visible_queues
from app.queries import together


@dataclass(frozen=True, slots=True)
class Beside:
    """What the reader may do with the item, and what colleagues do. Who is only asked about it may do none of it."""

    works: bool  # it is in a queue of theirs, or in their hands
    sends: bool  # they may send it on
    asks: bool  # they may ask an expert
    wants: bool  # a colleague holds it, whom they may ask for it
    takes: bool  # they may take it over
    waits: bool  # they have asked for it
    watches: bool
    wanted: tuple[together.Wanted, ...]  # who asks the reader for it
    onlookers: tuple[together.Onlooker, ...]
    untold: dict[int, list[tuple[int, str]]]  # of the reader's notes: whom they name in vain


async def beside(db: AsyncSession, me: Agent, item: Item) -> Beside:
    """Ask the database what the reader may do with an item that they may read, and who else is there."""
    theirs = await db.scalar(visible_queues(me).where(Queue.id == item.queue_id)) is not None
    works = theirs or item.agent_id == me.id
    is_open = works and item.state in OPEN_STATES
    held = is_open and item.state in HELD
    free = item.agent_id is None or (item.agent_id == me.id and item.state != State.OFFERED)
    wanted = await together.wanted(db, item) if held else []
    looking = await together.onlookers(db, [item.id], me.id)
    return Beside(
        works=works,
        sends=is_open and (free or await supervises(db, me, item)),
        asks=is_open,
        wants=held and item.agent_id != me.id,
        takes=held and await may_take_over(db, me, item),
        waits=any(one.asker_id == me.id for one in wanted),
        watches=await together.watches(db, me.id, item.id),
        wanted=tuple(wanted) if item.agent_id == me.id else (),
        onlookers=tuple(looking.get(item.id, ())),
        untold=await together.untold(db, item.id, me.id),
    )
