"""Configuring teams, skills and queues."""

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Invalid, NotFound
from app.flow.configure_agent import AgentSettings, create_agent
from app.flow.configure_queue import QueueSettings, change_queue, create_queue, queue_settings
from app.flow.configure_rules import RuleSettings, create_rule
from app.flow.configure_skill import SkillSettings, create_skill, remove_skill
from app.flow.configure_team import TeamSettings, change_team, create_team, remove_team
from app.flow.configured import fingerprint
from app.models.agent import Team
from app.models.queue import QueueMember


@pytest.fixture
async def team(session: AsyncSession) -> Team:
    return await create_team(session, TeamSettings(name="Care"))


async def test_a_queue_keeps_what_was_set(session: AsyncSession, team: Team) -> None:
    settings = QueueSettings(
        name="Billing", team_id=team.id, target=900, boosts=(100, 50, 0, -5, -10), take_over_after=60
    )

    queue = await create_queue(session, settings)

    assert queue_settings(queue) == settings


async def test_a_taken_name_is_refused_whatever_its_case_and_nothing_is_lost(session: AsyncSession, team: Team) -> None:
    await create_queue(session, QueueSettings(name="Billing", team_id=team.id))

    with pytest.raises(Invalid, match="queue named billing already") as refusal:
        await create_queue(session, QueueSettings(name="billing", team_id=team.id))

    assert refusal.value.field == "name"
    assert await session.scalar(select(Team.name)) == "Care"  # the transaction goes on


async def test_a_team_that_is_gone_is_refused(session: AsyncSession) -> None:
    with pytest.raises(Invalid) as refusal:
        await create_queue(session, QueueSettings(name="Billing", team_id=404))

    assert refusal.value.field == "team_id"


async def test_a_higher_priority_is_never_worth_less(session: AsyncSession, team: Team) -> None:
    with pytest.raises(Invalid, match="cannot be worth less") as refusal:
        await create_queue(session, QueueSettings(name="Billing", team_id=team.id, boosts=(0, 60, 0, 0, 0)))

    assert refusal.value.field == "boosts"


async def test_a_stale_form_does_not_overwrite_what_somebody_else_saved(session: AsyncSession, team: Team) -> None:
    settings = QueueSettings(name="Billing", team_id=team.id)
    queue = await create_queue(session, settings)
    seen = fingerprint(settings)
    await change_queue(session, queue.id, settings.model_copy(update={"target": 60}), seen=seen)

    with pytest.raises(Conflict, match="Somebody else changed Billing"):
        await change_queue(session, queue.id, settings.model_copy(update={"target": 120}), seen=seen)

    assert queue.target == 60


async def test_members_are_exactly_those_that_were_given(session: AsyncSession, team: Team) -> None:
    one = await create_agent(session, AgentSettings(name="One", email="one@example.com"), None)
    two = await create_agent(session, AgentSettings(name="Two", email="two@example.com"), None)
    settings = QueueSettings(name="Billing", team_id=team.id)
    queue = await create_queue(session, settings, members=[one.id])

    await change_queue(session, queue.id, settings, members=[two.id])

    assert (await session.scalars(select(QueueMember.agent_id))).all() == [two.id]
    with pytest.raises(Invalid) as refusal:
        await change_queue(session, queue.id, settings, members=[404])
    assert refusal.value.field == "members"


async def test_a_queue_that_a_rule_sends_to_stays_active(session: AsyncSession, team: Team) -> None:
    settings = QueueSettings(name="Billing", team_id=team.id)
    queue = await create_queue(session, settings)
    await create_rule(session, RuleSettings(name="Everything else", queue_id=queue.id))

    with pytest.raises(Invalid, match="The rule Everything else sends items to Billing") as refusal:
        await change_queue(session, queue.id, settings.model_copy(update={"active": False}))

    assert refusal.value.field == "active"


async def test_a_team_with_queues_is_not_removed(session: AsyncSession, team: Team) -> None:
    await create_queue(session, QueueSettings(name="Billing", team_id=team.id))

    with pytest.raises(Conflict, match="The team Care owns 1 of the queues"):
        await remove_team(session, team.id)


async def test_a_team_is_renamed_and_an_empty_one_removed(session: AsyncSession, team: Team) -> None:
    await change_team(session, team.id, TeamSettings(name="Help"), seen=fingerprint(TeamSettings(name="Care")))
    await remove_team(session, team.id)

    with pytest.raises(NotFound):
        await change_team(session, team.id, TeamSettings(name="Again"))


async def test_a_skill_that_a_rule_asks_for_is_not_removed(session: AsyncSession, team: Team) -> None:
    queue = await create_queue(session, QueueSettings(name="Billing", team_id=team.id))
    skill = await create_skill(session, SkillSettings(name="German"))
    await create_rule(session, RuleSettings(name="All", queue_id=queue.id, requirements={skill.id: 2}))

    with pytest.raises(Conflict, match="The rule All asks for German"):
        await remove_skill(session, skill.id)


def test_a_name_of_spaces_is_no_name() -> None:
    with pytest.raises(ValidationError):
        SkillSettings(name="   ")


