"""How a rule's requirements relax in time, as people write it: `after 2 min German 2`, `after 5 min without German`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from re import IGNORECASE, fullmatch

from pydantic import Field

from app.connectors.base import SettingsModel
from app.errors import Invalid
from app.i18n import _
from app.routing.spans import SPAN, read_span, write_span

EXAMPLES = ("after 2 min German 2", "after 5 min without German")
LATEST = 30 * 86_400  # seconds


class RuleStep(SettingsModel):
    """From `after` seconds of waiting on, the skill is needed at `level` only, or (None) not at all."""

    after: int = Field(ge=1, le=LATEST)
    skill: int
    level: int | None = Field(None, ge=1, le=5)


@dataclass(frozen=True, slots=True)
class Relaxing:
    """A step by the skill's name, as it is written."""

    after: int
    skill: str
    level: int | None

    def __str__(self) -> str:
        """The line that `parse_step` reads as this."""
        when = f"after {write_span(self.after)}"
        return f"{when} without {self.skill}" if self.level is None else f"{when} {self.skill} {self.level}"


def parse_step(line: str) -> Relaxing:
    """The step of a line. Raises Invalid, naming the line and what is wrong with it."""
    match = fullmatch(
        rf"after\s+({SPAN})\s*[,:]?\s+(?:without\s+(?P<gone>\S.*)|(?P<skill>\S.*?)\s+(?P<level>[1-5])(?:\s+is enough)?)",
        line.strip(),
        IGNORECASE,
    )
    if match is None:
        raise Invalid(
            _("'%(line)s': write it as '%(one)s' or '%(other)s'; a level is 1 to 5.")
            % {"line": line, "one": EXAMPLES[0], "other": EXAMPLES[1]},
            "steps",
        )
    try:
        after = read_span(match[1])
    except Invalid as error:
        raise Invalid(_("'%(line)s': %(message)s") % {"line": line, "message": error.message}, "steps") from None
    if not 1 <= after <= LATEST:
        raise Invalid(
            _("'%(line)s': a step comes after 1 s to %(latest)s.") % {"line": line, "latest": write_span(LATEST)},
            "steps",
        )
    level = None if match["gone"] else int(match["level"])
    return Relaxing(after, match["gone"] or match["skill"], level)


def read_steps(lines: Iterable[str], skills: Mapping[str, int]) -> tuple[RuleStep, ...]:
    """The steps of the lines, by skill ids. `skills` are the ids by name. Raises Invalid, naming the line."""
    folded = {name.casefold(): skill_id for name, skill_id in skills.items()}
    steps = []
    for line in lines:
        step = parse_step(line)
        skill = skills.get(step.skill, folded.get(step.skill.casefold()))
        if skill is None:
            raise Invalid(
                _("'%(line)s': there is no skill %(skill)s. Correct the name, or add it first.")
                % {"line": line, "skill": step.skill},
                "steps",
            )
        steps.append(RuleStep(after=step.after, skill=skill, level=step.level))
    return tuple(steps)


def write_step(step: RuleStep, names: Mapping[int, str]) -> str:
    """The line of a step. `names` are the skills' by id; one that is gone is shown by its number."""
    return str(Relaxing(step.after, names.get(step.skill, str(step.skill)), step.level))


def sorted_lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines as they are shown, in order of time. Raises ValueError, naming the one that makes no sense."""
    try:
        return tuple(str(one) for one in sorted(map(parse_step, lines), key=lambda one: one.after))
    except Invalid as error:
        raise ValueError(error.message) from None


def in_order(steps: tuple[RuleStep, ...]) -> tuple[RuleStep, ...]:
    """The steps in order of time."""
    return tuple(sorted(steps, key=lambda step: step.after))


def check_steps(steps: Iterable[RuleStep], needs: Mapping[int, int], names: Mapping[int, str]) -> None:
    """Refuse steps, in order of time, that change nothing of what is needed then. Raises Invalid, naming the line."""
    left = dict(needs)
    for step in steps:
        line, skill = write_step(step, names), names.get(step.skill, str(step.skill))
        if step.skill not in needs:
            raise Invalid(
                _("'%(line)s': the rule does not need %(skill)s. Take the line out, or ask for the skill.")
                % {"line": line, "skill": skill},
                "steps",
            )
        if step.skill not in left:
            raise Invalid(
                _("'%(line)s': %(skill)s is not needed any more by then. Take the line out.")
                % {"line": line, "skill": skill},
                "steps",
            )
        if step.level is None:
            del left[step.skill]
        elif step.level >= left[step.skill]:
            raise Invalid(
                _("'%(line)s': %(skill)s %(left)s is needed until then. A step lowers the level.")
                % {"line": line, "skill": skill, "left": left[step.skill]},
                "steps",
            )
        else:
            left[step.skill] = step.level
