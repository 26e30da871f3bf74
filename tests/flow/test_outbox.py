from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.errors import RateLimited, Unreachable
from app.flow import outbox
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.outbox import MOST_TRIES, pause
from app.flow.reply import reply, retry, send_now, undo
from app.models.reply import Reply, ReplyState
from tests.company import Company, items, make_company, post


async def held(session: AsyncSession) -> tuple[Company, Reply]:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    return company, await reply(session, company.ayumi, item.id, "On its way.", "public")


def test_pauses_double_from_five_seconds_to_a_quarter_of_an_hour() -> None:
    away = Unreachable("away")
    seconds = [pause(attempt, away).total_seconds() for attempt in range(1, 12)]
    assert seconds == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]


@pytest.mark.parametrize(("asked", "waited"), [(0, 1), (3, 3), (7200, 7200)])
def test_a_channel_that_names_a_wait_gets_it(asked: int, waited: int) -> None:
    assert pause(5, RateLimited("slow down", timedelta(seconds=asked))).total_seconds() == waited


async def test_nothing_is_to_be_done_while_a_reply_can_be_taken_back(session: AsyncSession) -> None:
    _, waiting = await held(session)
    assert await outbox.errand(session, waiting.id) is None
    await session.execute(update(Reply).values(due_at=func.now()))
    errand = await outbox.errand(session, waiting.id)
    assert errand is not None
    assert (errand.reply.id, errand.post.external_id) == (waiting.id, "post-1")


@pytest.mark.parametrize("state", [ReplyState.DRAFT, ReplyState.SENT, ReplyState.FAILED])
async def test_a_reply_at_rest_has_no_next_step(session: AsyncSession, state: ReplyState) -> None:
    _, waiting = await held(session)
    await session.execute(update(Reply).values(due_at=func.now(), state=state))
    assert await outbox.errand(session, waiting.id) is None


async def test_every_attempt_has_its_own_number_and_the_first_keeps_its_time(session: AsyncSession) -> None:
    _, waiting = await held(session)
    numbers = [await outbox.take(session, waiting) for _ in range(2)]
    first = waiting.attempted_at
    numbers.append(await outbox.look(session, waiting))
    assert (numbers, waiting.attempted_at) == ([1, 2, 3], first)
    assert first is not None


async def test_a_failure_that_is_not_final_is_final_at_the_last_try(session: AsyncSession) -> None:
    _, waiting = await held(session)
    for number in range(1, MOST_TRIES + 1):
        await outbox.take(session, waiting)
        assert await outbox.fail(session, waiting.id, number, Unreachable("away"))
        await session.refresh(waiting)
        assert (waiting.state == ReplyState.FAILED) == (number == MOST_TRIES)


async def when(session: AsyncSession) -> list[float]:
    query = text("SELECT extract(epoch FROM scheduled_at - now())::float FROM procrastinate_jobs WHERE status = 'todo'")
    return [round(seconds) for seconds in await session.scalars(query)]


async def test_holding_a_reply_enqueues_its_job_for_the_end_of_the_undo_time(session: AsyncSession) -> None:
    await held(session)
    assert await when(session) == [10]


async def test_sending_at_once_brings_the_waiting_job_forward(session: AsyncSession) -> None:
    company, waiting = await held(session)
    await send_now(session, company.ayumi, waiting.id)
    assert await when(session) == [0]


async def test_a_job_is_never_put_off_nor_doubled(session: AsyncSession) -> None:
    await jobs.defer(session, jobs.SEND, "reply_id", [7])
    await jobs.defer(session, jobs.SEND, "reply_id", [7], delay=60)
    assert await when(session) == [0]


async def test_a_reply_taken_back_and_one_sent_again_are_what_they_say(session: AsyncSession) -> None:
    company, waiting = await held(session)
    assert (await undo(session, company.ayumi, waiting.id)).state == ReplyState.DRAFT
    await session.execute(update(Reply).values(state=ReplyState.FAILED, attempt=1, trouble="gone", due_at=None))
    again = await retry(session, company.ayumi, waiting.id)
    assert (again.state, again.trouble) == (ReplyState.QUEUED, "")
    assert await session.scalar(select(func.count()).where(Reply.due_at <= func.now())) == 1
