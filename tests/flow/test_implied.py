"""What a configuration implies: how far an item can be overtaken, and who could be left waiting."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.config_file import apply, plan
from app.flow.implied import Implied, implied
from app.routing.bounds import Danger

HOUSE = """
careline: 1
teams: [Care]
skills: [German]
queues:
  - {name: Care, team: Care, boosts: [240, 60, 0, -60, -240], raises: {"followers 10000": 60, "second post": 30}}
  - {name: Press, team: Care, boosts: [0, 0, 0, 0, 0]}
  - {name: Alone, team: Care, served_by: due, target: 600, hours: Mon-Fri 09:00-17:00}
agents:
  - {name: Ayumi, email: ayumi@example.com, queues: [Care, Press], skills: {German: 2}}
  - {name: Finn, email: finn@example.com, queues: [Care, Press, Alone], channel_caps: {bluesky: 0}}
rules:
  - {name: Everything else, queue: Care}
"""


async def _implied(session: AsyncSession, text: str) -> Implied:
    await apply(session, await plan(session, text))
    return await implied(session)


async def test_the_bound_counts_priorities_signals_and_queues_that_share_an_agent(session: AsyncSession) -> None:
    house = await _implied(session, HOUSE)

    bounds = {bound.name: bound for bound in house.bounds}
    assert [one.minutes for one in bounds["Care"].priorities] == [90, 270, 330, 390, 570]
    assert bounds["Care"].raised == 90
    assert [one.minutes for one in bounds["Press"].priorities] == [330] * 5
    assert [one.own_minutes for one in bounds["Press"].priorities] == [0] * 5
    assert [one.minutes for one in bounds["Alone"].priorities] == [340] * 5  # its boost is its target, negative
    assert bounds["Alone"].closes
    assert not bounds["Care"].closes


async def test_a_house_in_order_has_nothing_to_be_warned_of(session: AsyncSession) -> None:
    assert (await _implied(session, HOUSE)).concerns == ()


async def test_what_nobody_could_ever_take_is_a_deadlock(session: AsyncSession) -> None:
    german = "  - {name: German, queue: Care, needs: {German: 4}}\n  - {name: Every"
    house = await _implied(session, HOUSE.replace("  - {name: Every", german))

    assert [(one.danger, one.rule) for one in house.concerns] == [(Danger.DEADLOCK, "German")]
    assert "it needs German 4" in house.concerns[0].sentence


async def test_what_relaxes_in_time_is_only_late_and_one_agent_alone_is_named(session: AsyncSession) -> None:
    german = (
        "  - {name: German, queue: Care, needs: {German: 4}, steps: [after 2 min German 2]}\n"
        "  - {name: Bluesky, queue: Care, when: {channels: [bluesky]}}\n  - {name: Every"
    )
    house = await _implied(session, HOUSE.replace("  - {name: Every", german))

    assert [(one.danger, one.rule) for one in house.concerns] == [
        (Danger.STARVATION, "German"),
        (Danger.STARVATION, "Bluesky"),
        (Danger.DELAY, "German"),
    ]
    assert all(one.sentence.startswith("Only Ayumi") for one in house.concerns[:2])
    assert "at least 2 min" in house.concerns[2].sentence


async def test_an_emergency_that_may_go_above_capacity_waits_for_no_room(session: AsyncSession) -> None:
    heavy = HOUSE.replace("name: Care, team", "name: Care, weight: 50, emergency_over: true, team")
    assert [one.danger for one in (await _implied(session, heavy)).concerns] == [Danger.DEADLOCK]

    urgent = heavy.replace("queue: Care}\n", "queue: Care, emergency: true}\n")
    assert (await _implied(session, urgent)).concerns == ()
