"""Carrying out a configuration file by the same verbs that the admin pages use, so that both refuse the same things."""

from collections.abc import Iterable, Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.errors import Invalid
from app.flow.config_saved import apply_macros, apply_saved
from app.flow.config_schema import AgentPart, Document, FeedPart, QueuePart, RulePart
from app.flow.configure_agent import (
    AgentPlaces,
    AgentSettings,
    agent_places,
    agent_settings,
    change_agent,
    create_agent,
)
from app.flow.configure_feed import FeedSettings, change_feed, create_feed, feed_settings
from app.flow.configure_queue import QueueSettings, change_queue, create_queue, queue_settings
from app.flow.configure_reason import arrange_reasons
from app.flow.configure_rules import RuleSettings, arrange_rules
from app.flow.configure_skill import SkillSettings, create_skill
from app.flow.configure_team import TeamSettings, create_team
from app.flow.relaxing import RuleStep, read_steps
from app.flow.triage import Conditions
from app.i18n import _
from app.models.account import Account
from app.models.agent import Agent, Skill, Team
from app.models.feed import Feed
from app.models.queue import Queue
from app.models.rule import Rule

Ids = Mapping[str, int]


async def apply_document(session: AsyncSession, document: Document) -> None:
    """Make and change what the file names, section by section; what does not differ is not touched."""
    await _names(session, document)
    if document.reasons is not None:
        await arrange_reasons(session, document.reasons)
    await _new_queues(session, document.queues or ())
    await _queues(session, document.queues or (), closing=False)
    await _agents(session, document.agents or ())
    await _feeds(session, document.feeds or ())
    if document.rules is not None:
        await _rules(session, document.rules)
    await _queues(session, document.queues or (), closing=True)
    await apply_saved(session, document.saved_replies or ())
    await apply_macros(session, document.macros or ())


async def _names(session: AsyncSession, document: Document) -> None:
    teams = await _ids(session, Team)
    for name in dict.fromkeys(document.teams or ()):
        if name not in teams:
            await create_team(session, TeamSettings(name=name))
    skills = await _ids(session, Skill)
    for name in dict.fromkeys(document.skills or ()):
        if name not in skills:
            await create_skill(session, SkillSettings(name=name))


async def _new_queues(session: AsyncSession, parts: Iterable[QueuePart]) -> None:
    """Make those that are missing, still without their overflow: what they overflow to may not be there yet."""
    teams, known = await _ids(session, Team), await _queue_ids(session)
    for part in parts:
        if part.name.lower() not in known:
            alone = part.model_copy(update={"active": True, "overflow_after": None, "overflow_when_nobody": False})
            await create_queue(session, _queue_settings(alone, teams, {}))


async def _queues(session: AsyncSession, parts: Iterable[QueuePart], *, closing: bool) -> None:
    """At first every queue is open, so that rules may go on to other ones; at last those that are to close do."""
    teams, queues = await _ids(session, Team), await _ids(session, Queue)
    known = await _queue_ids(session)
    for part in sorted(parts, key=lambda part: part.overflow_to is not None, reverse=closing):  # its target is open
        settings = _queue_settings(part, teams, queues)
        stored = await session.get_one(Queue, known[part.name.lower()])
        wanted = settings if closing else settings.model_copy(update={"active": settings.active or stored.active})
        if queue_settings(stored) != wanted:
            await change_queue(session, stored.id, wanted)


def _queue_settings(part: QueuePart, teams: Ids, queues: Ids) -> QueueSettings:
    """The settings of a queue of the file; with no queues to know, those before it overflows anywhere."""
    who = f"queue {part.name}"
    overflows = part.overflow_to is not None and bool(queues)
    return QueueSettings(
        **part.model_dump(exclude={"team", "overflow_to"}),
        team_id=_found(teams, part.team, who, "team"),
        overflow_queue_id=_found(queues, part.overflow_to or "", who, "queue") if overflows else None,
    )


async def _queue_ids(session: AsyncSession) -> dict[str, int]:
    """Queues are the same whatever the case of their names."""
    return dict(list(await session.execute(select(func.lower(Queue.name), Queue.id))))


