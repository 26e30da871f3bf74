"""Channels that take answers for a time only: the window is offered while it is open, and said to be over afterwards."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import PostKind, Visibility
from app.errors import Conflict, Invalid
from app.flow.answerable import answerable
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.reply import reply
from app.models.item import Item
from app.models.reply import Reply, ReplyState
from tests.company import Company, items, make_company, post


async def asked(session: AsyncSession, age: timedelta, **ref: Any) -> tuple[Company, Item]:
    """Somebody wrote to our Page so long ago, and Ayumi has the item."""
    company = await make_company(session)
    company.feed.channel = "facebook"
    at = datetime.now(UTC) - age
    direct = ref.get("kind") == "message"
    given = {"id": "m_1", "person": "2001", "at": at.isoformat(), **ref}
    seen = Visibility.DIRECT if direct else Visibility.PUBLIC
    kind = PostKind.DIRECT if direct else PostKind.COMMENT
    await ingest(session, company.feed, [post(1, posted_at=at, ref=given, visibility=seen, kind=kind)])
    [item] = await items(session)
    return company, await claim(session, company.ayumi, item.id)


async def test_a_message_can_be_answered_until_its_window_closes(session: AsyncSession) -> None:
    _, item = await asked(session, timedelta(hours=1), kind="message")
    way = await answerable(session, item)
    left = way.windows[Visibility.DIRECT].until - datetime.now(UTC)
    assert timedelta(hours=22, minutes=59) < left <= timedelta(hours=23)


async def test_after_that_the_desk_says_what_is_still_possible(session: AsyncSession) -> None:
    company, item = await asked(session, timedelta(hours=25), kind="message")
    with pytest.raises(Conflict, match="when the customer writes again"):
        await reply(session, company.ayumi, item.id, "Here you are.", "direct")


async def test_a_comment_is_answered_in_public_or_once_in_private(session: AsyncSession) -> None:
    company, item = await asked(session, timedelta(hours=1), kind="comment", private=True)
    assert (await answerable(session, item)).visibilities == (Visibility.PUBLIC, Visibility.DIRECT)
    await reply(session, company.ayumi, item.id, "In private.", "direct")
    assert (await answerable(session, item)).visibilities == (Visibility.PUBLIC,)
    with pytest.raises(Invalid, match="cannot have this audience"):
        await reply(session, company.ayumi, item.id, "In private again.", "direct")


async def test_a_private_reply_that_failed_may_be_written_again(session: AsyncSession) -> None:
    company, item = await asked(session, timedelta(hours=1), kind="comment", private=True)
    held = await reply(session, company.ayumi, item.id, "In private.", "direct")
    await session.execute(update(Reply).where(Reply.id == held.id).values(state=ReplyState.FAILED, due_at=None))
    assert Visibility.DIRECT in (await answerable(session, item)).visibilities


async def test_an_old_comment_is_answered_in_public_only(session: AsyncSession) -> None:
    _, item = await asked(session, timedelta(days=8), kind="comment", private=True)
    assert (await answerable(session, item)).visibilities == (Visibility.PUBLIC,)
