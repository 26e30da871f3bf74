"""Which identities are one person, what is kept about them, and who may."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor
from app.errors import Conflict, Invalid, NotFound
from app.flow import person as verbs
from app.flow.ingest import ingest
from app.flow.person import SHOWN_FOR
from app.models.agent import Agent, Presence
from app.models.item import Item
from app.models.person import ContactLook
from app.models.post import Author, Customer
from app.models.sight import visible_queues
from app.queries import person
from tests.company import Company, items, make_company, post


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, author="lena"), post(2, author="lena@posteo.example")])
    return company


async def two(session: AsyncSession) -> tuple[int, int]:
    lena, mail, *_ = await items(session)
    assert lena.customer_id
    assert mail.customer_id
    return lena.customer_id, mail.customer_id


async def stranger(session: AsyncSession) -> Agent:
    agent = Agent(email="s@northwind.example", name="Stranger", password_hash="-")
    session.add(agent)
    await session.flush()
    session.add(Presence(agent_id=agent.id))
    return agent


async def test_a_link_brings_items_tags_and_notes_together_and_undoing_it_takes_them_apart(
    session: AsyncSession, company: Company
) -> None:
    lena, mail = await two(session)
    await verbs.tag_customer(session, company.ayumi, mail, " Ultralight  tents ")
    await verbs.note_customer(session, company.ayumi, mail, "Likes plain answers.")
    made = await verbs.link(session, company.ayumi, lena, "Lena@posteo.example")
    queues = visible_queues(company.ayumi)
    past, _ = await person.history(session, company.ayumi, lena, queues)
    assert len(past) == 2
    assert await person.tags(session, lena) == ["Ultralight tents"]
    assert [note.text for note in await person.notes(session, lena)] == ["Likes plain answers."]
    both = await person.identities(session, company.ayumi, lena, SHOWN_FOR)
    assert [one.linked for one in both] == [False, True]
    await verbs.unlink(session, company.finn, lena, made.author_id)
    assert await two(session) == (lena, mail)
    assert (await person.tags(session, lena), await person.tags(session, mail)) == ([], ["Ultralight tents"])


async def test_a_new_post_of_a_linked_author_is_the_persons(session: AsyncSession, company: Company) -> None:
    lena, _ = await two(session)
    await verbs.link(session, company.ayumi, lena, "lena@posteo.example")
    await ingest(session, company.feed, [post(3, author="lena@posteo.example")])
    assert await session.scalar(select(func.count()).where(Item.customer_id == lena)) == 3


async def test_links_that_make_no_sense_are_refused(session: AsyncSession, company: Company) -> None:
    lena, mail = await two(session)
    with pytest.raises(Conflict):
        await verbs.link(session, company.ayumi, lena, "lena")
    with pytest.raises(NotFound):
        await verbs.link(session, company.ayumi, lena, "nobody")
    await verbs.link(session, company.ayumi, lena, "webhook:lena@posteo.example")
    with pytest.raises(NotFound):  # nothing of theirs is left under that customer
        await verbs.tag_customer(session, company.ayumi, mail, "x")
    with pytest.raises(NotFound):
        await verbs.unlink(session, company.ayumi, lena, 999)


async def test_who_sees_nothing_of_a_customer_can_do_nothing_to_them(session: AsyncSession, company: Company) -> None:
    lena, mail = await two(session)
    other = await stranger(session)
    author = await session.scalar(select(Author.id).where(Author.customer_id == mail))
    for verb in (
        verbs.link(session, other, lena, "lena@posteo.example"),
        verbs.unlink(session, other, lena, author or 0),
        verbs.tag_customer(session, other, lena, "x"),
        verbs.untag_customer(session, other, lena, "x"),
        verbs.note_customer(session, other, lena, "x"),
        verbs.look_at_contact(session, other, mail, author or 0),
    ):
        with pytest.raises(NotFound):
            await verb
    assert await person.history(session, other, lena, visible_queues(other)) == ([], None)


async def test_an_address_is_masked_until_somebody_asks_and_the_asking_is_kept(
    session: AsyncSession, company: Company
) -> None:
    _, mail = await two(session)
    [one] = await person.identities(session, company.ayumi, mail, SHOWN_FOR)
    assert (one.handle, one.masked) == ("l•••a@posteo.example", True)
    await verbs.look_at_contact(session, company.ayumi, mail, one.id)
    [one] = await person.identities(session, company.ayumi, mail, SHOWN_FOR)
    assert (one.handle, one.masked) == ("lena@posteo.example", False)
    [theirs] = await person.identities(session, company.finn, mail, SHOWN_FOR)
    assert theirs.masked
    assert (await session.scalars(select(ContactLook.agent_id))).all() == [company.ayumi.id]
    with pytest.raises(NotFound):  # of another customer
        await verbs.look_at_contact(session, company.ayumi, (await two(session))[0], one.id)


async def test_tags_and_notes_have_bounds(session: AsyncSession, company: Company) -> None:
    lena, _ = await two(session)
    for bad in ("", "  ", "x" * 41):
        with pytest.raises(Invalid):
            await verbs.tag_customer(session, company.ayumi, lena, bad)
    with pytest.raises(Invalid):
        await verbs.note_customer(session, company.ayumi, lena, " ")
    await verbs.tag_customer(session, company.ayumi, lena, "vip")
    await verbs.tag_customer(session, company.finn, lena, "vip")
    await verbs.untag_customer(session, company.finn, lena, "vip")
    assert await person.tags(session, lena) == []


@pytest.mark.parametrize(
    ("text", "channel", "shown"),
    [
        ("lena.brandt@posteo.example", "email", "l•••t@posteo.example"),
        ("+49 151 234567", "form", "+49•••67"),
        ("lena@ruhr.social", "mastodon", "lena@ruhr.social"),
        ("lena_brandt", "webhook", "lena_brandt"),
        ("Lena 2000", "webhook", "Lena 2000"),
    ],
)
def test_what_looks_like_an_address_or_a_number_is_masked(text: str, channel: str, shown: str) -> None:
    assert person.masked(text, channel) == shown


async def test_the_history_comes_page_by_page(session: AsyncSession, company: Company) -> None:
    lena, _ = await two(session)
    await ingest(session, company.feed, [post(n, author="lena") for n in range(10, 15)])
    queues = visible_queues(company.ayumi)
    first, following = await person.history(session, company.ayumi, lena, queues, most=4)
    rest, end = await person.history(session, company.ayumi, lena, queues, before=following, most=4)
    assert (len(first), len(rest), end) == (4, 2, None)
    assert len({one.item_id for one in first + rest}) == 6
    assert await session.scalar(select(func.count()).select_from(Customer)) == 2


async def test_an_author_who_changed_their_name_is_the_same_and_the_former_name_is_told(
    session: AsyncSession, company: Company
) -> None:
    who = IncomingAuthor(external_id="lena", handle="lena", name="Lena")
    for number, handle in enumerate(
        ("lena.example", "Lena.example", "handle.invalid", "lena@p.example", "shop.example")
    ):
        await ingest(session, company.feed, [replace(post(number + 10), author=replace(who, handle=handle))])
    customer_id, _ = await two(session)
    [one] = await person.identities(session, company.ayumi, customer_id, SHOWN_FOR)
    assert (one.handle, one.masked) == ("shop.example", False)
    assert set(one.former) == {"Lena.example", "l•••a@p.example"}  # an id and an invalid handle are no names
