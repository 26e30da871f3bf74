"""Configure rules: ordered, the last one catches all. One change of the order at a time."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Conflict, Invalid, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh
from app.flow.relaxing import RuleStep, check_steps, in_order
from app.flow.triage import Conditions
from app.i18n import N_, _
from app.models.agent import Skill
from app.models.feed import Feed
from app.models.queue import Queue
from app.models.rule import Rule

Step = Literal["up", "down"]

# Other writers of the table wait until this transaction ends; readers (triage) and foreign keys do not.
_TAKE_TURNS = text("LOCK TABLE rule IN SHARE ROW EXCLUSIVE MODE")


class RuleBasics(SettingsModel):
    """What a rule is called, and whether it is on."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=120, examples=["German billing"])
    enabled: bool = Field(True, title=N_("On"))
    discard: bool = Field(False, title=N_("Discard"), description=N_("Nobody will be asked to answer such posts."))
    priority: int = Field(3, title=N_("Priority"), description=N_("1 is the highest, 5 the lowest."), ge=1, le=5)
    emergency: bool = Field(
        False,
        title=N_("Emergency"),
        description=N_("Such items may be given to an agent who is full, where the queue allows it."),
    )


class RuleSettings(RuleBasics):
    """What an admin sets of a rule. `requirements` maps a skill's id to the lowest level."""

    conditions: Conditions = Field(default_factory=Conditions, title=N_("When"))
    queue_id: int | None = Field(None, title=N_("Queue"))
    requirements: Mapping[int, int] = Field(default_factory=dict, title=N_("Needs skills"))
    steps: Annotated[tuple[RuleStep, ...], AfterValidator(in_order)] = Field((), title=N_("Relaxes"), max_length=20)
    tags: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field((), title=N_("Tags"), max_length=20)


def rule_settings(rule: Rule) -> RuleSettings:
    """The settings of a stored rule."""
    return RuleSettings(
        name=rule.name,
        enabled=rule.enabled,
        conditions=Conditions.model_validate(rule.conditions),
        discard=rule.discard,
        queue_id=rule.queue_id,
        priority=rule.priority,
        requirements={int(skill): level for skill, level in sorted(rule.requirements.items())},
        steps=tuple(RuleStep.model_validate(step) for step in rule.steps),
        emergency=rule.emergency,
        tags=tuple(rule.tags),
    )


async def create_rule(session: AsyncSession, settings: RuleSettings) -> Rule:
    """Make a rule just before the one that catches all; the very first one is the one that catches all.

    Raises:
        Invalid: the queue, a skill or a feed is unknown, or the first rule would not catch all.
    """
    await session.execute(_TAKE_TURNS)
    last = await _last(session)
    await _check(session, settings, catches_all=last is None)
    if last is None:
        position = 1
    else:
        position = last.position
        last.position += 1
    rule = Rule(position=position, **_columns(settings))
    session.add(rule)
    await session.flush()
    return rule


async def change_rule(session: AsyncSession, rule_id: int, settings: RuleSettings, seen: str | None = None) -> Rule:
    """Change a rule where it stands. Items that it routed before stay where they are.

    Raises:
        NotFound: somebody removed it.
        Conflict: somebody else changed it meanwhile.
        Invalid: see `create_rule`.
    """
    await session.execute(_TAKE_TURNS)
    rule = await _rule(session, rule_id)
    must_be_fresh(rule_settings(rule), seen, rule.name)
    last = await _last(session)
    await _check(session, settings, catches_all=last is rule)
    for name, value in _columns(settings).items():
        setattr(rule, name, value)
    rule.updated_at = func.now()
    await session.flush()
    return rule


async def move_rule(session: AsyncSession, rule_id: int, step: Step, seen: int | None = None) -> Rule:
    """Let a rule change places with the one above or below. `seen` is the position that the page showed.

    Raises:
        NotFound: somebody removed it.
        Conflict: somebody else moved it meanwhile, or it stands at the end of its way.
    """
    await session.execute(_TAKE_TURNS)
    rule = await _rule(session, rule_id)
    if seen is not None and seen != rule.position:
        raise Conflict(
            _("Somebody else moved the rule %(rule)s meanwhile. Look at the order again.") % {"rule": rule.name}
        )
    last = await _last(session)
    neighbour = await _neighbour(session, rule, step)
    if last is rule:
        raise Conflict(_("%(rule)s catches what no other rule takes, so it stays last.") % {"rule": rule.name})
    if neighbour is None or neighbour is last:
        raise Conflict(_("%(rule)s cannot move further %(step)s.") % {"rule": rule.name, "step": step})
    rule.position, neighbour.position = neighbour.position, rule.position
    await session.flush()
    return rule


async def remove_rule(session: AsyncSession, rule_id: int) -> None:
    """Remove a rule; its items forget it. Raises NotFound, Conflict for the one that catches all."""
    await session.execute(_TAKE_TURNS)
    rule = await _rule(session, rule_id)
    if await _last(session) is rule:
        raise Conflict(
            _("%(rule)s catches what no other rule takes. Without it posts would be lost: change it instead.")
            % {"rule": rule.name}
        )
    position = rule.position
    await session.delete(rule)
    await session.flush()
    await session.execute(update(Rule).where(Rule.position > position).values(position=Rule.position - 1))


