"""A post is hidden on its channel and shown again: asked for once, it happens, and the desk says what stands there."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors.base import Batch, Hiding
from app.connectors.testing.fake import Trouble
from app.errors import Conflict
from app.flow.claim import claim
from app.flow.deliver import deliver
from app.flow.hide import due_hidings, hide
from app.models.agent import Agent
from app.models.event import Event
from app.models.hiding import PostHiding
from app.models.item import Item, Verb
from app.models.post import Post
from app.queries import conversation
from app.queries.said import Said
from app.workers.hide import hide_post
from tests.connectors.fakes.facebook import FakeComments
from tests.postoffice import Office, post_office


@pytest.fixture
async def office(engine: AsyncEngine) -> AsyncIterator[Office]:
    async with post_office(engine, FakeComments(), "facebook") as opened:
        yield opened


async def held(office: Office) -> Item:
    """A comment whose item Ayumi has."""
    item = await office.ask("Buy cheap watches!")
    async with office.sessions.begin() as session:
        return await claim(session, office.company.ayumi, item.id)


async def ask(office: Office, item: Item, *, hidden: bool, agent: Agent | None = None) -> PostHiding:
    async with office.sessions.begin() as session:
        return await hide(session, agent or office.company.ayumi, item.post_id, hidden=hidden)


async def go(office: Office, item: Item) -> PostHiding:
    """The next try is due, and a worker makes it."""
    async with office.sessions.begin() as session:
        await session.execute(update(PostHiding).where(PostHiding.due_at.is_not(None)).values(due_at=func.now()))
    await hide_post(office.runtime, item.post_id)
    async with office.sessions() as session:
        return await session.get_one(PostHiding, item.post_id)


async def stands(office: Office, item: Item) -> bool:
    """Whether it is hidden on the channel."""
    async with office.sessions() as session:
        post = await session.get_one(Post, item.post_id)
    return bool(office.fake.things[post.external_id].get("is_hidden"))


async def seen(office: Office, item: Item, agent: Agent | None = None) -> Said:
    """The post as the desk shows it."""
    async with office.sessions() as session:
        thread = await conversation.thread(session, agent or office.company.ayumi, await session.get_one(Item, item.id))
    return next(one for one in thread.entries if isinstance(one, Said))


async def events(office: Office) -> list[str]:
    async with office.sessions() as session:
        told = select(Event.verb).where(Event.verb.in_((Verb.HIDE, Verb.SHOW))).order_by(Event.id)
        return list(await session.scalars(told))


async def test_a_post_is_hidden_and_shown_again_and_both_are_told(office: Office) -> None:
    item = await held(office)
    await ask(office, item, hidden=True)
    assert (await seen(office, item)).hide_state == "waiting"
    hiding = await go(office, item)
    assert (hiding.hidden, hiding.wanted) == (True, None)
    assert await stands(office, item)
    assert (await seen(office, item)).hidden
    await ask(office, item, hidden=False)
    await go(office, item)
    assert not await stands(office, item)
    assert await events(office) == [Verb.HIDE, Verb.SHOW]


async def test_what_is_hidden_already_is_not_asked_for_again(office: Office) -> None:
    item = await held(office)
    await ask(office, item, hidden=True)
    await go(office, item)
    assert (await ask(office, item, hidden=True)).wanted is None
    assert await events(office) == [Verb.HIDE]


async def test_a_try_that_broke_off_is_made_again(office: Office) -> None:
    item = await held(office)
    await ask(office, item, hidden=True)
    office.fake.trouble(Trouble.DOWN)
    broken = await go(office, item)
    assert (broken.hidden, broken.wanted) == (False, True)
    assert broken.trouble
    assert (await go(office, item)).hidden


async def test_what_the_channel_refuses_fails_with_its_cause(office: Office) -> None:
    item = await held(office)
    await ask(office, item, hidden=True)
    office.fake.things.clear()
    refused = await go(office, item)
    assert (refused.hidden, refused.wanted) == (False, None)
    told = await seen(office, item)
    assert (told.hide_state, told.hideable) == ("failed", True)
    assert "not there any more" in told.hide_trouble


async def test_a_lost_job_is_found_by_the_sweep(office: Office) -> None:
    item = await held(office)
    await ask(office, item, hidden=True)
    async with office.sessions() as session:
        assert await due_hidings(session, 10) == [item.post_id]


async def test_who_does_not_hold_the_item_hides_nothing(office: Office) -> None:
    item = await held(office)
    assert not (await seen(office, item, office.company.finn)).hideable
    with pytest.raises(Conflict, match="Ayumi holds item"):
        await ask(office, item, hidden=True, agent=office.company.finn)


async def test_what_somebody_hid_on_the_channel_itself_is_told_once(office: Office) -> None:
    item = await held(office)
    async with office.sessions() as session:
        post = await session.get_one(Post, item.post_id)
    told = Batch(hidings=(Hiding(post.external_id, hidden=True, at=office.fake.now),))
    for _ in range(2):
        async with office.sessions.begin() as session:
            await deliver(session, office.company.feed, told)
    assert (await seen(office, item)).hidden
    assert await events(office) == [Verb.HIDE]


async def test_our_own_hiding_comes_back_as_no_news(office: Office) -> None:
    item = await held(office)
    await ask(office, item, hidden=True)
    async with office.sessions() as session:
        post = await session.get_one(Post, item.post_id)
    async with office.sessions.begin() as session:
        await deliver(session, office.company.feed, Batch(hidings=(Hiding(post.external_id, True, office.fake.now),)))
    await go(office, item)
    assert await events(office) == [Verb.HIDE]
