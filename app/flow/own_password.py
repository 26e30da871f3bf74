"""Change one's own password: who knows the old one may, and is signed out everywhere else."""

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.passwords import hashed, matches
from app.flow.sign_in import check_patience, count_failure
from app.models.agent import Agent, SignIn


async def change_own_password(
    session: AsyncSession, agent: Agent, old: str, new: str, *, address: str, sign_in_id: int
) -> bool:
    """Set `new`, if `old` is right, and end the agent's other sign-ins.

    A wrong one gives False and is counted like a failed sign-in, in the same transaction: commit it in either case.

    Raises:
        Throttled: too many tries failed before.
        Invalid: the new password is too short or too long.
    """
    await check_patience(session, agent.email, address)
    password_hash = await hashed(new)
    if not await matches(agent.password_hash, old):
        await count_failure(session, agent.email, address)
        return False
    agent.password_hash = password_hash
    await session.flush()
    await session.execute(delete(SignIn).where(SignIn.agent_id == agent.id, SignIn.id != sign_in_id))
    return True