async def _agents(session: AsyncSession, parts: Iterable[AgentPart]) -> None:
    teams, queues, skills = await _ids(session, Team), await _ids(session, Queue), await _ids(session, Skill)
    for part in parts:
        who = f"agent {part.email}"
        settings = AgentSettings(**part.model_dump(exclude={"teams", "queues", "skills"}))
        places = AgentPlaces(
            teams=frozenset(_found(teams, name, who, "team") for name in part.teams),
            queues=frozenset(_found(queues, name, who, "queue") for name in part.queues),
            skills={_found(skills, name, who, "skill"): level for name, level in part.skills.items()},
        )
        stored = await session.scalar(select(Agent).where(func.lower(Agent.email) == part.email.lower()))
        if stored is None:
            await create_agent(session, settings, None, places)
        elif agent_settings(stored) != settings or await agent_places(session, stored.id) != places:
            await change_agent(session, stored.id, settings, places)


async def _feeds(session: AsyncSession, parts: Iterable[FeedPart]) -> None:
    for part in parts:
        settings = FeedSettings(
            **part.model_dump(exclude={"channel", "account"}), account_id=await _account(session, part)
        )
        stored = await session.scalar(select(Feed).where(Feed.channel == part.channel, Feed.name == part.name))
        if stored is None:
            await create_feed(session, part.channel, settings)
        elif feed_settings(stored) != settings:
            await change_feed(session, stored.id, settings)


async def _account(session: AsyncSession, part: FeedPart) -> int | None:
    if part.account is None:
        return None
    channel = registry.get(part.channel).accounts_of or part.channel
    named = select(Account.id).where(Account.channel == channel, Account.name == part.account)
    found = list(await session.scalars(named))
    if len(found) != 1:
        count = "no" if not found else f"{len(found)}"
        raise Invalid(
            _(
                "feed %(part)s: there is %(count)s %(channel)s account named '%(account)s'. Accounts hold credentials, so they are added on the page, each with its own name."
            )
            % {"part": part.name, "count": count, "channel": part.channel, "account": part.account},
            "feeds",
        )
    return found[0]


async def _rules(session: AsyncSession, parts: Iterable[RulePart]) -> None:
    queues, skills, feeds = await _ids(session, Queue), await _ids(session, Skill), await _ids(session, Feed)
    stored = await _ids(session, Rule)
    wanted: dict[str, tuple[int | None, RuleSettings]] = {}
    for part in parts:
        who = f"rule {part.name}"
        if part.name in wanted:
            raise Invalid(_("Two rules are named '%(part)s'. Rename one.") % {"part": part.name}, "rules")
        when = part.when.model_dump() | {"feeds": [_found(feeds, name, who, "feed") for name in part.when.feeds]}
        settings = RuleSettings(
            **part.model_dump(include={"name", "enabled", "discard", "priority", "emergency", "tags"}),
            conditions=Conditions.model_validate(when),
            queue_id=None if part.queue is None else _found(queues, part.queue, who, "queue"),
            requirements={_found(skills, name, who, "skill"): level for name, level in part.needs.items()},
            steps=_steps(part, skills),
        )
        wanted[part.name] = (stored.get(part.name), settings)
    await arrange_rules(session, list(wanted.values()))


def _steps(part: RulePart, skills: Ids) -> tuple[RuleStep, ...]:
    try:
        return read_steps(part.steps, skills)
    except Invalid as error:
        raise Invalid(
            _("rule %(part)s: %(message)s") % {"part": part.name, "message": error.message}, error.field
        ) from None


async def _ids(session: AsyncSession, table: type[Team | Skill | Queue | Feed | Rule]) -> dict[str, int]:
    return dict(list(await session.execute(select(table.name, table.id))))


def _found(ids: Ids, name: str, who: str, thing: str) -> int:
    if name not in ids:
        raise Invalid(
            _("%(who)s: there is no %(thing)s named '%(name)s'. Correct the name, or add it to the file.")
            % {"who": who, "thing": thing, "name": name},
            f"{thing}s",
        )
    return ids[name]
