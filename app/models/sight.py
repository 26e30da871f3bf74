"""What a person may see: agents and supervisors the queues of their teams, admins everything."""

from typing import Any

from sqlalchemy import Select, select

from app.models.agent import Agent, Role, TeamMember
from app.models.queue import Queue


def visible_queues(agent: Agent) -> Select[Any]:
    """The ids of the queues whose items the agent may see, as a subquery."""
    queues = select(Queue.id)
    if agent.is_at_least(Role.ADMIN):
        return queues
    teams = select(TeamMember.team_id).where(TeamMember.agent_id == agent.id)
    return queues.where(Queue.team_id.in_(teams))
