"""The configuration as a file."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Invalid
from app.flow.config_file import apply, export, plan
from app.flow.configure_team import TeamSettings, create_team
from app.flow.saved import SavedSettings, save_reply
from app.models.agent import Agent
from app.models.feed import Feed
from app.models.queue import Queue
from app.models.rule import Rule
from app.models.saved import Macro, SavedReply

HOUSE = """
careline: 1
teams: [Care]
skills: [Billing, German]
reasons: [lunch, Coaching]
queues:
  - name: Billing
    team: Care
    target: 900
  - name: Everything
    team: Care
agents:
  - name: Ayumi Tanaka
    email: ayumi@example.com
    teams: [Care]
    queues: [Billing]
    skills: {German: 3}
feeds:
  - name: Blog
    channel: rss
    settings: {url: "https://blog.example.com/feed.xml"}
rules:
  - name: German invoices
    when: {languages: [de], matches: "rechnung|invoice", feeds: [Blog]}
    queue: Billing
    priority: 2
    needs: {German: 2}
    tags: [invoice]
  - name: Everything else
    queue: Everything
"""


async def _apply(session: AsyncSession, text: str) -> list[str]:
    planned = await plan(session, text)
    await apply(session, planned)
    return list(planned.lines)


async def test_a_file_furnishes_an_empty_house(session: AsyncSession) -> None:
    lines = await _apply(session, HOUSE)

    assert lines == [
        "+ team Care",
        "+ skill Billing",
        "+ skill German",
        "~ reasons not to be ready: break, lunch, training, technical -> lunch, Coaching",
        "+ queue Billing",
        "+ queue Everything",
        "+ agent ayumi@example.com",
        "+ feed rss Blog",
        "+ rule German invoices",
        "+ rule Everything else",
    ]
    rules = (await session.scalars(select(Rule).order_by(Rule.position))).all()
    assert [(rule.name, rule.priority, rule.tags) for rule in rules] == [
        ("German invoices", 2, ["invoice"]),
        ("Everything else", 3, []),
    ]
    feed = (await session.scalars(select(Feed))).one()
    assert rules[0].conditions == {"languages": ["de"], "matches": "rechnung|invoice", "feeds": [feed.id]}
    assert feed.settings == {"url": "https://blog.example.com/feed.xml"}


async def test_applying_what_was_exported_changes_nothing(session: AsyncSession) -> None:
    await _apply(session, HOUSE)
    text = await export(session)

    planned = await plan(session, text)
    await apply(session, planned)

    assert planned.lines == ()
    assert str(planned) == "Nothing would change."
    assert await export(session) == text


async def test_a_dry_run_tells_the_difference_and_changes_nothing(session: AsyncSession) -> None:
    await _apply(session, HOUSE)
    before = await export(session)

    changed = HOUSE.replace("target: 900", "target: 600").replace("{German: 3}", "{German: 4}")
    planned = await plan(session, changed)

    assert planned.lines == (
        "~ queue Billing: target 900 -> 600",
        "~ agent ayumi@example.com: skills {'German': 3} -> {'German': 4}",
    )
    assert await export(session) == before


async def test_rules_are_complete_so_a_missing_one_goes_and_the_order_is_the_files(session: AsyncSession) -> None:
    await _apply(session, HOUSE)
    start = HOUSE.index("rules:")

    lines = await _apply(
        session,
        """
rules:
  - {name: Spam, discard: true, when: {contains: [crypto]}}
  - {name: Everything else, queue: Everything}
""",
    )

    assert start
    assert lines == ["+ rule Spam", "- rule German invoices"]
    assert (await session.scalars(select(Rule.name).order_by(Rule.position))).all() == ["Spam", "Everything else"]


async def test_what_the_file_does_not_name_stays(session: AsyncSession) -> None:
    await _apply(session, HOUSE)

    lines = await _apply(session, "teams: [Shop]\n")

    assert lines == ["+ team Shop"]
    assert await session.scalar(select(func.count()).select_from(Rule)) == 2
    assert await session.scalar(select(func.count()).select_from(Agent)) == 1


async def test_a_queue_closes_once_no_rule_of_the_file_sends_to_it(session: AsyncSession) -> None:
    await _apply(session, HOUSE)

    await _apply(
        session,
        """
