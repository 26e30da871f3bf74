"""What becomes of posts on their channels: edits and deletions, whenever and however often they are told."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Media, Poll, PostChange, Visibility
from app.flow.answerable import answerable
from app.flow.change import keep_changes
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.park import park
from app.flow.tidy import tidy
from app.models import change as rows
from app.models.event import Event
from app.models.item import Disposition, Item, ParkReason, State, Verb, replay
from app.models.post import Post, PostFile
from app.queries import said
from tests.company import NOW, Company, items, make_company, post

LATER = NOW - timedelta(days=9)  # past, whatever day it is


def edit(text: str, number: int = 1, at: datetime = LATER, **more: Any) -> PostChange:
    return PostChange(f"post-{number}", at, text=text, **more)


def deletion(number: int = 1, at: datetime = LATER) -> PostChange:
    return PostChange(f"post-{number}", at, deleted=True)


async def verbs(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(Event.verb).order_by(Event.id)))


async def shown(session: AsyncSession) -> said.Said:
    [item] = await items(session)
    [(one, _)], _, _ = await said.posts(session, item, None)
    return one


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    return await make_company(session)


async def test_an_edit_is_shown_and_what_was_said_before_is_kept_with_it(
    session: AsyncSession, company: Company
) -> None:
    await ingest(session, company.feed, [post(1, "My tent is torn.")])
    await keep_changes(session, company.feed, [edit("My tent and my bag are torn.")])
    one = await shown(session)
    assert (one.text, one.edited_at) == ("My tent and my bag are torn.", LATER)
    assert [was.text for was in one.earlier] == ["My tent is torn."]
    assert await session.scalar(select(Post.text)) == "My tent is torn."
    assert await verbs(session) == [Verb.OPEN, Verb.EDIT]


async def test_a_change_told_again_changes_nothing(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(1)])
    told = [edit("New"), edit("New"), edit("New", at=LATER + timedelta(minutes=1))]
    assert await keep_changes(session, company.feed, told[:1]) == 1
    assert [await keep_changes(session, company.feed, [one]) for one in told[1:]] == [0, 0]
    assert (
        await keep_changes(session, company.feed, [edit("My tent arrived torn.", at=LATER - timedelta(hours=1))]) == 0
    )
    assert await keep_changes(session, company.feed, [deletion(), deletion()]) == 1
    assert await keep_changes(session, company.feed, [deletion(at=LATER + timedelta(days=1))]) == 0
    assert await session.scalar(select(func.count()).select_from(rows.PostChange).where(rows.PostChange.deleted)) == 1


async def test_votes_that_go_on_are_no_edit_and_new_options_are(session: AsyncSession, company: Company) -> None:
    def asked(*options: str, votes: int) -> tuple[Media, ...]:
        ends = NOW + timedelta(days=1)
        return (Media("poll", "", poll=Poll(options, (votes,) * len(options), ends_at=ends)),)

    await ingest(session, company.feed, [post(1, "Which?", media=asked("red", "blue", votes=1))])
    assert await keep_changes(session, company.feed, [edit("Which?", media=asked("red", "blue", votes=5))]) == 0
    later = LATER + timedelta(minutes=1)
    assert await keep_changes(session, company.feed, [edit("Which?", media=asked("red", votes=0), at=later)]) == 1
    again = [edit("Which?", media=asked("red", votes=9), at=later + timedelta(minutes=n)) for n in (1, 2)]
    assert await keep_changes(session, company.feed, again[:1]) == 0
    assert [one["poll"]["options"] for one in (await shown(session)).media] == [["red"]]
    assert await keep_changes(session, company.feed, [edit("Which?", media=(), at=later + timedelta(hours=1))]) == 1
    assert (await shown(session)).media == ()


async def test_edits_out_of_order_end_with_the_newest(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(1, "First")])
    await keep_changes(session, company.feed, [edit("Third", at=LATER + timedelta(minutes=9))])
    await keep_changes(session, company.feed, [edit("Second")])
    one = await shown(session)
    assert (one.text, [was.text for was in one.earlier]) == ("Third", ["Second", "First"])


async def test_title_and_media_that_an_edit_leaves_out_stay(session: AsyncSession, company: Company) -> None:
    picture = Media("image", "https://shop.example/1.jpg", "A torn tent")
    await ingest(session, company.feed, [post(1, title="Torn", media=(picture,))])
    await keep_changes(session, company.feed, [edit("Now with words")])
    one = await shown(session)
    assert (one.title, [media["description"] for media in one.media]) == ("Torn", ["A torn tent"])
    await keep_changes(session, company.feed, [edit("Now with words", at=LATER + timedelta(minutes=1), media=())])
    assert (await shown(session)).media == ()


async def test_an_edit_that_comes_before_its_post_is_shown_with_it(session: AsyncSession, company: Company) -> None:
    await keep_changes(session, company.feed, [edit("After")])
    await ingest(session, company.feed, [post(1, "Before")])
    assert (await shown(session)).text == "After"


async def test_a_post_deleted_before_it_came_asks_for_nothing(session: AsyncSession, company: Company) -> None:
    await keep_changes(session, company.feed, [deletion()])
    done = await ingest(session, company.feed, [post(1)])
    assert (done.posts, done.opened, await items(session)) == (1, 0, [])


async def test_what_waits_and_was_deleted_whole_is_closed(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(1, thread_id="t"), post(2, thread_id="t", author="author-1")])
    await keep_changes(session, company.feed, [deletion(1)])
    [item] = await items(session)
    assert item.state == State.QUEUED
    await keep_changes(session, company.feed, [deletion(2)])
    [item] = await items(session)
    assert (item.state, item.disposition) == (State.CLOSED, Disposition.WITHDRAWN)
    told = (await session.scalars(select(Event).order_by(Event.id))).all()
    assert replay(told)["state"] == State.CLOSED


async def test_what_somebody_holds_stays_in_their_hands_and_is_told(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    await keep_changes(session, company.feed, [deletion()])
    [item] = await items(session)
    assert (item.state, item.agent_id) == (State.ACTIVE, company.ayumi.id)
    assert (await shown(session)).deleted_at == LATER
    assert (await verbs(session))[-1] == Verb.WITHDRAW


async def test_an_edit_raises_a_waiting_item_once_by_the_words_it_now_says(session: AsyncSession) -> None:
    company = await make_company(session, raises=[{"signal": "words", "contains": ["outage"], "minutes": 60}])
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    rank = item.rank
    await keep_changes(session, company.feed, [edit("Is there an outage?")])
    await keep_changes(session, company.feed, [edit("An outage?!", at=LATER + timedelta(minutes=1))])
    [item] = await items(session)
    assert (rank - item.rank, item.raised) == (timedelta(minutes=60), ["words=outage"])


async def test_an_edit_wakes_what_waits_for_its_customer_and_nothing_else(
    session: AsyncSession, company: Company
) -> None:
    await ingest(session, company.feed, [post(1), post(2)])
    now = (await session.execute(select(func.now()))).scalar_one()
    for item, reason in zip(await items(session), (ParkReason.CUSTOMER, ParkReason.SNOOZE), strict=True):
        await claim(session, company.ayumi, item.id)
        await park(session, company.ayumi, item.id, now + timedelta(hours=3), reason)
    await keep_changes(session, company.feed, [edit("The order is 4711.", 1), edit("By the way", 2)])
    assert [item.state for item in await items(session)] == [State.ACTIVE, State.PARKED]


async def test_a_closed_item_stays_closed(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(1)], quiet=True)
    await keep_changes(session, company.feed, [edit("New"), deletion()])
    assert [item.state for item in await items(session)] == [State.CLOSED]


async def test_our_own_post_is_no_reason_to_tell_anybody(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(1, thread_id="t"), post(2, thread_id="t", own=True)])
    await keep_changes(session, company.feed, [edit("Shorter", 2)])
    assert await verbs(session) == [Verb.OPEN]


async def test_deleted_posts_are_kept_unless_the_operator_says_how_long(
    session: AsyncSession, company: Company
) -> None:
    await ingest(session, company.feed, [post(1, "My number is 0151 23")])
    await keep_changes(session, company.feed, [edit("My number is 0151 24"), deletion()])
    await tidy(session, 30)
    await tidy(session, 30, wipe_days=7)
    assert (await shown(session)).text == "My number is 0151 24"
    await session.execute(update(rows.PostChange).values(seen_at=func.now() - timedelta(days=8)))
    await tidy(session, 30, wipe_days=7)
    session.expunge_all()
    one = await shown(session)
    assert (one.text, [was.text for was in one.earlier], one.wiped) == ("", [""], True)
    assert await session.scalar(select(Post.payload)) == {}
    await ingest(session, company.feed, [post(1, "My number is 0151 23")])
    await keep_changes(session, company.feed, [edit("My number again", at=LATER + timedelta(days=1))])
    assert await session.scalar(select(func.count()).select_from(Item)) == 1
    assert (await shown(session)).text == ""


async def test_a_post_that_comes_after_its_deletion_is_wiped_too(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(2, thread_id="t")])
    await keep_changes(session, company.feed, [deletion()])
    await tidy(session, 30, wipe_days=0)
    await ingest(session, company.feed, [post(1, thread_id="t")])
    await tidy(session, 30, wipe_days=0)
    assert set(await session.scalars(select(Post.text))) == {"", "My tent arrived torn."}


async def test_files_of_a_wiped_post_go_with_what_it_said(session: AsyncSession, company: Company) -> None:
    await ingest(session, company.feed, [post(1, media=(Media("file", "", title="a.pdf", content=b"%PDF"),))])
    await keep_changes(session, company.feed, [deletion()])
    await tidy(session, 30, wipe_days=0)
    assert not list(await session.scalars(select(PostFile.name)))


async def test_another_audience_follows_through_and_narrows_replies(session: AsyncSession, company: Company) -> None:
    company.feed.channel = "mastodon"
    await session.flush()
    await ingest(session, company.feed, [post(1, "My tent is torn.")])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    await park(session, company.ayumi, item.id, NOW + timedelta(days=30), ParkReason.CUSTOMER)
    change = edit("My tent is torn.", visibility=Visibility.FOLLOWERS)
    assert await keep_changes(session, company.feed, [change]) == 1
    one = await shown(session)
    assert (one.visibility, one.edited_at, one.earlier) == ("followers", None, ())
    way = await answerable(session, item)
    assert (way.visibility, way.visibilities) == (Visibility.FOLLOWERS, (Visibility.FOLLOWERS, Visibility.DIRECT))
    assert [one.state for one in await items(session)] == [State.PARKED]
    again = edit("My tent is torn.", at=LATER + timedelta(minutes=1), visibility=Visibility.FOLLOWERS)
    assert await keep_changes(session, company.feed, [again]) == 0
    why = await session.scalar(select(Event.why).where(Event.verb == Verb.EDIT))
    assert why is not None
    assert why["visibility"]


async def test_a_wider_audience_is_shown_but_replies_stay_as_narrow_as_the_post_came(
    session: AsyncSession, company: Company
) -> None:
    company.feed.channel = "mastodon"
    await session.flush()
    await ingest(session, company.feed, [post(1, "Hush.", visibility=Visibility.FOLLOWERS)])
    await keep_changes(session, company.feed, [edit("Hush.", visibility=Visibility.PUBLIC)])
    assert (await shown(session)).visibility == "public"
    [item] = await items(session)
    assert (await answerable(session, item)).visibility is Visibility.FOLLOWERS
