"""The configuration as a file: export it, plan what a file would change, apply that in one transaction.

Applying what was exported changes nothing. A plan is only applied to the configuration it was made for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Conflict
from app.flow.config_apply import apply_document
from app.flow.config_saved import macro_parts, saved_parts
from app.flow.config_schema import (
    AgentPart,
    Document,
    FeedPart,
    MacroPart,
    QueuePart,
    RulePart,
    SavedPart,
    WhenPart,
)
from app.flow.config_yaml import read, write
from app.flow.configure_agent import agent_places, agent_settings
from app.flow.configure_feed import feed_settings
from app.flow.configure_queue import queue_settings
from app.flow.configure_rules import rule_settings
from app.flow.configured import fingerprint
from app.flow.relaxing import write_step
from app.i18n import _
from app.models.account import Account
from app.models.agent import Agent, ReasonCode, Skill, Team
from app.models.feed import Feed
from app.models.queue import Queue
from app.models.rule import Rule


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file would change: one line a thing, `+` new, `~` changed, `-` removed. No lines: nothing."""

    document: Document
    lines: tuple[str, ...]
    seen: str  # the configuration that the plan was made for

    def __str__(self) -> str:
        """The difference for people."""
        return "\n".join(self.lines) or "Nothing would change."


async def export(session: AsyncSession) -> str:
    """The configuration as YAML: by names, without anything secret. Raises Conflict when two rules share a name."""
    return write(await current(session))


async def plan(session: AsyncSession, text: str) -> Plan:
    """What applying the file would change. Changes nothing. Raises Invalid, with lines and paths."""
    document = read(text)
    stored = await current(session)
    return Plan(document, tuple(_difference(stored, document)), fingerprint(stored))


async def apply(session: AsyncSession, planned: Plan) -> None:
    """Carry a plan out, in the caller's transaction.

    Raises:
        Conflict: the configuration changed since the plan was made.
        Invalid: a name in the file belongs to nothing, or a verb refuses; nothing stays changed then.
    """
    if fingerprint(await current(session)) != planned.seen:
        raise Conflict(_("Somebody changed the configuration since this plan was made. Look at the difference again."))
    await apply_document(session, planned.document)


async def current(session: AsyncSession) -> Document:
    """The stored configuration."""
    teams = await _names(session, Team)
    skills = await _names(session, Skill)
    queues = list(await session.scalars(select(Queue).order_by(Queue.name)))
    agents = list(await session.scalars(select(Agent).order_by(Agent.email)))
    feeds = list(await session.scalars(select(Feed).order_by(Feed.channel, Feed.name)))
    rules = list(await session.scalars(select(Rule).order_by(Rule.position)))
    accounts = dict(list(await session.execute(select(Account.id, Account.name))))
    _unique("feeds", [f"{feed.channel} {feed.name}" for feed in feeds])
    _unique("rules", [rule.name for rule in rules])
    queue_names = {queue.id: queue.name for queue in queues}
    saved, macros = await saved_parts(session, teams), await macro_parts(session, teams, queue_names)
    _unique("saved replies", [one.key for one in saved])
    _unique("macros", [one.name for one in macros])
    feed_names = {feed.id: feed.name for feed in feeds}
    return Document(
        teams=tuple(sorted(teams.values())),
        skills=tuple(sorted(skills.values())),
        reasons=tuple(await session.scalars(select(ReasonCode.name).order_by(ReasonCode.id))),
        queues=tuple(_queue(queue, teams, queue_names) for queue in queues),
        agents=tuple([await _agent(session, agent, teams, queue_names, skills) for agent in agents]),
        feeds=tuple(_feed(feed, accounts) for feed in feeds),
        rules=tuple(_rule(rule, queue_names, skills, feed_names) for rule in rules),
        saved_replies=saved,
        macros=macros,
    )


async def _names(session: AsyncSession, table: type[Team] | type[Skill]) -> dict[int, str]:
    return dict(list(await session.execute(select(table.id, table.name))))


