"""What stands above a post: asked for at ingest, kept beside the conversation, and nobody's item."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingPost, KnownPost, PostChange
from app.errors import ChannelDown, Refused
from app.flow.change import keep_changes
from app.flow.ingest import ingest
from app.flow.look import CONTEXT_EVERY, to_look_at
from app.flow.parents import MOST_TRIES, due_parents, fail_parents, keep_parents, take_errand
from app.flow.tidy import tidy
from app.models.context import ContextPost, ParentFetch
from app.models.feed import Health
from app.models.item import Item
from app.models.post import Author, Conversation, Customer, Post
from app.models.reply import Reply, ReplyState
from app.queries.context import above
from app.queries.feeds import Condition, feeds
from app.queries.said import Said, Window
from tests.company import NOW, Company, items, make_company, post


def top(number: int | str = "top", said: str = "Which tent?", **more: object) -> IncomingPost:
    return post(number, said, **{"thread_id": "talk", "posted_at": NOW - timedelta(hours=2), **more})


def asking(number: int | str = 1, parent: str = "post-top", **more: object) -> IncomingPost:
    return post(number, "Ask @northwind.", **{"thread_id": "talk", "in_reply_to": parent, **more})


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    made = await make_company(session)
    made.feed.channel = "mastodon"
    made.feed.health = Health.OK
    await session.flush()
    return made


async def fetched(session: AsyncSession, *posts: IncomingPost) -> int:
    """A worker takes the one errand that is due and brings these posts."""
    [post_id] = await due_parents(session)
    errand = await take_errand(session, post_id)
    assert errand is not None
    return await keep_parents(session, errand, posts)


async def shown(session: AsyncSession) -> list[Said]:
    [item] = await items(session)
    return await above(session, item, Window())


async def count(session: AsyncSession, *tables: type) -> list[int]:
    return [await session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


async def test_a_post_whose_parent_is_missing_is_asked_about_once(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking(1), asking(2), asking(3, parent="post-1")])
    asked = await session.scalars(select(Post.external_id).join(ParentFetch, ParentFetch.post_id == Post.id))
    assert list(asked) == ["post-1"]


@pytest.mark.parametrize("how", ["quiet", "held", "root", "own", "repost", "cannot"])
async def test_nothing_is_asked_where_nothing_is_missing_or_nobody_waits(
    session: AsyncSession, company: Company, how: str
) -> None:
    if how == "held":
        await ingest(session, company.feed, [top()])
    if how == "cannot":
        company.feed.channel = "rss"
    odd: dict[str, dict[str, Any]] = {"root": {"in_reply_to": None}, "own": {"own": True}, "repost": {"repost": True}}
    await ingest(session, company.feed, [asking(**odd.get(how, {}))], quiet=how == "quiet")
    assert await due_parents(session) == []


async def test_a_reply_of_ours_is_no_missing_parent(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking(1, parent="", in_reply_to=None)])
    [item] = await items(session)
    held = {"item_id": item.id, "conversation_id": item.conversation_id, "post_id": item.post_id}
    sent = Reply(**held, agent_id=company.ayumi.id, channel="mastodon", text="Hello", visibility="public")
    sent.state, sent.external_id = ReplyState.SENT, "ours-1"
    session.add(sent)
    await session.flush()
    await ingest(session, company.feed, [asking(2, parent="ours-1")])
    assert await due_parents(session) == []


async def test_what_stands_above_is_kept_for_reading_and_makes_nothing_else(
    session: AsyncSession, company: Company
) -> None:
    await ingest(session, company.feed, [asking()])
    before = await count(session, Item, Post, Author, Customer, Conversation)
    assert (
        await fetched(session, top(language="en", url="https://a.example/1"), top("low", in_reply_to="post-top")) == 2
    )
    one, other = await shown(session)
    assert (one.kind, one.text, one.who, one.language, one.url) == (
        "context", "Which tent?", "Author-Top", "en", "https://a.example/1",
    )  # fmt: skip
    assert other.id > one.id
    assert await count(session, Item, Post, Author, Customer, Conversation) == before
    assert await due_parents(session) == []


async def test_a_second_branch_of_the_thread_brings_nothing_twice(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking(1, parent="post-low")])
    await fetched(session, top(), top("low", in_reply_to="post-top"))
    await ingest(session, company.feed, [asking(2, parent="post-top"), asking(3, parent="post-side")])
    assert await fetched(session, top(), top("side", in_reply_to="post-top")) == 1
    assert len(await shown(session)) == 3


async def test_a_parent_that_comes_as_a_post_later_is_shown_once(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    await fetched(session, top())
    await ingest(session, company.feed, [top()])
    assert await shown(session) == []
    assert await count(session, Post) == [2]


async def test_a_parent_that_came_while_it_was_fetched_is_not_kept(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    await ingest(session, company.feed, [top()])
    assert await fetched(session, top()) == 0


async def test_an_edit_and_a_deletion_follow_through(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    await fetched(session, top(), top("low", "Mine leaks", in_reply_to="post-top"))
    same = PostChange("post-low", NOW, text="Mine leaks")
    edit = PostChange("post-top", NOW, text="Which tents?")
    assert await keep_changes(session, company.feed, [same, edit]) == 1
    await keep_changes(session, company.feed, [PostChange("post-low", NOW, deleted=True)])
    one, other = await shown(session)
    assert (one.text, one.edited_at, other.edited_at) == ("Which tents?", NOW, None)
    assert other.deleted_at is not None


async def test_it_is_looked_at_again_by_the_hour_after_the_posts_while_its_item_is_open(
    session: AsyncSession, company: Company
) -> None:
    await ingest(session, company.feed, [asking()])
    await fetched(session, top(ref={"id": "7"}), top("low"))
    assert await to_look_at(session, company.feed, 9) == []
    ages = {ContextPost: ContextPost.looked_at, Post: Post.received_at}
    for table, column in ages.items():
        await session.execute(update(table).values({column: func.now() - CONTEXT_EVERY - timedelta(seconds=1)}))
    await session.execute(update(ContextPost).where(ContextPost.external_id == "post-low").values(looked_at=func.now()))
    assert await to_look_at(session, company.feed, 1) == [KnownPost("post-1", {})]
    assert await to_look_at(session, company.feed, 9) == [KnownPost("post-top", {"id": "7"})]
    assert await to_look_at(session, company.feed, 9) == []
    await session.execute(update(ContextPost).values(looked_at=func.now() - 2 * CONTEXT_EVERY))
    await keep_changes(session, company.feed, [PostChange("post-top", NOW, deleted=True)])
    assert [one.external_id for one in await to_look_at(session, company.feed, 9)] == ["post-low"]


async def test_what_a_deleted_one_said_is_wiped_with_that_of_posts(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    await fetched(session, top())
    await keep_changes(session, company.feed, [PostChange("post-top", NOW, deleted=True)])
    await tidy(session, 30, wipe_days=0)
    [one] = await shown(session)
    assert (one.text, one.wiped) == ("", True)


async def test_one_that_was_deleted_before_it_was_fetched_is_not_kept(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    await keep_changes(session, company.feed, [PostChange("post-top", NOW, deleted=True)])
    assert await fetched(session, top()) == 0


async def test_a_name_too_long_for_an_index_is_left_out(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    assert await fetched(session, top(external_id="x" * 9_000), top("low")) == 1


async def test_a_failure_stands_in_the_feeds_health_and_is_tried_again_a_few_times(
    session: AsyncSession, company: Company
) -> None:
    await ingest(session, company.feed, [asking()])
    for number in range(MOST_TRIES):
        [post_id] = await due_parents(session)
        errand = await take_errand(session, post_id)
        assert errand is not None
        assert errand.number == number + 1
        assert await due_parents(session) == []
        await fail_parents(session, errand, ChannelDown("It is down."))
        await session.execute(update(ParentFetch).values(due_at=ParentFetch.due_at - timedelta(hours=1)))
    assert await due_parents(session) == []
    [line] = await feeds(session)
    assert line.condition is Condition.DEGRADED
    assert "It is down." in line.trouble
    await session.execute(update(ParentFetch).values(asked_at=func.now() - timedelta(days=2)))
    await tidy(session, 30)
    assert [one.condition for one in await feeds(session)] == [Condition.OK]


async def test_what_will_never_work_is_not_tried_again(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    errand = await take_errand(session, (await due_parents(session))[0])
    assert errand is not None
    await fail_parents(session, errand, Refused("Never."))
    assert await session.scalar(select(ParentFetch.due_at)) is None


async def test_a_try_that_was_thought_dead_keeps_nothing(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    [post_id] = await due_parents(session)
    slow = await take_errand(session, post_id)
    await session.execute(update(ParentFetch).values(due_at=func.now()))
    quick = await take_errand(session, post_id)
    assert slow is not None
    assert quick is not None
    assert await keep_parents(session, slow, [top()]) == 0
    assert await keep_parents(session, quick, [top()]) == 1
    assert await count(session, ContextPost) == [1]


async def test_a_feed_that_is_switched_off_fetches_nothing(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [asking()])
    company.feed.enabled = False
    await session.flush()
    assert await due_parents(session) == []
