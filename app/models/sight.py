"""What a person may see: agents and supervisors the queues of their teams, admins everything.

Who is asked as an expert may also read that one item, while it is open: `sees` and `consulted_items`. Being asked gives
nothing but reading, notes and the answer.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.orm import aliased

from app.models.agent import Agent, Role, TeamMember
from app.models.item import OPEN_STATES, Item
from app.models.queue import Queue
from app.models.saved import Kept
from app.models.together import Consult, ConsultExpert

_ALL_QUEUES = select(Queue.id)


def visible_queues(agent: Agent) -> Select[Any]:
    """The ids of the queues whose items the agent may see, as a subquery; the same object for the same agent."""
    return _ALL_QUEUES if agent.is_at_least(Role.ADMIN) else _team_queues(agent.id)


@lru_cache(maxsize=2_000)
def _team_queues(agent_id: int) -> Select[int]:
    teams = select(TeamMember.team_id).where(TeamMember.agent_id == agent_id)
    return _ALL_QUEUES.where(Queue.team_id.in_(teams))


def queues_of(agent_ids: Iterable[int]) -> Select[int, int]:
    """The same for many agents at once: pairs of an agent's id and a queue's."""
    theirs = exists().where(TeamMember.agent_id == Agent.id, TeamMember.team_id == Queue.team_id)
    return select(Agent.id, Queue.id).join(Queue, (Agent.role == Role.ADMIN) | theirs).where(Agent.id.in_(agent_ids))


def consulted_of(agent_ids: Iterable[int]) -> Select[int, int]:
    """The open items about which agents are asked, or have answered a question: pairs of an agent's id and an item's."""
    asked = aliased(Item)
    return (
        select(ConsultExpert.agent_id, Consult.item_id)
        .join(Consult, Consult.id == ConsultExpert.consult_id)
        .join(asked, asked.id == Consult.item_id)
        .where(
            ConsultExpert.agent_id.in_(agent_ids),
            Consult.withdrawn_at.is_(None),
            or_(Consult.answered_at.is_(None), Consult.answerer_id == ConsultExpert.agent_id),
            asked.state.in_(OPEN_STATES),
        )
    )


@lru_cache(maxsize=2_000)
def consulted_items(agent_id: int) -> Select[int]:
    """The ids of the open items about which the agent is asked, or has answered a question."""
    return consulted_of([agent_id]).with_only_columns(Consult.item_id)


@lru_cache(maxsize=2_000)
def sees(agent_id: int, queues: Select[Any]) -> ColumnElement[bool]:
    """Whether the agent may read an item: in a queue of theirs (`queues`), in their hands, or asked about it."""
    return Item.queue_id.in_(queues) | (Item.agent_id == agent_id) | Item.id.in_(consulted_items(agent_id))


def visible_kept(kind: type[Kept], agent: Agent) -> ColumnElement[bool]:
    """Which saved replies (or macros, or views) an agent may use: their own, those of their teams, and everybody's."""
    teams = select(TeamMember.team_id).where(TeamMember.agent_id == agent.id)
    shared: ColumnElement[bool] = kind.agent_id.is_(None)
    if not agent.is_at_least(Role.ADMIN):
        shared &= kind.team_id.is_(None) | kind.team_id.in_(teams)
    return or_(shared, kind.agent_id == agent.id)
