"""Importing a file at a feed's page: bring it, say what its columns are, watch it, fetch what was rejected."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.import_file import keep_chunk, part_at, take_import
from app.models.feed import Feed
from app.models.feed_import import FeedImport, ImportState
from app.models.item import Item
from app.settings import Settings
from app.web.security import BodyLimit
from app.workers.import_file import read_chunk
from tests.web.conftest import Browser, House

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]
FILE = "Nr;Nachricht;Wer;Wann\n1;Der Reißverschluss;Maya;02.11.2026\n2;=HYPERLINK(1);;03.11.2026\n-3;Hi;Jo;bald\n"


@pytest.fixture
async def feed_id(sessions: Sessions, house: House) -> int:
    async with sessions.begin() as session:
        feed = Feed(name="Old shop", channel="webhook", settings={"source": "shop"})
        session.add(feed)
        await session.flush()
        return feed.id


async def bring(admin: Browser, feed_id: int, content: bytes = FILE.encode("cp1252"), **more: str) -> httpx.Response:
    return await admin.http.post(
        f"/admin/feeds/{feed_id}/imports",
        data={"csrf": admin.csrf, **more},
        files={"file": ("reviews.csv", content, "text/csv")},
    )


async def work(sessions: Sessions, import_id: int) -> None:
    """What a worker does."""
    async with sessions.begin() as session:
        taken = await take_import(session, import_id)
        assert taken is not None
        content = await part_at(session, import_id, taken[0].position)
        now = (await session.execute(select(func.now()))).scalar_one()
        assert await keep_chunk(session, *taken, read_chunk(taken[0], "shop", content, now))


CHOSEN = {"c-id": "Nr", "c-text": "Nachricht", "c-author.name": "Wer", "c-posted_at": "Wann", "zone": "Europe/Berlin"}


async def test_a_file_is_brought_shaped_imported_and_its_rejected_rows_fetched(
    sign_in: SignIn, sessions: Sessions, feed_id: int
) -> None:
    admin = await sign_in("admin")
    assert "Import a file" in (await admin.get(f"/admin/feeds/{feed_id}")).text

    where = (await bring(admin, feed_id)).headers["location"]
    draft = await admin.get(where)
    assert "Der Reißverschluss" in draft.text  # the encoding was found
    assert "refresh" not in draft.headers
    early = await admin.send(where, {"do": "start", "c-id": "Nr", "order": "dmy"}, "PUT")
    assert (early.status_code, "Say which column is the text." in early.text) == (422, True)
    seen = await admin.get((await admin.send(where, {**CHOSEN, "do": "preview"}, "PUT")).headers["location"])
    assert "It does not say who wrote it." in seen.text
    assert "is no date that can be read" in seen.text
    started = await admin.send(where, {**CHOSEN, "do": "start", "queue_days": "3650"}, "PUT")
    assert started.status_code == 303, started.text
    running = await admin.get(where)
    assert (running.headers["refresh"], "running" in running.text) == ("2", True)
    async with sessions() as session:
        assert await session.scalar(select(Item.id)) is None
    await work(sessions, int(where.rpartition("/")[2]))
    done = await admin.get(where)
    report = await admin.get(f"{where}/rejected.csv")

    assert "refresh" not in done.headers
    assert (done.text.count('<td class="num">3</td>'), "100 %" in done.text) == (1, True)
    assert report.headers["content-disposition"] == f'attachment; filename="rejected-{where.rpartition("/")[2]}.csv"'
    assert report.content.decode("utf-8-sig").splitlines() == [
        "Line,Reason,Row",
        "3,It does not say who wrote it.,2;=HYPERLINK(1);;03.11.2026",
        "4,'bald' is no date that can be read.,'-3;Hi;Jo;bald",
    ]
    assert where in (await admin.get(f"/admin/feeds/{feed_id}")).text
    async with sessions() as session:
        assert list(await session.scalars(select(Item.state))) == ["queued"]


async def test_an_import_is_stopped_and_a_draft_thrown_away(sign_in: SignIn, sessions: Sessions, feed_id: int) -> None:
    admin = await sign_in("admin")
    draft = (await bring(admin, feed_id)).headers["location"]
    running = (await bring(admin, feed_id)).headers["location"]
    await admin.send(running, {**CHOSEN, "do": "start"}, "PUT")

    assert (await admin.send(draft, method="DELETE")).headers["location"] == f"/admin/feeds/{feed_id}"
    assert (await admin.get(draft)).status_code == 404
    assert (await admin.send(running, method="DELETE")).headers["location"] == running
    assert "stopped" in (await admin.get(running)).text
    assert (await admin.send(running, {**CHOSEN, "do": "start"}, "PUT")).status_code == 409


async def test_an_import_that_nobody_does_says_so(sign_in: SignIn, sessions: Sessions, feed_id: int) -> None:
    admin = await sign_in("admin")
    where = (await bring(admin, feed_id)).headers["location"]
    async with sessions.begin() as session:
        ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 5)
        await session.execute(update(FeedImport).values(state=ImportState.RUNNING, started_at=ago))

    page = await admin.get(where)

    assert "No worker has said anything" in page.text
    assert "refresh" not in page.headers


async def test_what_cannot_be_read_is_refused_in_words(sign_in: SignIn, feed_id: int) -> None:
    admin = await sign_in("admin")

    for content, said in (
        (b"PK\x03\x04", "Save it as CSV"),
        (b"", "This file is empty"),
        (b"[1]", "one object a line"),
    ):
        answer = await bring(admin, feed_id, content)
        assert (answer.status_code, said in answer.text) == (422, True), content
    assert (await bring(admin, feed_id, encoding="klingon")).status_code == 422
    assert (await bring(admin, 999)).status_code == 404
    assert (await admin.send(f"/admin/feeds/{feed_id}/imports")).status_code == 422


async def test_nobody_but_an_admin_brings_or_sees_a_file(sign_in: SignIn, feed_id: int) -> None:
    where = (await bring(await sign_in("admin"), feed_id)).headers["location"]

    for name in ("supervisor", ""):
        other = await sign_in(name)
        assert (await bring(other, feed_id)).status_code in {303, 403}
        for path in (where, f"{where}/rejected.csv"):
            answer = await other.get(path)
            assert answer.status_code == 403 or answer.headers["location"].startswith("/login")
    forged = await sign_in("admin")
    forged.csrf = "x"
    assert (await bring(forged, feed_id)).status_code == 403


def test_a_file_may_be_larger_than_other_bodies(app: FastAPI, settings: Settings) -> None:
    limit = BodyLimit(app, most=1, uploads=2, imports=3)

    assert settings.max_import > settings.max_upload > settings.max_body
    assert [most for path, most in limit.larger if path.fullmatch("/admin/feeds/7/imports")] == [3]