async def arrange_rules(session: AsyncSession, wanted: Sequence[tuple[int | None, RuleSettings]]) -> None:
    """Make these the rules, in this order: changed where an id is given, new where it is None; all others go.

    Raises:
        NotFound: one of the ids is gone.
        Invalid: see `create_rule`; also when there would be no rule at all.
    """
    if not wanted:
        raise Invalid(_("There must be a rule: the last one catches all."), "rules")
    await session.execute(_TAKE_TURNS)
    kept = {rule_id for rule_id, _ in wanted if rule_id is not None}
    stored = {rule.id: rule for rule in await session.scalars(select(Rule).execution_options(populate_existing=True))}
    if kept - stored.keys():
        raise NotFound(_("Somebody removed one of the rules meanwhile."))
    for rule_id in stored.keys() - kept:
        await session.delete(stored[rule_id])
    for position, (known, settings) in enumerate(wanted, start=1):
        await _check(session, settings, catches_all=position == len(wanted))
        columns = _columns(settings) | {"position": position}
        if known is None:
            session.add(Rule(**columns))
        elif any(getattr(stored[known], name) != value for name, value in columns.items()):
            stored[known].updated_at = func.now()
            for name, value in columns.items():
                setattr(stored[known], name, value)
    await session.flush()


async def _rule(session: AsyncSession, rule_id: int) -> Rule:
    rule = await session.get(Rule, rule_id, populate_existing=True, with_for_update=UPDATE_LOCK)
    if rule is None:
        raise NotFound(_("There is no such rule. Somebody may have removed it."))
    return rule


async def _last(session: AsyncSession) -> Rule | None:
    return await session.scalar(select(Rule).order_by(Rule.position.desc()).limit(1))


async def _neighbour(session: AsyncSession, rule: Rule, step: Step) -> Rule | None:
    above = select(Rule).where(Rule.position < rule.position).order_by(Rule.position.desc())
    below = select(Rule).where(Rule.position > rule.position).order_by(Rule.position)
    return await session.scalar((above if step == "up" else below).limit(1))


async def _check(session: AsyncSession, settings: RuleSettings, *, catches_all: bool) -> None:
    if catches_all:
        _check_catches_all(settings)
    if not settings.discard:
        await _check_queue(session, settings.queue_id)
    if any(level not in range(1, 6) for level in settings.requirements.values()):
        raise Invalid(_("A level is 1 to 5."), "requirements")
    skills = await _skills(session, {*settings.requirements, *(step.skill for step in settings.steps)})
    if settings.requirements.keys() - skills.keys():
        raise Invalid(_("One of the skills was removed meanwhile. Look at the list again."), "requirements")
    check_steps(settings.steps, settings.requirements, skills)
    feeds = set(await session.scalars(select(Feed.id).where(Feed.id.in_(settings.conditions.feeds))))
    if set(settings.conditions.feeds) - feeds:
        raise Invalid(_("One of the feeds was removed meanwhile. Look at the list again."), "conditions")
    low, high = settings.conditions.followers_min, settings.conditions.followers_max
    if low is not None and high is not None and low > high:
        raise Invalid(
            _("Nobody has at least %(low)s and at most %(high)s followers.") % {"low": low, "high": high}, "conditions"
        )


async def _skills(session: AsyncSession, ids: Collection[int]) -> dict[int, str]:
    return dict(list(await session.execute(select(Skill.id, Skill.name).where(Skill.id.in_(ids)))))


def _check_catches_all(settings: RuleSettings) -> None:
    if settings.conditions != Conditions():
        raise Invalid(_("The last rule takes what no other took, so it has no conditions."), "conditions")
    if not settings.enabled:
        raise Invalid(_("The last rule takes what no other took, so it stays on."), "enabled")
    if settings.discard:
        raise Invalid(
            _("The last rule takes what no other took; to discard all that would lose posts silently. Choose a queue."),
            "discard",
        )


async def _check_queue(session: AsyncSession, queue_id: int | None) -> None:
    if queue_id is None:
        raise Invalid(_("Choose the queue that such posts go to, or discard them."), "queue_id")
    active = await session.scalar(
        select(Queue.active).where(Queue.id == queue_id).with_for_update(read=True, key_share=True)
    )
    if not active:
        raise Invalid(_("That queue is not active (any more). Choose another one."), "queue_id")


def _columns(settings: RuleSettings) -> dict[str, object]:
    return {
        "name": settings.name,
        "enabled": settings.enabled,
        "conditions": settings.conditions.model_dump(mode="json", exclude_defaults=True),
        "discard": settings.discard,
        "queue_id": None if settings.discard else settings.queue_id,
        "priority": settings.priority,
        "requirements": {str(skill): level for skill, level in sorted(settings.requirements.items())},
        "steps": [{"after": step.after, "skill": str(step.skill), "level": step.level} for step in settings.steps],
        "emergency": settings.emergency,
        "tags": list(settings.tags),
    }
