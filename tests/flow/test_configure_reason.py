"""Reason codes: what agents choose from when they are not ready."""

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Invalid
from app.flow.configure_reason import (
    ReasonSettings,
    arrange_reasons,
    change_reason,
    create_reason,
    remove_reason,
)
from app.flow.presence import set_presence
from app.models.agent import NotReadyReason, Presence, PresenceState, ReasonCode
from tests.company import make_company


async def names(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(ReasonCode.name).order_by(ReasonCode.id)))


async def test_an_installation_begins_with_the_four_that_careline_has_words_for(session: AsyncSession) -> None:
    assert await names(session) == ["break", "lunch", "training", "technical"]


async def test_a_new_one_stands_last_and_can_be_chosen(session: AsyncSession) -> None:
    company = await make_company(session)
    with pytest.raises(Invalid, match="no such reason"):
        await set_presence(session, company.ayumi, PresenceState.NOT_READY, "Coaching")
    await create_reason(session, ReasonSettings(name="Coaching"))
    assert (await names(session))[-1] == "Coaching"
    now = await set_presence(session, company.ayumi, PresenceState.NOT_READY, "Coaching")
    assert (now.state, now.reason) == (PresenceState.NOT_READY, "Coaching")


async def test_names_are_unique_whatever_their_case(session: AsyncSession) -> None:
    with pytest.raises(Invalid, match="a reason named break already"):
        await create_reason(session, ReasonSettings(name="Break"))


@pytest.mark.parametrize("name", ["missed", "Missed"])
def test_missed_is_the_router_s_own(name: str) -> None:
    with pytest.raises(ValueError, match="sets “missed” itself"):
        ReasonSettings(name=name)


async def test_who_is_away_goes_along_with_a_new_name(session: AsyncSession) -> None:
    company = await make_company(session)
    await set_presence(session, company.ayumi, PresenceState.NOT_READY, NotReadyReason.TRAINING)
    one = (await session.scalars(select(ReasonCode).where(ReasonCode.name == "training"))).one()
    await change_reason(session, one.id, ReasonSettings(name="School"))
    assert (await session.get_one(Presence, company.ayumi.id, populate_existing=True)).reason == "School"


async def test_who_is_away_stays_so_when_the_reason_is_taken_out_of_the_menu(session: AsyncSession) -> None:
    company = await make_company(session)
    await set_presence(session, company.ayumi, PresenceState.NOT_READY, NotReadyReason.LUNCH)
    one = (await session.scalars(select(ReasonCode).where(ReasonCode.name == "lunch"))).one()
    await remove_reason(session, one.id)
    now = await session.get_one(Presence, company.ayumi.id, populate_existing=True)
    assert (now.state, now.reason) == (PresenceState.NOT_READY, "lunch")


async def test_the_last_one_stays(session: AsyncSession) -> None:
    await arrange_reasons(session, ["lunch"])
    one = (await session.scalars(select(ReasonCode))).one()
    with pytest.raises(Conflict, match="the last reason"):
        await remove_reason(session, one.id)
    with pytest.raises(Conflict, match="Name one at least"):
        await arrange_reasons(session, [])
