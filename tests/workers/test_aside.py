"""A job that waits for a slow channel gives its place back, and goes on."""

import asyncio
from collections.abc import Callable

import pytest

from app.workers import aside
from app.workers.aside import Aside


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "PATIENCE", 0.0)


def waiting(until: asyncio.Event, done: list[str], name: str) -> Callable[[], object]:
    async def job() -> None:
        await until.wait()
        done.append(name)

    return job


async def test_a_job_that_waits_gives_its_place_back_and_is_finished_later() -> None:
    until, done, room = asyncio.Event(), list[str](), Aside(1)
    await room.run(waiting(until, done, "slow")())  # type: ignore[arg-type]
    assert not done
    until.set()
    await room.end(10)
    assert done == ["slow"]


async def test_a_job_keeps_its_place_where_too_many_wait_already() -> None:
    until, done, room = asyncio.Event(), list[str](), Aside(1)
    await room.run(waiting(until, done, "first")())  # type: ignore[arg-type]
    second = asyncio.create_task(room.run(waiting(until, done, "second")()))  # type: ignore[arg-type]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    until.set()
    await second
    await room.end(10)
    assert sorted(done) == ["first", "second"]


async def test_what_does_not_finish_in_time_is_stopped_at_the_end() -> None:
    done, room = list[str](), Aside(1)
    await room.run(waiting(asyncio.Event(), done, "hangs")())  # type: ignore[arg-type]
    await room.end(0)
    assert not done


async def test_a_job_that_breaks_while_it_has_its_place_says_so() -> None:
    async def broken() -> None:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await Aside(0).run(broken())
