"""Person: agents say which identities are one customer, and keep tags and notes about them. Nothing here is automatic."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Conflict, Invalid, NotFound
from app.i18n import _
from app.listening.clean import storable
from app.models.agent import Agent
from app.models.item import Item, belong_to
from app.models.person import ContactLook, CustomerLink, CustomerNote, CustomerTag
from app.models.post import Author, Conversation, Customer
from app.models.sight import visible_queues

LONGEST_TAG = 40  # characters
LONGEST_NOTE = 2_000
MOST_TAGS = 30
MOST_TOLD = 12  # items whose pages are told at once
SHOWN_FOR = timedelta(minutes=10)  # how long a contact stays in the open for who asked


async def seen_customer(session: AsyncSession, agent: Agent, customer_id: int) -> Customer:
    """The customer, if the agent may see anything of theirs. Raises NotFound."""
    customer = await session.get(Customer, customer_id, populate_existing=True)
    if customer is None or await session.scalar(_seen(agent, customer_id)) is None:
        raise NotFound(_("There is no such customer, or they have nothing in a queue of your teams."))
    return customer


async def link(session: AsyncSession, agent: Agent, customer_id: int, named: str) -> CustomerLink:
    """Take the author who is `named` (a handle, or `channel:handle`) for the same person as this customer.

    Raises:
        NotFound: not for their eyes, or nobody is called so among those whose items they may see.
        Invalid: several are; `channel:handle` tells them apart.
        Conflict: they are one person already.
    """
    await seen_customer(session, agent, customer_id)
    author = await _named(session, agent, named)
    if author.customer_id == customer_id:
        raise Conflict(_("They are this person already."))
    made = CustomerLink(author_id=author.id, from_id=author.customer_id, to_id=customer_id, agent_id=agent.id)
    if await _live(session, author.id) is not None:
        raise Conflict(_("They are linked to somebody else. Unlink them there first."))
    session.add(made)
    await session.flush()
    await _belong(session, author.id, customer_id)
    return made


async def unlink(session: AsyncSession, agent: Agent, customer_id: int, author_id: int) -> CustomerLink:
    """Undo a link: the author is the person again who they were before. Raises NotFound."""
    await seen_customer(session, agent, customer_id)
    ended = (
        update(CustomerLink)
        .where(CustomerLink.author_id == author_id, CustomerLink.to_id == customer_id)
        .where(CustomerLink.undone_at.is_(None))
        .values(undone_at=func.now(), undone_by=agent.id)
        .returning(CustomerLink)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    undone = (await session.scalars(ended)).one_or_none()
    if undone is None:
        raise NotFound(_("They are not linked to this person (any more)."))
    await _belong(session, author_id, undone.from_id)
    return undone


async def tag_customer(session: AsyncSession, agent: Agent, customer_id: int, tag: str) -> str:
    """Put a tag on a customer; one that is there already stays. Raises NotFound, Invalid."""
    await seen_customer(session, agent, customer_id)
    kept = " ".join(storable(tag, LONGEST_TAG * 4).split())
    if not kept or len(kept) > LONGEST_TAG:
        raise Invalid(_("A tag has between 1 and %(longest)s characters.") % {"longest": LONGEST_TAG}, "tag")
    held = select(func.count()).where(CustomerTag.customer_id == customer_id)
    if (await session.scalar(held) or 0) >= MOST_TAGS:
        raise Invalid(_("A customer has %(most)s tags at most. Take one away first.") % {"most": MOST_TAGS}, "tag")
    row = insert(CustomerTag).values(customer_id=customer_id, tag=kept, agent_id=agent.id)
    await session.execute(row.on_conflict_do_nothing())
    await _told(session, customer_id)
    return kept


async def untag_customer(session: AsyncSession, agent: Agent, customer_id: int, tag: str) -> None:
    """Take a tag off a customer; one that is gone already is no error. Raises NotFound."""
    await seen_customer(session, agent, customer_id)
    mine = select(CustomerLink.from_id).where(CustomerLink.to_id == customer_id, CustomerLink.undone_at.is_(None))
    of = or_(CustomerTag.customer_id == customer_id, CustomerTag.customer_id.in_(mine))
    await session.execute(delete(CustomerTag).where(of, CustomerTag.tag == tag))
    await _told(session, customer_id)


async def note_customer(session: AsyncSession, agent: Agent, customer_id: int, text: str) -> CustomerNote:
    """Write a note about a customer. Raises NotFound, Invalid."""
    await seen_customer(session, agent, customer_id)
    kept = storable(text.strip(), LONGEST_NOTE + 1)
    if not kept or len(kept) > LONGEST_NOTE:
        raise Invalid(_("A note has between 1 and %(longest)s characters.") % {"longest": LONGEST_NOTE}, "text")
    written = CustomerNote(customer_id=customer_id, agent_id=agent.id, text=kept)
    session.add(written)
    await session.flush()
    await _told(session, customer_id)
    return written


async def look_at_contact(session: AsyncSession, agent: Agent, customer_id: int, author_id: int) -> None:
    """Ask to see a masked address or number, which is written down. Raises NotFound."""
    await seen_customer(session, agent, customer_id)
    author = await session.get(Author, author_id)
    if author is None or author.customer_id != customer_id:
        raise NotFound(_("There is no such customer, or they have nothing in a queue of your teams."))
    session.add(ContactLook(author_id=author_id, agent_id=agent.id))
    await session.flush()


def _seen(agent: Agent, customer_id: int) -> Select[Any]:
    mine = Item.queue_id.in_(visible_queues(agent)) | (Item.agent_id == agent.id)
    return select(Item.id).where(mine, Item.customer_id == customer_id).limit(1)


async def _named(session: AsyncSession, agent: Agent, named: str) -> Author:
    wanted = storable(named.strip(), 400)
    channel, colon, handle = wanted.partition(":")
    whole = func.lower(Author.handle).in_({wanted.lower(), wanted.removeprefix("@").lower()})
    split = (Author.channel == channel.lower()) & (
        func.lower(Author.handle) == handle.strip().removeprefix("@").lower()
    )
    mine = Item.queue_id.in_(visible_queues(agent)) | (Item.agent_id == agent.id)
    theirs = select(Item.id).where(Item.author_id == Author.id, mine)
    found = (
        await session.scalars(select(Author).where(whole | split if colon else whole, theirs.exists()).limit(2))
    ).all()
    if not found:
        raise NotFound(_("Nobody is called so among those whose items you may see. Write the handle as it is shown."))
    if len(found) > 1:
        raise Invalid(_("Several are called so. Write the channel before the handle, as in mastodon:lena."), "handle")
    return found[0]


async def _live(session: AsyncSession, author_id: int) -> CustomerLink | None:
    live = select(CustomerLink).where(CustomerLink.author_id == author_id, CustomerLink.undone_at.is_(None))
    return (await session.scalars(live)).one_or_none()


async def _belong(session: AsyncSession, author_id: int, customer_id: int) -> None:
    """Let an author, the conversations they began and their items belong to a customer; locked in the order of ingest."""
    rooms = select(Item.conversation_id).where(Item.author_id == author_id)
    locked = select(Conversation.id).where(Conversation.id.in_(rooms)).order_by(Conversation.id).with_for_update()
    ids = list(await session.scalars(locked))
    theirs = select(Item.id).where(Item.author_id == author_id).order_by(Item.id).with_for_update()
    items = list(await session.scalars(theirs))
    for statement in (
        update(Author).where(Author.id == author_id),
        update(Conversation).where(Conversation.id.in_(ids)),
    ):
        await session.execute(statement.values(customer_id=customer_id).execution_options(synchronize_session=False))
    await belong_to(session, items, customer_id)
    announce(session, "items", items[-MOST_TOLD:])
    await _told(session, customer_id)


async def _told(session: AsyncSession, customer_id: int) -> None:
    newest = select(Item.id).where(Item.customer_id == customer_id).order_by(Item.id.desc()).limit(MOST_TOLD)
    announce(session, "items", await session.scalars(newest))
