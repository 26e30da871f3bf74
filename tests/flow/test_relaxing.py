"""How requirements relax: as admins write it, as rules keep it, and what is refused."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.configure_queue import QueueSettings, create_queue
from app.flow.configure_rules import RuleSettings, create_rule, rule_settings
from app.flow.configure_skill import SkillSettings, create_skill
from app.flow.configure_team import TeamSettings, create_team
from app.flow.relaxing import RuleStep, check_steps, parse_step, read_steps, write_step

GERMAN, LEVEL_2 = 7, 8
SKILLS = {"German": GERMAN, "Level 2": LEVEL_2}
NAMES = {number: name for name, number in SKILLS.items()}


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("after 2 min German 2", "after 2 min German 2"),
        ("After 120s german 2 is enough", "after 2 min German 2"),
        ("after 1 hour without German", "after 1 h without German"),
        ("after 90 s Level 2 3", "after 90 s Level 2 3"),
        ("after 1 day, without level 2", "after 1 day without Level 2"),
    ],
)
def test_a_step_is_read_as_typed_and_shown_in_one_way(typed: str, shown: str) -> None:
    (step,) = read_steps([typed], SKILLS)

    assert write_step(step, NAMES) == shown
    assert read_steps([shown], SKILLS) == (step,)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("German 2", "write it as"),
        ("after 2 min German", "write it as"),
        ("after 2 min German 6", "write it as"),
        ("after 2 moons German 2", "'2 moons' is not a span of time"),
        ("after 0 s German 2", "after 1 s to 30 days"),
        ("after 2 min without Klingon", "there is no skill Klingon"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_by_name(typed: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_steps([typed], SKILLS)

    assert refused.value.field == "steps"
    assert says in refused.value.message
    assert f"'{typed}'" in refused.value.message


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["after 1 min Level 2 1"], "the rule does not need Level 2"),
        (["after 1 min German 3"], "German 3 is needed until then"),
        (["after 1 min German 2", "after 2 min German 2"], "German 2 is needed until then"),
        (["after 1 min without German", "after 2 min German 1"], "German is not needed any more by then"),
    ],
)
def test_a_step_that_lowers_nothing_is_refused(lines: list[str], says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        check_steps(read_steps(lines, SKILLS), {GERMAN: 3}, NAMES)

    assert refused.value.field == "steps"


def test_requirements_relax_step_by_step() -> None:
    check_steps(read_steps(["after 1 min German 2", "after 2 min without German"], SKILLS), {GERMAN: 3}, NAMES)
    assert str(parse_step("after 60 s German 2")) == "after 1 min German 2"


async def test_a_rule_keeps_its_steps_in_order_of_time(session: AsyncSession) -> None:
    team = await create_team(session, TeamSettings(name="Care"))
    queue = await create_queue(session, QueueSettings(name="Care", team_id=team.id))
    german = await create_skill(session, SkillSettings(name="German"))
    steps = (RuleStep(after=300, skill=german.id), RuleStep(after=120, skill=german.id, level=2))
    settings = RuleSettings(
        name="German", queue_id=queue.id, requirements={german.id: 3}, steps=steps, emergency=True
    )  # fmt: skip

    rule = await create_rule(session, settings)

    assert rule.steps == [
        {"after": 120, "skill": str(german.id), "level": 2},
        {"after": 300, "skill": str(german.id), "level": None},
    ]
    assert rule_settings(rule) == settings
    with pytest.raises(Invalid, match="'after 2 min German 2': the rule does not need German"):
        await create_rule(session, settings.model_copy(update={"requirements": {}}))
