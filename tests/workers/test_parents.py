"""A worker fetches what stands above a post, after ingest and within the budget."""

from datetime import timedelta

from sqlalchemy import func, select, text

from app import jobs
from app.connectors.testing.fake import FOREVER, Trouble
from app.flow.budget import keep_wait
from app.flow.parents import due_parents
from app.models.context import ContextPost, ParentFetch
from app.models.item import Item
from app.workers.parents import fetch_parents
from app.workers.sweep import sweep
from tests.postoffice import Office


async def answered(office: Office) -> Item:
    """A stranger's talk, in which somebody names us."""
    top = office.fake.aside("which tent do you take?")
    return await office.ask("can you help?", under=office.fake.aside("mine leaks", by="carol", under=top))


async def above(office: Office) -> list[str]:
    async with office.sessions() as session:
        return list(await session.scalars(select(ContextPost.text).order_by(ContextPost.posted_at)))


async def row(office: Office) -> ParentFetch:
    async with office.sessions() as session:
        return (await session.scalars(select(ParentFetch))).one()


async def test_the_thread_above_a_post_comes_after_it(mastodon: Office) -> None:
    item = await answered(mastodon)
    assert await above(mastodon) == []
    await fetch_parents(mastodon.runtime, item.post_id)
    assert await above(mastodon) == ["which tent do you take?", "mine leaks"]
    async with mastodon.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Item)) == 1
        assert await due_parents(session) == []


async def test_the_sweep_finds_what_is_due(mastodon: Office) -> None:
    item = await answered(mastodon)
    await sweep(mastodon.runtime)
    async with mastodon.sessions() as session:
        asked = text("SELECT args ->> 'post_id' FROM procrastinate_jobs WHERE task_name = :task")
        assert list(await session.scalars(asked, {"task": jobs.PARENTS})) == [str(item.post_id)]


async def test_a_channel_in_trouble_leaves_the_item_alone_and_is_asked_again(mastodon: Office) -> None:
    item = await answered(mastodon)
    mastodon.fake.trouble(Trouble.DOWN, times=FOREVER)
    await fetch_parents(mastodon.runtime, item.post_id)
    kept = await row(mastodon)
    assert (kept.tries, bool(kept.trouble)) == (1, True)
    assert await mastodon.seconds_until(kept.due_at) > 0
    assert (await mastodon.item(item.id)).state == item.state


async def test_the_channels_wait_is_kept_for_its_credential(mastodon: Office) -> None:
    item = await answered(mastodon)
    mastodon.fake.trouble(Trouble.RATE_LIMITED)
    await fetch_parents(mastodon.runtime, item.post_id)
    feed = await mastodon.poll()
    assert await mastodon.seconds_until(feed.next_poll_at) > 60


async def test_a_credential_that_has_to_rest_is_left_alone_and_that_is_no_try(mastodon: Office) -> None:
    item = await answered(mastodon)
    async with mastodon.sessions.begin() as session:
        await keep_wait(session, f"account:{mastodon.company.feed.account_id}", timedelta(minutes=5))
    mastodon.fake.requests.clear()
    await fetch_parents(mastodon.runtime, item.post_id)
    kept = await row(mastodon)
    assert (kept.tries, kept.trouble, mastodon.fake.requests) == (0, "", [])
    assert await mastodon.seconds_until(kept.due_at) > 60
