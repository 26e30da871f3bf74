import asyncio
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from app.models.reply import Reply, ReplyState
from tests import parcels
from tests.crash.outbox import OWN_POINTS, POINTS, kill_and_compare, scene

pytestmark = [pytest.mark.crash, pytest.mark.timeout(400)]

KILLS = 22  # for each make of channel


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    parcels.register(monkeypatch)


@pytest.mark.parametrize("channel", parcels.CONNECTORS)
async def test_whenever_a_worker_is_killed_every_reply_stands_once(
    fresh_database: str, tmp_path: Path, channel: str
) -> None:
    it = await kill_and_compare(fresh_database, tmp_path, channel, KILLS, seed=1)
    assert set(POINTS) <= set(it.kills)
    assert sum(count for point, count in it.kills.items() if "not reached" in point) <= KILLS // 2


async def test_a_worker_that_is_asked_to_stop_finishes_what_it_sends_and_takes_no_more(
    fresh_database: str, tmp_path: Path
) -> None:
    async with scene(fresh_database, tmp_path, "parcels-blind", trouble=1.0) as it:
        it.network.moods = ("late",)
        arrived = asyncio.Event()
        it.network.at("arrived", 4, arrived.set)
        await it.write(12)
        pid = await it.workers.fork(hurry=False)
        await asyncio.wait_for(arrived.wait(), 60)
        began = time.monotonic()
        await it.workers.kill(pid, signal.SIGTERM)
        assert time.monotonic() - began < 15
        async with it.sessions() as session:
            states = list(await session.scalars(select(Reply.state)))
        assert states.count(ReplyState.SENT) == len(it.network.world.ledger) >= 4
        assert set(states) == {ReplyState.SENT, ReplyState.HELD}


def test_every_named_point_is_one_that_the_worker_or_the_network_knows() -> None:
    assert {*OWN_POINTS, "arrived", "applied", "brought", "random"} == set(POINTS)
