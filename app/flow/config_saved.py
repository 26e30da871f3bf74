"""Shared saved replies and macros as the configuration file has them: by names, both ways."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.config_schema import MacroPart, SavedPart
from app.flow.macro import MacroSettings, settings_of
from app.flow.saved import ALL, shape
from app.i18n import _
from app.models.agent import Team
from app.models.queue import Queue
from app.models.saved import Macro, SavedReply

SEND = "transfer:"


async def saved_parts(session: AsyncSession, teams: Mapping[int, str]) -> tuple[SavedPart, ...]:
    """The shared saved replies."""
    return tuple(_saved(one, teams) for one in await _shared_replies(session))


async def macro_parts(
    session: AsyncSession, teams: Mapping[int, str], queues: Mapping[int, str]
) -> tuple[MacroPart, ...]:
    """The shared macros. What they name that is gone, they name no more."""
    replies = {one.id: _saved(one, teams).key for one in await _shared_replies(session)}
    return tuple(_macro(one, teams, queues, replies) for one in await _shared_macros(session))


async def apply_saved(session: AsyncSession, parts: Iterable[SavedPart]) -> None:
    """Make and change the saved replies that the file names. Raises Invalid for a team that there is not."""
    teams = dict(list(await session.execute(select(Team.name, Team.id))))
    named = _turned(teams)
    known = {_saved(one, {}).key: one for one in await _shared_replies(session)}
    for part in parts:
        stored = known.get(part.key)
        if stored is not None and _saved(stored, named) == part:
            continue
        if stored is None:
            stored = known[part.key] = SavedReply()
            session.add(stored)
        stored.team_id = _team(teams, part.team, f"saved reply {part.key}")
        shape(stored, part)
    await session.flush()


async def apply_macros(session: AsyncSession, parts: Iterable[MacroPart]) -> None:
    """Make and change the macros that the file names. Raises Invalid for what they name that there is not."""
    teams = dict(list(await session.execute(select(Team.name, Team.id))))
    queues = dict(list(await session.execute(select(Queue.name, Queue.id))))
    replies = {_saved(one, {}).key: one.id for one in await _shared_replies(session)}
    known = {one.name: one for one in await _shared_macros(session)}
    as_they_are = {part.name: part for part in await macro_parts(session, _turned(teams), _turned(queues))}
    for part in parts:
        if as_they_are.get(part.name) == part:
            continue
        who, stored, steps = f"macro {part.name}", known.get(part.name), _steps(part, queues, replies)
        if stored is None:
            stored = known[part.name] = Macro(name=part.name)
            session.add(stored)
        stored.team_id, stored.steps = _team(teams, part.team, who), steps
    await session.flush()


def _steps(part: MacroPart, queues: Mapping[str, int], replies: Mapping[str, int]) -> list[dict[str, Any]]:
    who, end = f"macro {part.name}", part.end
    reply = None if part.reply is None else _found(replies, part.reply, who, "saved reply", "saved_replies")
    if end.startswith(SEND):
        end = f"{SEND}{_found(queues, end.removeprefix(SEND), who, 'queue', 'queues')}"
    given = part.model_dump(exclude={"team", "reply", "end"})
    try:
        steps = MacroSettings.model_validate({**given, "reply": reply, "end": end, "whose": ALL}).steps()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(f"{who}: {wrong['loc'][0]}: {wrong['msg']}", "macros") from None
    if not steps:
        raise Invalid(_("%(who)s: choose at least one thing that it does.") % {"who": who}, "macros")
    return steps


def _turned(ids: Mapping[str, int]) -> dict[int, str]:
    return {one: name for name, one in ids.items()}


async def _shared_replies(session: AsyncSession) -> Sequence[SavedReply]:
    shared = select(SavedReply).where(SavedReply.agent_id.is_(None))
    return (await session.scalars(shared.order_by(SavedReply.title, SavedReply.language, SavedReply.id))).all()


async def _shared_macros(session: AsyncSession) -> Sequence[Macro]:
    return (await session.scalars(select(Macro).where(Macro.agent_id.is_(None)).order_by(Macro.name, Macro.id))).all()


def _saved(one: SavedReply, teams: Mapping[int, str]) -> SavedPart:
    team = None if one.team_id is None else teams.get(one.team_id)
    return SavedPart(title=one.title, body=one.body, language=one.language, tags=tuple(one.tags), team=team)


def _macro(one: Macro, teams: Mapping[int, str], queues: Mapping[int, str], replies: Mapping[int, str]) -> MacroPart:
    settings = settings_of(one)
    end = settings.end
    if end.startswith(SEND):
        queue = queues.get(int(end.removeprefix(SEND)))
        end = f"{SEND}{queue}" if queue else ""
    return MacroPart(
        **settings.model_dump(exclude={"whose", "reply", "end"}),
        team=None if one.team_id is None else teams.get(one.team_id),
        reply=None if settings.reply is None else replies.get(settings.reply),
        end=end,
    )


def _team(teams: Mapping[str, int], name: str | None, who: str) -> int | None:
    return None if name is None else _found(teams, name, who, "team", "teams")


def _found(ids: Mapping[str, int], name: str, who: str, thing: str, section: str) -> int:
    if name not in ids:
        raise Invalid(
            _("%(who)s: there is no %(thing)s named '%(name)s'. Correct the name, or add it to the file.")
            % {"who": who, "thing": thing, "name": name},
            section,
        )
    return ids[name]
