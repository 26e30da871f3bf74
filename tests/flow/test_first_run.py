"""The first run: one admin, once, and only for who reads the terminal."""

import asyncio

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.errors import Invalid, NotFound
from app.flow.config_file import apply, plan
from app.flow.first_run import FirstAdmin, first_run, first_run_code, is_first_run, must_match
from app.models.agent import Agent, Role, Team
from app.models.queue import Queue, QueueMember
from app.models.rule import Rule
from app.vault import Vault

ADMIN = FirstAdmin(name="Ruth Adeyemi", email="ruth@example.com")
VAULT = Vault([b"k" * 32])


async def test_the_first_run_makes_an_admin_a_team_a_queue_and_the_rule_that_catches_all(session: AsyncSession) -> None:
    admin = await first_run(session, ADMIN, "correct horse")

    assert admin.role == Role.ADMIN
    assert (await session.scalars(select(Team.name))).all() == ["Care"]
    assert (await session.scalars(select(Queue.name))).all() == ["Care"]
    assert (await session.scalars(select(QueueMember.agent_id))).all() == [admin.id]
    assert (await session.scalars(select(Rule.conditions))).all() == [{}]


async def test_nobody_makes_a_role_of_their_own_choice() -> None:
    assert FirstAdmin(name="R", email="r@example.com", role=Role.AGENT).role == Role.AGENT  # first_run overrides it


async def test_there_is_no_second_first_run_even_when_the_admin_has_left(session: AsyncSession) -> None:
    await first_run(session, ADMIN, "correct horse")
    await session.execute(update(Agent).values(active=False))

    assert not await is_first_run(session)
    with pytest.raises(NotFound, match="set up already"):
        await first_run(session, ADMIN.model_copy(update={"email": "eve@example.com"}), "correct horse")


async def test_of_two_at_once_one_becomes_the_admin(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)

    async def run(number: int) -> bool:
        try:
            async with sessions.begin() as session:
                await first_run(session, ADMIN.model_copy(update={"email": f"{number}@example.com"}), "correct horse")
        except NotFound:
            return False
        return True

    done = await asyncio.gather(*(run(number) for number in range(4)))

    assert sorted(done) == [False, False, False, True]
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Agent)) == 1


async def test_what_a_configuration_file_made_before_is_kept(session: AsyncSession) -> None:
    house = "teams: [Shop]\nqueues: [{name: Orders, team: Shop}]\nrules: [{name: All, queue: Orders}]\n"
    await apply(session, await plan(session, house))

    await first_run(session, ADMIN, "correct horse")

    assert (await session.scalars(select(Team.name))).all() == ["Shop"]
    assert (await session.scalars(select(Queue.name))).all() == ["Orders"]
    assert (await session.scalars(select(Rule.name))).all() == ["All"]


def test_the_code_belongs_to_the_key_and_is_read_leniently() -> None:
    code = first_run_code(VAULT)

    assert len(code) == len("ABCD-EFGH-IJKL")
    must_match(VAULT, f" {code.lower()} ")
    assert first_run_code(Vault([b"o" * 32])) != code
    for wrong in ("", "ABCD-EFGH-IJKL", code[:-1], code + "A"):
        with pytest.raises(Invalid) as refusal:
            must_match(VAULT, wrong)
        assert refusal.value.field == "code"
