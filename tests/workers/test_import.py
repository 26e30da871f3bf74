"""Importing a file: in chunks, each with how far it is; a restart goes on without gap or duplicate; every reason is kept."""

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import Conflict, Invalid, NotFound
from app.flow.import_file import bring_file, due_imports, keep_chunk, shape_import, start_import, stop_import
from app.flow.sheet import Encoding
from app.flow.tidy import tidy
from app.models.feed import Feed
from app.models.feed_import import FeedImport, ImportPart, ImportReject
from app.models.item import Item
from app.models.post import Post
from app.workers import import_file
from app.workers.import_file import import_job
from tests.connectors.fakes.webhook import FakeSender
from tests.postoffice import Office, post_office


@pytest.fixture
async def office(engine: AsyncEngine) -> AsyncIterator[Office]:
    async with post_office(engine, FakeSender(), "webhook") as office:
        yield office


def rows(numbers: range, date: str = "2026-11-02") -> str:
    return "".join(f'{n},"Torn,\n number {n}",Maya,{date}\n' for n in numbers)


async def bring(office: Office, written: str, *, start: bool = True, **shape: object) -> int:
    """A file of rows behind the usual heads, and how it is read."""
    async with office.sessions.begin() as session:
        file = io.BytesIO(b"id,text,author,date\n" + written.encode())
        me, feed_id = office.company.ayumi, office.company.feed.id
        made = await bring_file(session, me, feed_id, "old.csv", file, encoding=Encoding.AUTO)
        if shape:
            await shape_import(session, feed_id, made.id, shape)
        if start:
            await start_import(session, feed_id, made.id)
        return made.id


async def stands(office: Office, import_id: int) -> FeedImport:
    async with office.sessions() as session:
        return await session.get_one(FeedImport, import_id)


def counts(one: FeedImport) -> tuple[str, int, int, int]:
    return one.state, one.imported, one.known, one.rejected


async def test_rows_become_posts_and_each_rejected_one_is_kept_with_its_line(office: Office) -> None:
    import_id = await bring(office, rows(range(1, 4)) + "4,,Maya,\n5,Hi,,\n1,again,Maya,\n6,Hi,Maya,soon\n")

    await import_job(office.runtime, import_id)

    done = await stands(office, import_id)
    assert counts(done) == ("done", 3, 1, 3)
    assert done.position == done.size
    async with office.sessions() as session:
        kept = (await session.scalars(select(ImportReject).order_by(ImportReject.line))).all()
        assert [(one.line, one.row) for one in kept] == [(8, "4,,Maya,"), (9, "5,Hi,,"), (11, "6,Hi,Maya,soon")]
        assert kept[1].reason == "It does not say who wrote it."
        assert await session.scalar(select(func.count()).select_from(ImportPart)) == 0


async def test_what_was_imported_before_is_known(office: Office) -> None:
    for expected in ((3, 0), (0, 3)):
        import_id = await bring(office, rows(range(3)))
        await import_job(office.runtime, import_id)
        done = await stands(office, import_id)
        assert (done.imported, done.known) == expected


async def test_old_posts_are_history_and_young_ones_are_to_be_answered(office: Office) -> None:
    async with office.sessions() as session:
        today = (await session.execute(select(func.current_date()))).scalar_one().isoformat()
    import_id = await bring(office, rows(range(2), "2020-01-01") + rows(range(2, 3), today), queue_days=7)

    await import_job(office.runtime, import_id)

    async with office.sessions() as session:
        found = await session.execute(select(Item.state, Item.disposition).order_by(Item.id))
        assert [tuple(row) for row in found] == [("closed", "backlog"), ("closed", "backlog"), ("queued", None)]


