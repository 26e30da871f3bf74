"""What is heard in posts as they come, and again later."""

from dataclasses import replace

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import PostChange
from app.flow.change import keep_changes
from app.flow.hear import drop_old_likeness
from app.flow.ingest import ingest
from app.flow.rehear import progress, rehear, start_over
from app.listening.heard import VERSION
from app.models.rule import Rule
from app.models.signal import Likeness, Listening, Signal
from tests.company import NOW, items, make_company, post

ANGRY = "Dritte Woche ohne Antwort, eure Seite ist nicht erreichbar!! Das ist eine Frechheit 😡"
PASTA = "Everybody should know that Northwind lost the data of all customers and says nothing about it"


async def heard(session: AsyncSession) -> list[Signal]:
    found = select(Signal).order_by(Signal.post_id).execution_options(populate_existing=True)
    return list(await session.scalars(found))


async def settle(session: AsyncSession) -> None:
    """Let the posts be older than the distance at which they are followed."""
    await session.execute(text("UPDATE post SET received_at = received_at - interval '1 hour'"))


async def test_a_post_is_heard_in_the_transaction_that_stores_it(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, ANGRY)])
    signal = (await heard(session))[0]
    assert (signal.version, signal.language, signal.intent) == (VERSION, "de", "complaint")
    assert (signal.upset, signal.urgent, signal.copy_of) == (3, ["outage"], None)
    assert "frechheit" in signal.because["mood"]


async def test_an_item_is_in_the_language_that_was_heard_where_the_channel_names_none(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, ANGRY)])
    assert (await items(session))[0].language == "de"


async def test_we_do_not_listen_to_ourselves(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, ANGRY, own=True)])
    assert await heard(session) == []


async def test_a_language_that_was_heard_decides_in_a_rule(session: AsyncSession) -> None:
    company = await make_company(session)
    rule = Rule(position=1, name="German", conditions={"languages": ["de"]}, queue_id=company.queue.id, priority=1)
    session.add(rule)
    await session.flush()
    await ingest(session, company.feed, [post(1, ANGRY), post(2, "My tent arrived torn.")])
    assert [item.priority for item in await items(session)] == [1, 3]


async def test_copies_know_the_first_of_them(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, PASTA), post(2, f"RT: {PASTA}!!")])
    await ingest(session, company.feed, [post(3, PASTA.upper()), post(4, "My tent arrived torn and has a hole.")])
    first, second, third, other = await heard(session)
    assert (first.copy_of, other.copy_of) == (None, None)
    assert [second.copy_of, third.copy_of] == [first.post_id, first.post_id]


async def test_a_short_thank_you_is_nobodys_copy(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, "Thank you so much!"), post(2, "Thank you so much!")])
    assert [one.copy_of for one in await heard(session)] == [None, None]


async def test_after_a_week_nothing_is_a_copy_of_a_post_any_more(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, PASTA)])
    await session.execute(update(Likeness).values(at=text("now() - interval '8 days'")))
    await ingest(session, company.feed, [post(2, PASTA)])
    assert [one.copy_of for one in await heard(session)] == [None, None]
    before = (await session.scalars(select(Likeness.key))).all()
    await drop_old_likeness(session)
    assert len((await session.scalars(select(Likeness.key))).all()) == len(before) // 2


async def test_what_an_edit_says_is_heard(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, "Thank you so much for the quick help!")])
    await keep_changes(session, company.feed, [PostChange(external_id="post-1", text=ANGRY, changed_at=NOW)])
    assert [one.language for one in await heard(session)] == ["de"]


async def test_posts_that_an_older_version_heard_are_gone_over(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, ANGRY), post(2, "Any resellers in Missouri?")])
    await settle(session)
    await session.execute(text("DELETE FROM signal WHERE intent = 'buy'"))
    await session.execute(text("UPDATE signal SET version = 0, language = NULL"))
    assert (await progress(session)).share < 100
    assert await rehear(session) == 2
    assert [(one.version, one.language) for one in await heard(session)] == [(VERSION, "de"), (VERSION, "en")]
    assert (await progress(session)).share == 100
    assert await rehear(session) == 0


async def test_a_post_that_came_this_minute_is_left_to_who_stores_it(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, ANGRY)])
    assert await rehear(session) == 0


async def test_what_a_newer_version_heard_stays(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, ANGRY)])
    await settle(session)
    await session.execute(text("UPDATE signal SET version = 99, language = 'xx'"))
    await rehear(session)
    assert [(one.version, one.language) for one in await heard(session)] == [(99, "xx")]


async def test_a_change_of_what_the_company_tells_of_itself_is_heard_in_old_posts(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, "The band Northwind plays tonight, order NW-123456")])
    await settle(session)
    await rehear(session)
    await session.execute(update(Listening).values(namesakes=["band"], order_pattern=r"NW-\d{6}"))
    await start_over(session)
    await session.execute(text("UPDATE signal SET heard_at = heard_at - interval '1 hour'"))
    assert await rehear(session) == 1
    signal = (await heard(session))[0]
    assert (signal.noise, signal.personal) == ("namesake", ["order"])


async def test_a_batch_with_a_post_twice_is_heard_once(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, PASTA), replace(post(1, PASTA), title="")])
    await ingest(session, company.feed, [post(1, PASTA)])
    assert len(await heard(session)) == 1


@pytest.mark.parametrize(
    ("conditions", "priorities"),
    [
        ({"intents": ["complaint"]}, [1, 3, 1]),
        ({"intents": ["buy"]}, [3, 1, 3]),
        ({"upset_min": 2}, [1, 3, 3]),
        ({"urgent": ["outage", "legal"]}, [1, 3, 3]),
        ({"personal": ["card"]}, [3, 3, 1]),
        ({"copy_only": True}, [3, 3, 3]),
        ({"noise": ["spam"]}, [3, 3, 3]),
    ],
)
async def test_what_was_heard_decides_in_a_rule(
    session: AsyncSession, conditions: dict[str, object], priorities: list[int]
) -> None:
    company = await make_company(session)
    session.add(Rule(position=1, name="Heard", conditions=conditions, queue_id=company.queue.id, priority=1))
    await session.flush()
    card = "My card 4111 1111 1111 1111 was charged twice"
    await ingest(session, company.feed, [post(1, ANGRY), post(2, "Any resellers in Missouri?"), post(3, card)])
    assert [item.priority for item in await items(session)] == priorities


async def test_a_rule_can_let_copies_go_and_keep_the_first(session: AsyncSession) -> None:
    company = await make_company(session)
    session.add(Rule(position=1, name="Copies", conditions={"copy_only": True}, discard=True, priority=3))
    await session.flush()
    await ingest(session, company.feed, [post(1, PASTA), post(2, PASTA), post(3, f"{PASTA} !!!")])
    assert [item.state for item in await items(session)] == ["queued", "discarded", "discarded"]