queues:
  - {name: Billing, team: Care, target: 900, active: false}
rules:
  - {name: Everything else, queue: Everything}
""",
    )

    assert not await session.scalar(select(Queue.active).where(Queue.name == "Billing"))


async def test_secrets_are_neither_exported_nor_taken(session: AsyncSession) -> None:
    await _apply(session, HOUSE)

    assert "password" not in await export(session)
    with pytest.raises(Invalid, match=r"agents\[0\]\.password: there is no such setting"):
        await plan(session, "agents:\n  - {name: A, email: a@example.com, password: hunter22}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("queus: []\n", "Line 1, queus: there is no such setting"),
        (
            "teams:\n  - Care\nqueues:\n  - name: A\n    team: Care\n    target: soon\n",
            r"Line 6, queues\[0\]\.target: This is not a whole number",
        ),
        ("rules:\n  - name: A\n    priority: 9\n", r"Line 3, rules\[0\]\.priority: At most 5"),
        ("teams: [Care\n", "Line 2: this is not YAML"),
        ("teams: [A]\nteams: [B]\n", "Line 2: 'teams' stands here twice"),
        ("teams: &a [A]\nskills: *a\n", "Line 2: write the value out"),
        ("- 1\n", "Line 1, the file: "),
        ("careline: 2\n", "Line 1, careline: Choose one of 1"),
        ("teams: !!python/object/apply:os.system ['true']\n", "this is not YAML"),
    ],
)
async def test_an_error_names_its_line_and_path(session: AsyncSession, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        await plan(session, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HOUSE.replace("queue: Billing", "queue: Biling"), "rule German invoices: there is no queue named 'Biling'"),
        (HOUSE.replace("needs: {German: 2}", "needs: {Dutch: 2}"), "rule German invoices: there is no skill named"),
        (HOUSE.replace("rechnung|invoice", "(rechnung"), "is not a pattern that RE2 knows"),
        (HOUSE.replace("https://blog", "ftp://blog"), "The address of a feed starts with https"),
        (HOUSE.replace("channel: rss", "channel: bluesky"), "Bluesky"),
    ],
)
async def test_what_a_verb_refuses_is_told_and_nothing_stays(session: AsyncSession, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        async with session.begin_nested():
            await _apply(session, text)

    assert await session.scalar(select(func.count()).select_from(Queue)) == 0


async def test_a_plan_is_not_applied_to_a_configuration_that_it_was_not_made_for(session: AsyncSession) -> None:
    planned = await plan(session, HOUSE)
    await create_team(session, TeamSettings(name="Meanwhile"))

    with pytest.raises(Conflict, match="changed the configuration since this plan was made"):
        await apply(session, planned)


ROUTING = """
queues:
  - name: Billing
    team: Care
    target: 900
    policy: skilled
    channel_weights: {mastodon: 2}
    raises:
      - followers 10000: 60
      - second post: 30
    overflow_to: Press
    overflow_after: 300
  - name: Press
    team: Care
    overflow_to: Billing
    overflow_when_nobody: true
