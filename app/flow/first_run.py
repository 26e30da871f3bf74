"""First run: the first admin, with a team, a queue and the rule that catches all. Refused for ever once there is an admin.

Whoever opens a fresh Careline first must not become its admin just for being first: the page asks for a code that
`careline up` prints to the operator's terminal. The code is an HMAC of the newest sealing key, so it needs no table,
is the same in every process, tells nothing about the key, and dies with the page.
"""

import base64
import hmac
import re

from pydantic import Field
from sqlalchemy import exists, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid, NotFound
from app.flow.configure_agent import AgentPlaces, AgentSettings, create_agent, set_places
from app.flow.configure_queue import QueueSettings, create_queue
from app.flow.configure_rules import RuleSettings, create_rule
from app.i18n import N_, _
from app.models.agent import Agent, Role, Team
from app.models.queue import Queue
from app.models.rule import Rule
from app.vault import Vault

_PURPOSE = "first run code 1"
_LETTERS = 12  # of base32: 60 bits

# Two who send the form at once take turns; everybody may go on reading agents meanwhile.
_TAKE_TURNS = text("LOCK TABLE agent IN SHARE ROW EXCLUSIVE MODE")


class FirstAdmin(AgentSettings):
    """Who administers, and what the first queue is called."""

    queue: str = Field(
        "Care",
        title=N_("First queue"),
        description=N_("Everything that comes goes here at first."),
        min_length=1,
        max_length=80,
    )


def first_run_code(vault: Vault) -> str:
    """The code for this installation, as it is printed: `ABCD-EFGH-IJKL`."""
    letters = base64.b32encode(vault.derived(_PURPOSE)).decode()[:_LETTERS]
    return "-".join(letters[i : i + 4] for i in range(0, _LETTERS, 4))


def must_match(vault: Vault, given: str) -> None:
    """Refuse a wrong code. Raises Invalid."""
    typed = re.sub(r"[\s-]", "", given).upper()
    expected = first_run_code(vault).replace("-", "")
    if not hmac.compare_digest(typed.encode(), expected.encode()):
        raise Invalid(_("That is not the code. It stands in the terminal (or log) where Careline was started."), "code")


async def is_first_run(session: AsyncSession) -> bool:
    """Whether there has never been an admin."""
    return not await session.scalar(select(exists().where(Agent.role == Role.ADMIN)))


async def first_run(session: AsyncSession, settings: FirstAdmin, password: str) -> Agent:
    """Make the first admin, their team, the first queue and the rule that catches all.

    Raises:
        NotFound: there is, or was, an admin already.
        Invalid: something in the form is not acceptable.
    """
    await session.execute(_TAKE_TURNS)
    if not await is_first_run(session):
        raise NotFound(_("Careline is set up already. Sign in, or ask your admin for an account."))
    values = settings.model_dump(exclude={"queue"}) | {"role": Role.ADMIN, "active": True}
    admin = await create_agent(session, AgentSettings(**values), password)
    await _house(session, admin, settings.queue)
    return admin


async def _house(session: AsyncSession, admin: Agent, name: str) -> None:
    """A team, a queue with the admin in it, and the catch-all rule, unless they were configured before (by YAML)."""
    team_id = await session.scalar(select(Team.id).order_by(Team.id).limit(1))
    if team_id is None:
        team_id = await session.scalar(insert(Team).values(name="Care").returning(Team.id))
    queue_id = await session.scalar(select(Queue.id).where(Queue.active).order_by(Queue.id).limit(1))
    if queue_id is None:
        queue_id = (await create_queue(session, QueueSettings(name=name, team_id=team_id or 0))).id
    if not await session.scalar(select(exists().select_from(Rule))):
        await create_rule(session, RuleSettings(name="Everything else", queue_id=queue_id))
    await set_places(session, admin.id, AgentPlaces(teams=frozenset({team_id or 0}), queues=frozenset({queue_id})))