def _unique(section: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Conflict(
                _("Two %(section)s are named '%(name)s'. The file knows them by name: rename one first.")
                % {"section": section, "name": name}
            )
        seen.add(name)


def _queue(queue: Queue, teams: Mapping[int, str], queues: Mapping[int, str]) -> QueuePart:
    settings = queue_settings(queue)
    return QueuePart(
        team=teams[settings.team_id],
        overflow_to=None if settings.overflow_queue_id is None else queues[settings.overflow_queue_id],
        **settings.model_dump(exclude={"team_id", "overflow_queue_id"}),
    )


async def _agent(
    session: AsyncSession,
    agent: Agent,
    teams: Mapping[int, str],
    queues: Mapping[int, str],
    skills: Mapping[int, str],
) -> AgentPart:
    places = await agent_places(session, agent.id)
    return AgentPart(
        **agent_settings(agent).model_dump(),
        teams=tuple(sorted(teams[one] for one in places.teams)),
        queues=tuple(sorted(queues[one] for one in places.queues)),
        skills=dict(sorted((skills[one], level) for one, level in places.skills.items())),
    )


def _feed(feed: Feed, accounts: Mapping[int, str]) -> FeedPart:
    account = None if feed.account_id is None else accounts[feed.account_id]
    return FeedPart(channel=feed.channel, account=account, **feed_settings(feed).model_dump(exclude={"account_id"}))


def _rule(rule: Rule, queues: Mapping[int, str], skills: Mapping[int, str], feeds: Mapping[int, str]) -> RulePart:
    settings = rule_settings(rule)
    conditions = settings.conditions.model_dump() | {
        "feeds": [feeds[one] for one in settings.conditions.feeds if one in feeds]
    }
    return RulePart(
        name=settings.name,
        enabled=settings.enabled,
        when=WhenPart.model_validate(conditions),
        discard=settings.discard,
        queue=None if settings.queue_id is None else queues[settings.queue_id],
        priority=settings.priority,
        needs={skills[one]: level for one, level in settings.requirements.items()},
        steps=tuple(write_step(step, skills) for step in settings.steps),
        emergency=settings.emergency,
        tags=settings.tags,
    )


def _difference(stored: Document, wanted: Document) -> Iterable[str]:
    for section, thing in (("teams", "team"), ("skills", "skill")):
        for name in getattr(wanted, section) or ():
            if name not in getattr(stored, section):
                yield f"+ {thing} {name}"
    if wanted.reasons is not None and wanted.reasons != stored.reasons:
        yield f"~ reasons not to be ready: {', '.join(stored.reasons or ())} -> {', '.join(wanted.reasons)}"
    for section, thing in (("queues", "queue"), ("agents", "agent"), ("feeds", "feed")):
        yield from _changes(thing, getattr(stored, section), getattr(wanted, section) or ())
    if wanted.rules is not None:
        yield from _changes("rule", stored.rules or (), wanted.rules)
        yield from _gone_and_moved([r.name for r in stored.rules or ()], [r.name for r in wanted.rules])
    yield from _changes("saved reply", stored.saved_replies or (), wanted.saved_replies or ())
    yield from _changes("macro", stored.macros or (), wanted.macros or ())


def _changes(thing: str, stored: Iterable[SettingsModel], wanted: Iterable[SettingsModel]) -> Iterable[str]:
    known = {key_of(one): one.model_dump(mode="json") for one in stored}
    for one in wanted:
        key, values = key_of(one), one.model_dump(mode="json")
        if key not in known:
            yield f"+ {thing} {key}"
            continue
        changed = [
            f"{name} {_say(known[key][name])} -> {_say(new)}" for name, new in values.items() if known[key][name] != new
        ]
        if changed:
            yield f"~ {thing} {key}: " + "; ".join(changed)


def _gone_and_moved(stored: list[str], wanted: list[str]) -> Iterable[str]:
    for name in stored:
        if name not in wanted:
            yield f"- rule {name}"
    before = [name for name in stored if name in wanted]
    after = [name for name in wanted if name in stored]
    if before != after:
        yield f"~ order of the rules: {', '.join(before)} -> {', '.join(after)}"


def key_of(part: SettingsModel) -> str:
    """What a thing of the file is known by."""
    match part:
        case AgentPart():
            return part.email.lower()
        case FeedPart():
            return f"{part.channel} {part.name}"
        case QueuePart() | RulePart() | MacroPart():
            return part.name
        case SavedPart():
            return part.key
    raise TypeError(f"{type(part).__name__} has no key.")


def _say(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value in (None, "", {}) else str(value)