async def test_hours_are_typed_as_people_say_them_and_shown_back(session: AsyncSession, team: Team) -> None:
    settings = QueueSettings(
        name="Billing",
        team_id=team.id,
        hours="monday - friday 9-17:30; Sat 10-14",
        timezone="Europe/Berlin",
        holidays=("2027-01-01", "2026-12-25", "2027-01-01"),
        closed_reply="We are closed.\r\nWe write on Monday.",
    )

    queue = await create_queue(session, settings)
    await session.refresh(queue)

    assert queue.hours["sat"] == [["10:00", "14:00"]]
    assert queue_settings(queue) == settings
    assert queue_settings(queue).hours == "Mon-Fri 09:00-17:30; Sat 10:00-14:00"
    assert queue_settings(queue).holidays == ("2026-12-25", "2027-01-01")
    assert queue_settings(queue).closed_reply == "We are closed.\nWe write on Monday."


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("hours", "Mon-Fri 9-17; Foo 9-17", "Hours, 'Foo 9-17': 'Foo' is not a day of the week"),
        ("timezone", "Mars/Base", "There is no time zone 'Mars/Base'"),
        ("holidays", ("2027-01-01", "1.5.2027"), "'1.5.2027' is not a date"),
        ("return_after", 1, "greater than or equal to 60"),
    ],
)
def test_hours_that_make_no_sense_are_refused_by_field_and_part(field: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refusal:
        QueueSettings.model_validate({"name": "Billing", "team_id": 1, field: value})

    assert refusal.value.errors()[0]["loc"] == (field,)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"wrap_up": 300, "wrap_up_most": 200}, "wrap_up_most"),
        ({"closed_reply": "We are closed."}, "closed_reply"),
        ({"park_close_reply": "Bye."}, "park_close_after"),
    ],
)
async def test_settings_that_contradict_each_other_are_refused(
    session: AsyncSession, team: Team, values: dict[str, object], field: str
) -> None:
    settings = QueueSettings.model_validate({"name": "Billing", "team_id": team.id, **values})

    with pytest.raises(Invalid) as refusal:
        await create_queue(session, settings)

    assert refusal.value.field == field


async def test_how_a_queue_routes_is_kept_and_shown_in_one_way(session: AsyncSession, team: Team) -> None:
    press = await create_queue(session, QueueSettings(name="Press", team_id=team.id))
    settings = QueueSettings.model_validate(
        {
            "name": "Billing",
            "team_id": team.id,
            "policy": "skilled",
            "channel_weights": [" Mastodon:2", {"bluesky": 3}],
            "raises": ["followers 10000 : 60", "due within 600 s: 15", "says outage,down: 60"],
            "emergency_over": True,
            "auto_accept": True,
            "prefer_seconds": 120,
            "overflow_queue_id": press.id,
            "overflow_after": 300,
        }
    )

    queue = await create_queue(session, settings)

    assert queue_settings(queue) == settings
    assert queue.channel_weights == {"bluesky": 3, "mastodon": 2}
    assert queue_settings(queue).raises == ("followers 10000: 60", "due within 10 min: 15", "says outage, down: 60")
    assert queue.raises[0] == {"signal": "followers", "at_least": 10000, "minutes": 60}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("channel_weights", ["mastodon"], "'mastodon': write a channel, a colon and a number"),
        ("channel_weights", ["mastodon: 0"], "'mastodon: 0': the number is 1 to 100"),
        ("channel_weights", ["rss: 1", "RSS: 2"], "'RSS: 2': rss stands there twice"),
        ("raises", ["second post: 5", "second post: 6"], "'second post: 6': this signal stands there twice"),
        ("raises", ["full moon: 5"], "'full moon' is no signal"),
        ("policy", "favourite", "should be"),
        ("overflow_after", 0, "greater than"),
    ],
)
def test_a_line_of_routing_that_makes_no_sense_is_refused_by_field_and_line(
    field: str, value: object, says: str
) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        QueueSettings.model_validate({"name": "Billing", "team_id": 1, field: value})

    assert refused.value.errors()[0]["loc"][0] == field


async def test_an_overflow_goes_to_another_open_queue_and_at_some_time(session: AsyncSession, team: Team) -> None:
    shut = await create_queue(session, QueueSettings(name="Shut", team_id=team.id, active=False))
    settings = QueueSettings(name="Billing", team_id=team.id)
    queue = await create_queue(session, settings)

    for update, field in (
        ({"overflow_queue_id": queue.id, "overflow_after": 60}, "overflow_queue_id"),
        ({"overflow_queue_id": shut.id, "overflow_after": 60}, "overflow_queue_id"),
        ({"overflow_queue_id": 404, "overflow_after": 60}, "overflow_queue_id"),
        ({"overflow_after": 60}, "overflow_queue_id"),
        ({"overflow_when_nobody": True}, "overflow_queue_id"),
        ({"overflow_queue_id": shut.id}, "overflow_after"),
        ({"channel_weights": ("pigeon: 2",)}, "channel_weights"),
    ):
        with pytest.raises(Invalid) as refused:
            await change_queue(session, queue.id, settings.model_copy(update=update))
        assert refused.value.field == field, update


async def test_a_queue_that_another_overflows_to_stays_active(session: AsyncSession, team: Team) -> None:
    press = QueueSettings(name="Press", team_id=team.id)
    to = await create_queue(session, press)
    over = QueueSettings(name="Billing", team_id=team.id, overflow_queue_id=to.id, overflow_when_nobody=True)
    await create_queue(session, over)

    with pytest.raises(Invalid, match="Billing overflows to Press") as refused:
        await change_queue(session, to.id, press.model_copy(update={"active": False}))

    assert refused.value.field == "active"