"""


async def test_queues_that_overflow_to_each_other_are_made_by_name_in_any_order(session: AsyncSession) -> None:
    await _apply(session, HOUSE)

    await _apply(session, ROUTING)

    queues = {queue.name: queue for queue in await session.scalars(select(Queue))}
    assert queues["Billing"].overflow_queue_id == queues["Press"].id
    assert queues["Press"].overflow_queue_id == queues["Billing"].id
    assert queues["Billing"].channel_weights == {"mastodon": 2}
    assert [one["signal"] for one in queues["Billing"].raises] == ["followers", "second_post"]
    text = await export(session)
    assert (await plan(session, text)).lines == ()
    assert (await plan(session, ROUTING)).lines == ()


async def test_both_ends_of_an_overflow_close_together_and_open_again(session: AsyncSession) -> None:
    await _apply(session, HOUSE)
    rules = "rules:\n  - {name: Everything else, queue: Everything}\n"
    await _apply(session, ROUTING.replace("    overflow_to: Billing\n    overflow_when_nobody: true\n", "") + rules)
    closed = (
        ROUTING.replace("team: Care", "team: Care\n    active: false")
        .replace("    overflow_to: Billing\n    overflow_when_nobody: true\n", "")
    )  # fmt: skip

    await _apply(session, closed)
    assert not list(await session.scalars(select(Queue.name).where(Queue.active, Queue.name != "Everything")))
    await _apply(session, closed.replace("active: false", "active: true"))

    assert len(list(await session.scalars(select(Queue.name).where(Queue.active)))) == 3


async def test_an_overflow_to_a_name_that_is_nowhere_is_refused(session: AsyncSession) -> None:
    await _apply(session, HOUSE)

    with pytest.raises(Invalid, match="queue Billing: there is no queue named 'Nowhere'"):
        await _apply(session, ROUTING.replace("overflow_to: Press", "overflow_to: Nowhere"))


async def test_steps_and_emergencies_go_by_the_skills_names(session: AsyncSession) -> None:
    relaxed = HOUSE.replace(
        "    tags: [invoice]\n",
        "    tags: [invoice]\n    emergency: true\n    steps: [after 5 min without German, after 120 s German 1]\n",
    )

    await _apply(session, relaxed)

    rule = (await session.scalars(select(Rule).order_by(Rule.position))).first()
    assert rule is not None
    assert rule.emergency
    assert [(step["after"], step["level"]) for step in rule.steps] == [(120, 1), (300, None)]
    text = await export(session)
    assert "- after 2 min German 1\n  - after 5 min without German" in text
    assert (await plan(session, text)).lines == ()
    assert (await plan(session, relaxed)).lines == ()
    with pytest.raises(Invalid, match="rule German invoices: 'after 5 min without Klingon': there is no skill"):
        await _apply(session, relaxed.replace("without German", "without Klingon"))


async def test_what_an_agent_carries_of_a_channel_goes_by_lines_or_as_a_mapping(session: AsyncSession) -> None:
    capped = HOUSE.replace("    skills: {German: 3}\n", "    skills: {German: 3}\n    channel_caps: {bluesky: 1}\n")

    await _apply(session, capped)

    assert await session.scalar(select(Agent.channel_caps)) == {"bluesky": 1}
    text = await export(session)
    assert "'bluesky: 1'" in text
    assert (await plan(session, text)).lines == ()
    with pytest.raises(Invalid, match="'bluesky: 101': the number is 0 to 100"):
        await plan(session, capped.replace("bluesky: 1", "bluesky: 101"))


async def test_the_example_of_the_operators_guide_is_taken_as_it_stands(session: AsyncSession) -> None:
    await _apply(session, HOUSE)
    guide = (Path(__file__).parents[2] / "docs" / "operators.md").read_text()
    example = guide.partition("```yaml\nqueues:\n")[2].partition("```")[0]

    await _apply(session, f"queues:\n{example}  - {{name: Everything else, queue: Everything}}\n")

    rule = (await session.scalars(select(Rule).where(Rule.name == "German invoices"))).one()
    assert (len(rule.steps), rule.emergency) == (2, True)
    assert (await plan(session, await export(session))).lines == ()


async def test_reasons_not_to_be_ready_are_exactly_those_of_the_file_in_their_order(session: AsyncSession) -> None:
    lines = await _apply(session, "reasons: [Coaching, Lunch]\n")
    assert lines == ["~ reasons not to be ready: break, lunch, training, technical -> Coaching, lunch"]
    assert await _apply(session, "reasons: [Coaching, lunch]\n") == []
    with pytest.raises(Invalid, match=r"Line 1, reasons.*sets “missed” itself"):
        await _apply(session, "reasons: [missed]\n")
    with pytest.raises(Invalid, match="a reason named LUNCHBREAK already"):
        await _apply(session, "reasons: [Lunchbreak, LUNCHBREAK]\n")


SHARED = """
saved_replies:
  - title: On its way
    language: en
    tags: [delivery]
    body: It has left our warehouse.
  - title: Returns
    team: Care
    body: Send it back within 60 days.
