"""A Careline that has been worked with: something stands on every page that can be empty."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Visibility
from app.flow.claim import claim
from app.flow.close import close
from app.flow.config_file import export
from app.flow.draft import save_draft
from app.flow.macro import MacroSettings, save_macro
from app.flow.note import note
from app.flow.park import park
from app.flow.rehearsals import end_rehearsal, start_rehearsal, take_rehearsal
from app.flow.rehearse import Stretch, compare, prepare
from app.flow.reply import reply
from app.flow.saved_view import ViewSettings, save_view
from app.flow.watch import watch
from app.models.agent import Agent
from app.models.item import Disposition, Item
from tests.browser.conftest import Running
from tests.browser.steps import agent_named

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Furnished:
    """Where to find it, as the words of a path: /items/{item}."""

    item: int  # waits
    held: int  # in Ada's hands, with a note, an answer and a draft
    customer: int
    macro: int
    view: int
    rehearsal: int


async def furnish(careline: Running) -> Furnished:
    """Let Ada and her colleagues work for a while."""
    async with careline.sessions.begin() as session:
        ada, marta = await agent_named(session, "ada"), await agent_named(session, "marta")
        ids = list(await session.scalars(select(Item.id).where(Item.state == "queued").order_by(Item.id)))
        held, parked, item = ids[0], ids[1], ids[2]
        await claim(session, ada, held)
        await watch(session, ada, held)
        await reply(session, ada, held, "We are looking for it.", Visibility.PUBLIC, key=uuid4())
        await note(session, marta, held, "@Ada Quist the parcel is in Leeds.")
        await save_draft(session, ada, held, "It is in Leeds and", "public")
        await claim(session, ada, parked)
        await park(session, ada, parked, datetime.now(UTC) + timedelta(hours=3))
        macro = await save_macro(
            session, ada, MacroSettings(name="Ask for patience", add_tags=("waits",), end="park:3h")
        )
        view = await save_view(session, ada, ViewSettings(name="What waits"), "claimable")
        await _a_week_ago(session, ada, ids[-2:])
        customer = (await session.get_one(Item, held)).customer_id
        rehearsal = await _rehearsed(session, ada)
    assert customer is not None
    return Furnished(item, held, customer, macro.id, view.id, rehearsal)


async def _a_week_ago(session: AsyncSession, who: Agent, ids: list[int]) -> None:
    """Items that came a week ago, a few minutes from now, each closed after ten minutes: staffing reckons with them."""
    then = datetime.now(UTC) - WEEK + timedelta(minutes=30)
    for one in ids:
        await claim(session, who, one)
        await close(session, who, one, Disposition.ANSWERED)
    await session.flush()
    await session.execute(text("ALTER TABLE event DISABLE TRIGGER event_append_only"))
    for verb, minutes in (("open", 0), ("claim", 1), ("close", 11)):
        moved = {"verb": verb, "at": then + timedelta(minutes=minutes), "ids": ids}
        await session.execute(text("UPDATE event SET at = :at WHERE verb = :verb AND item_id = ANY(:ids)"), moved)
    await session.execute(text("UPDATE item SET opened_at = :at WHERE id = ANY(:ids)"), {"at": then, "ids": ids})
    await session.execute(text("ALTER TABLE event ENABLE TRIGGER event_append_only"))


async def _rehearsed(session: AsyncSession, who: Agent) -> int:
    """A rehearsal of another target, done."""
    document = (await export(session)).replace("target: 900", "target: 600")
    today = datetime.now(UTC)
    stretch = Stretch(since=today - timedelta(hours=5), until=today + timedelta(hours=1))
    asked = await start_rehearsal(session, who, document, stretch)
    taken = await take_rehearsal(session, asked.id)
    assert taken is not None
    await end_rehearsal(session, asked.id, compare(await prepare(session, *taken)))
    return asked.id