async def test_a_worker_that_dies_leaves_neither_gap_nor_duplicate(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_file, "ROWS", 3)
    import_id = await bring(office, rows(range(20)) + "x,,,\n")
    calls = 0

    async def breaks(*args: object) -> bool:
        nonlocal calls
        calls += 1
        kept = await keep_chunk(*args)  # type: ignore[arg-type]
        if calls == 3:
            raise DBAPIError("the connection is lost before the commit", None, Exception())
        if calls == 5:
            raise asyncio.CancelledError
        return kept

    monkeypatch.setattr(import_file, "keep_chunk", breaks)
    with pytest.raises(DBAPIError):
        await import_job(office.runtime, import_id)
    lost = await stands(office, import_id)
    assert (lost.state, lost.imported) == ("running", 6)
    await import_job(office.runtime, import_id)  # the dead worker's lease still runs
    assert (await stands(office, import_id)).imported == 6
    async with office.sessions.begin() as session:
        assert await due_imports(session) == []
        await session.execute(update(FeedImport).values(leased_until=func.now()))
    async with office.sessions() as session:
        assert await due_imports(session) == [import_id]
    with pytest.raises(asyncio.CancelledError):
        await import_job(office.runtime, import_id)
    async with office.sessions() as session:
        assert await due_imports(session) == [import_id]  # given back at once
    await import_job(office.runtime, import_id)

    assert counts(await stands(office, import_id)) == ("done", 20, 0, 1)
    async with office.sessions() as session:
        texts = list(await session.scalars(select(Post.text).order_by(Post.id)))
        assert texts == [f"Torn,\n number {n}" for n in range(20)]
        assert list(await session.scalars(select(ImportReject.line))) == [42]


async def test_a_row_goes_on_behind_the_part_of_the_file_that_was_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.flow.sheet.PART", 10)  # a part a line
    import_id = await bring(office, rows(range(5)) + '9,"never closed,Maya,\n')

    await import_job(office.runtime, import_id)

    assert counts(await stands(office, import_id)) == ("done", 5, 0, 1)


async def test_a_person_stops_it_and_what_was_imported_stays(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_file, "ROWS", 2)
    import_id = await bring(office, rows(range(6)))
    feed_id = office.company.feed.id

    async def stopped_meanwhile(*args: object) -> bool:
        async with office.sessions.begin() as session:
            found = await session.get_one(FeedImport, import_id)
            if found.imported and found.state == "running":
                await stop_import(session, feed_id, import_id)
        return await keep_chunk(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(import_file, "keep_chunk", stopped_meanwhile)
    await import_job(office.runtime, import_id)

    assert counts(await stands(office, import_id)) == ("stopped", 2, 0, 0)
    async with office.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Post)) == 2
        with pytest.raises(Conflict):
            await stop_import(session, feed_id, import_id)


async def test_what_the_database_refuses_is_rejected_with_its_line(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office.sessions.begin() as session:
        await session.execute(text("ALTER TABLE post ADD CONSTRAINT poison CHECK (right(text, 8) <> 'number 1')"))
    import_id = await bring(office, rows(range(3)))

    await import_job(office.runtime, import_id)

    assert counts(await stands(office, import_id)) == ("done", 2, 0, 1)
    async with office.sessions() as session:
        (kept,) = await session.scalars(select(ImportReject))
        assert (kept.line, "did not take this post" in kept.reason) == (4, True)


async def test_nothing_starts_before_it_is_said_what_the_text_is_and_who_wrote_it(office: Office) -> None:
    import_id = await bring(office, rows(range(2)), start=False, fields={"id": "id"})
    async with office.sessions() as session:
        with pytest.raises(Invalid, match="which column is the text"):
            await start_import(session, office.company.feed.id, import_id)
        with pytest.raises(Invalid):
            await shape_import(session, office.company.feed.id, import_id, {"zone": "Mars/Olympus"})
        with pytest.raises(NotFound):
            await start_import(session, 999, import_id)


async def test_another_delimiter_makes_other_columns(office: Office) -> None:
    import_id = await bring(office, "1;2\n", start=False)
    async with office.sessions.begin() as session:
        await shape_import(session, office.company.feed.id, import_id, {"delimiter": "semicolon"})
    assert (await stands(office, import_id)).shape["columns"] == ["id,text,author,date"]


async def test_only_webhook_feeds_take_files_and_old_drafts_go(office: Office) -> None:
    draft = await bring(office, rows(range(1)), start=False)
    running = await bring(office, rows(range(1)))
    async with office.sessions.begin() as session:
        await session.execute(update(FeedImport).values(created_at=func.now() - func.make_interval(0, 0, 0, 2)))
        await tidy(session, 30)
    async with office.sessions() as session:
        assert list(await session.scalars(select(FeedImport.id))) == [running] != [draft]
        await session.execute(update(Feed).values(channel="rss"))
        with pytest.raises(Conflict, match="brings its posts by itself"):
            await bring_file(
                session, office.company.ayumi, office.company.feed.id, "x", io.BytesIO(b"a\n"), encoding=Encoding.AUTO
            )
