"""Configuring rules: their order, and the one that catches all."""

import asyncio

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.errors import CarelineError, Conflict, Invalid
from app.flow.configure_queue import QueueSettings, create_queue
from app.flow.configure_rules import (
    RuleSettings,
    arrange_rules,
    change_rule,
    create_rule,
    move_rule,
    remove_rule,
    rule_settings,
)
from app.flow.configure_team import TeamSettings, create_team
from app.flow.configured import fingerprint
from app.flow.triage import Conditions
from app.models.rule import Rule


@pytest.fixture
async def queue_id(session: AsyncSession) -> int:
    return await _queue(session)


async def _queue(session: AsyncSession) -> int:
    team = await create_team(session, TeamSettings(name="Care"))
    return (await create_queue(session, QueueSettings(name="Care", team_id=team.id))).id


async def _names(session: AsyncSession) -> list[str]:
    rules = await session.execute(select(Rule.position, Rule.name).order_by(Rule.position))
    named = [(position, name) for position, name in rules]
    assert [position for position, _ in named] == list(range(1, len(named) + 1))
    return [name for _, name in named]


async def _three(session: AsyncSession, queue_id: int) -> list[Rule]:
    last = await create_rule(session, RuleSettings(name="Last", queue_id=queue_id))
    first = await create_rule(session, RuleSettings(name="First", queue_id=queue_id))
    second = await create_rule(session, RuleSettings(name="Second", queue_id=queue_id))
    return [first, second, last]


async def test_a_new_rule_stands_just_before_the_one_that_catches_all(session: AsyncSession, queue_id: int) -> None:
    await _three(session, queue_id)

    assert await _names(session) == ["First", "Second", "Last"]


async def test_rules_change_places(session: AsyncSession, queue_id: int) -> None:
    _, second, _ = await _three(session, queue_id)

    await move_rule(session, second.id, "up", seen=2)

    assert await _names(session) == ["Second", "First", "Last"]


async def test_nothing_moves_past_the_ends(session: AsyncSession, queue_id: int) -> None:
    first, second, last = await _three(session, queue_id)

    for rule, step in ((first, "up"), (second, "down"), (last, "up"), (last, "down")):
        with pytest.raises(Conflict):
            await move_rule(session, rule.id, "up" if step == "up" else "down")

    assert await _names(session) == ["First", "Second", "Last"]


async def test_a_move_from_a_page_that_is_out_of_date_is_refused(session: AsyncSession, queue_id: int) -> None:
    first, second, _ = await _three(session, queue_id)
    await move_rule(session, second.id, "up", seen=2)

    with pytest.raises(Conflict, match="Somebody else moved"):
        await move_rule(session, first.id, "down", seen=1)


async def test_the_rule_that_catches_all_is_never_removed_narrowed_or_switched_off(
    session: AsyncSession, queue_id: int
) -> None:
    *_, last = await _three(session, queue_id)
    settings = rule_settings(last)

    with pytest.raises(Conflict, match="posts would be lost"):
        await remove_rule(session, last.id)
    for change, field in (
        ({"enabled": False}, "enabled"),
        ({"discard": True}, "discard"),
        ({"conditions": Conditions(languages=("de",))}, "conditions"),
    ):
        with pytest.raises(Invalid) as refusal:
            await change_rule(session, last.id, settings.model_copy(update=change))
        assert refusal.value.field == field


async def test_removing_a_rule_closes_the_gap(session: AsyncSession, queue_id: int) -> None:
    first, _, _ = await _three(session, queue_id)

    await remove_rule(session, first.id)

    assert await _names(session) == ["Second", "Last"]


async def test_a_pattern_that_re2_does_not_know_is_refused_with_its_own_words() -> None:
    with pytest.raises(ValidationError, match="is not a pattern that RE2 knows: missing \\): \\(late"):
        Conditions(matches="(late")


async def test_a_stale_form_is_refused(session: AsyncSession, queue_id: int) -> None:
    first, _, _ = await _three(session, queue_id)
    seen = fingerprint(rule_settings(first))
    await change_rule(session, first.id, rule_settings(first).model_copy(update={"priority": 1}), seen)

    with pytest.raises(Conflict):
        await change_rule(session, first.id, rule_settings(first).model_copy(update={"priority": 2}), seen)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"queue_id": None}, "queue_id"),
        ({"queue_id": 404}, "queue_id"),
        ({"requirements": {404: 2}}, "requirements"),
        ({"conditions": Conditions(feeds=(404,))}, "conditions"),
        ({"conditions": Conditions(followers_min=10, followers_max=5)}, "conditions"),
    ],
)
async def test_what_a_rule_names_must_exist(
    session: AsyncSession, queue_id: int, change: dict[str, object], field: str
) -> None:
    await _three(session, queue_id)

    with pytest.raises(Invalid) as refusal:
        await create_rule(session, RuleSettings(name="New", queue_id=queue_id).model_copy(update=change))

    assert refusal.value.field == field


async def test_rules_are_arranged_as_a_whole(session: AsyncSession, queue_id: int) -> None:
    first, second, last = await _three(session, queue_id)

    new = RuleSettings(name="New", queue_id=queue_id)
    await arrange_rules(session, [(second.id, rule_settings(second)), (None, new), (last.id, rule_settings(last))])

    assert await _names(session) == ["Second", "New", "Last"]
    assert first.id not in set(await session.scalars(select(Rule.id)))


async def test_many_who_add_and_move_at_once_leave_one_order_without_gaps(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        queue_id = await _queue(session)
        first, second, _ = await _three(session, queue_id)

    async def add(number: int) -> None:
        async with sessions.begin() as session:
            await create_rule(session, RuleSettings(name=f"Rule {number}", queue_id=queue_id))

    async def swap(rule_id: int) -> None:
        try:
            async with sessions.begin() as session:
                await move_rule(session, rule_id, "down")
        except CarelineError:
            pass  # it stood last but one

    await asyncio.gather(*(add(n) for n in range(5)), swap(first.id), swap(second.id), swap(first.id))

    async with sessions() as session:
        names = await _names(session)
    assert len(names) == 8
    assert names[-1] == "Last"