macros:
  - name: Answer and close
    team: Care
    reply: On its way (en)
    add_tags: [delivery]
    end: "close:answered"
  - name: To billing
    end: "transfer:Billing"
"""


async def test_shared_saved_replies_and_macros_go_there_and_back_by_names(session: AsyncSession) -> None:
    await _apply(session, HOUSE)
    lines = await _apply(session, SHARED)
    assert lines == [
        "+ saved reply On its way (en)",
        "+ saved reply Returns",
        "+ macro Answer and close",
        "+ macro To billing",
    ]
    text = await export(session)
    assert (await plan(session, text)).lines == ()
    assert await _apply(session, text) == []
    queue = (await session.scalars(select(Queue).where(Queue.name == "Billing"))).one()
    kept = {macro.name: macro.steps for macro in await session.scalars(select(Macro))}
    assert kept["To billing"] == [{"do": "transfer", "value": str(queue.id)}]
    [step, *_] = kept["Answer and close"]
    assert await session.scalar(select(SavedReply.title).where(SavedReply.id == step["value"])) == "On its way"


async def test_what_somebody_keeps_to_themselves_is_not_in_the_file(session: AsyncSession) -> None:
    await _apply(session, HOUSE)
    ayumi = (await session.scalars(select(Agent))).one()
    await save_reply(session, ayumi, SavedSettings(title="Mine", body="My own words."))
    assert "My own words." not in await export(session)
    await _apply(session, "saved_replies: [{title: Mine, body: Of all of us.}]")
    assert set(await session.scalars(select(SavedReply.body))) == {"My own words.", "Of all of us."}


async def test_a_saved_reply_of_the_file_is_changed_in_place_and_those_it_does_not_name_stay(
    session: AsyncSession,
) -> None:
    await _apply(session, HOUSE)
    await _apply(session, SHARED)
    before = dict(list(await session.execute(select(SavedReply.title, SavedReply.id))))
    lines = await _apply(session, "saved_replies: [{title: Returns, body: Within 90 days.}]")
    assert lines == [
        "~ saved reply Returns: body Send it back within 60 days. -> Within 90 days.; team Care -> nothing"
    ]
    assert dict(list(await session.execute(select(SavedReply.title, SavedReply.id)))) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("macros: [{name: M, reply: Nothing}]", "macro M: there is no saved reply named 'Nothing'"),
        ("macros: [{name: M, end: 'transfer:Nowhere'}]", "macro M: there is no queue named 'Nowhere'"),
        ("macros: [{name: M, end: 'fly:away'}]", "macro M: end: "),
        ("macros: [{name: M}]", "at least one thing"),
        ("saved_replies: [{title: T, body: B, team: Nobody}]", "saved reply T: there is no team named 'Nobody'"),
    ],
)
async def test_a_name_that_belongs_to_nothing_is_refused_by_its_macro_or_saved_reply(
    session: AsyncSession, text: str, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        await _apply(session, text)


async def test_two_shared_saved_replies_of_one_name_cannot_be_told_apart(session: AsyncSession) -> None:
    session.add_all([SavedReply(title="Returns", body=one) for one in ("This.", "That.")])
    await session.flush()
    with pytest.raises(Conflict, match="Two saved replies are named 'Returns'"):
        await export(session)
