"""The rehearsal page: what was typed is kept, a worker does it, both sides are shown, and the file can be published."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.flow.rehearsals import end_rehearsal, take_rehearsal
from app.flow.rehearse import compare, prepare
from app.models.agent import Agent
from app.models.feed import Feed
from app.models.item import Disposition
from app.models.rehearsal import Rehearsal
from app.models.rule import Rule
from tests.company import items, post
from tests.web.conftest import Browser, House

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]
CHANGED = """
rules:
  - {name: Torn things, when: {contains: [torn]}, queue: Orders, tags: ["<b>loud</b>"]}
  - {name: Everything else, queue: Billing}
"""


def form(**values: str) -> dict[str, str]:
    today = datetime.now(UTC)
    stretch = {
        "since": (today - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M"),
        "until": (today + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M"),
    }
    return {"document": CHANGED, "items": "", "roster": "recorded", **stretch, **values}


async def a_day(sessions: Sessions, house: House) -> None:
    """Three posts, one of them answered."""
    async with sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1), post(2, "Where is my parcel?"), post(3, "Hello?")])
        agent = await session.get_one(Agent, house.ids["agent"])
        first = (await items(session))[0]
        await claim(session, agent, first.id)
        await close(session, agent, first.id, Disposition.ANSWERED)


async def work(sessions: Sessions, rehearsal_id: int) -> None:
    """What a worker does."""
    async with sessions.begin() as session:
        taken = await take_rehearsal(session, rehearsal_id)
    assert taken is not None
    async with sessions.begin() as session:
        prepared = await prepare(session, *taken)
    async with sessions.begin() as session:
        await end_rehearsal(session, rehearsal_id, compare(prepared))


async def test_the_form_begins_with_the_configuration_as_it_is(sign_in: SignIn, house: House) -> None:
    admin = await sign_in("admin")

    page = await admin.get("/admin/rehearsal")

    assert page.status_code == 200
    assert "name: Everything else" in page.text
    assert "Nothing was rehearsed yet" in page.text


async def test_a_rehearsal_waits_for_a_worker_and_then_shows_both_sides(
    sign_in: SignIn, sessions: Sessions, house: House
) -> None:
    await a_day(sessions, house)
    admin = await sign_in("admin")

    answer = await admin.send("/admin/rehearsal", form())
    where = answer.headers["location"]
    waiting = await admin.get(where)
    await work(sessions, int(where.rpartition("/")[2]))
    done = await admin.get(where)

    assert answer.status_code == 303
    assert (waiting.headers["refresh"], "waits for a worker" in waiting.text) == ("2", True)
    assert "refresh" not in done.headers
    assert "+ rule Torn things" in done.text
    assert "Service level" in done.text
    assert "nobody is a member of its queue" in done.text  # of Orders
    assert "Apply this file" in done.text
    assert "<b>loud" not in done.text
    assert where in (await admin.get("/admin/rehearsal")).text
    async with sessions() as session:
        assert list(await session.scalars(select(Rule.name))) == ["Everything else"]


async def test_what_was_rehearsed_is_published_unless_the_configuration_moved_on(
    sign_in: SignIn, sessions: Sessions, house: House
) -> None:
    await a_day(sessions, house)
    admin = await sign_in("admin")
    where = (await admin.send("/admin/rehearsal", form())).headers["location"]
    early = await admin.send(f"{where}/publication")
    await work(sessions, int(where.rpartition("/")[2]))
    async with sessions.begin() as session:
        await session.execute(text("UPDATE rule SET name = 'Catch all'"))

    late = await admin.send(f"{where}/publication")
    async with sessions.begin() as session:
        await session.execute(text("UPDATE rule SET name = 'Everything else'"))
    done = await admin.send(f"{where}/publication")

    assert (early.status_code, "not done" in early.text) == (409, True)
    assert (late.status_code, "Rehearse it again" in late.text) == (409, True)
    assert (done.status_code, done.headers["location"]) == (303, "/admin/rules")
    async with sessions() as session:
        assert list(await session.scalars(select(Rule.name).order_by(Rule.position))) == [
            "Torn things",
            "Everything else",
        ]


async def test_an_uploaded_file_comes_before_the_text(sign_in: SignIn, sessions: Sessions, house: House) -> None:
    admin = await sign_in("admin")

    answer = await admin.http.post(
        "/admin/rehearsal",
        data={"csrf": admin.csrf, **form(document="careline: 1")},
        files={"file": ("new.yaml", CHANGED.encode(), "application/yaml")},
    )
    binary = await admin.http.post(
        "/admin/rehearsal", data={"csrf": admin.csrf, **form()}, files={"file": ("new.yaml", b"\xff\xfe\x00", "text/plain")}
    )  # fmt: skip

    assert answer.status_code == 303, answer.text
    async with sessions() as session:
        assert await session.scalar(select(Rehearsal.document)) == CHANGED
    assert (binary.status_code, "no text in UTF-8" in binary.text) == (422, True)


async def test_what_is_wrong_stands_beside_what_was_typed(sign_in: SignIn, house: House) -> None:
    admin = await sign_in("admin")

    for field, value, said in (
        ("document", "quues: []", "there is no such setting"),
        ("document", "rules: [", "this is not YAML"),
        ("since", "yesterday", "Give a date and a time."),
        ("until", "2020-01-01T00:00", "must end after it begins"),
        ("items", "many", "This is not a whole number."),
        ("items", "0", "At least 1."),
        ("roster", "nobody", "recorded"),
    ):
        answer = await admin.send("/admin/rehearsal", form(**{field: value}))
        assert answer.status_code == 422, (field, answer.text)
        assert said in answer.text, field
        assert field in {"roster", "until"} or value in answer.text


async def test_a_second_rehearsal_waits_for_the_first(sign_in: SignIn, house: House) -> None:
    admin = await sign_in("admin")
    await admin.send("/admin/rehearsal", form())

    answer = await admin.send("/admin/rehearsal", form())

    assert (answer.status_code, "Another rehearsal is running" in answer.text) == (409, True)


async def test_a_rehearsal_that_nobody_does_says_so(sign_in: SignIn, sessions: Sessions, house: House) -> None:
    admin = await sign_in("admin")
    where = (await admin.send("/admin/rehearsal", form())).headers["location"]
    async with sessions.begin() as session:
        await session.execute(text("UPDATE rehearsal SET told_at = now() - interval '3 minutes'"))

    page = await admin.get(where)

    assert "No worker has said anything" in page.text
    assert "refresh" not in page.headers
    assert (await admin.get("/admin/rehearsal/999")).status_code == 404
