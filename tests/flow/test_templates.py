"""Templates: kept as the channel lists them, filled in, sent as any reply; and what became of replies after all."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors.base import Batch, Fate, Template
from app.connectors.testing.fake import Trouble
from app.errors import Conflict, Invalid, NotFound
from app.flow.claim import claim
from app.flow.deliver import deliver
from app.flow.kept_template import keep_templates
from app.flow.reply import reply, undo
from app.flow.template import send_template, templates_for
from app.models.item import Item
from app.models.reply import Reply, ReplyState
from app.models.template import ChannelTemplate, ReplyTemplate
from tests.connectors.fakes.whatsapp import FakeWhatsApp
from tests.postoffice import Office, post_office


@pytest.fixture
async def office(engine: AsyncEngine) -> AsyncIterator[Office]:
    async with post_office(engine, FakeWhatsApp(), "whatsapp") as opened:
        yield opened


async def held(office: Office, age: timedelta = timedelta()) -> Item:
    """A message of so long ago whose item Ayumi has, the templates known."""
    office.fake.now = datetime.now(UTC) - age
    [item] = await office.push("Where is my tent?")
    office.fake.now = datetime.now(UTC)
    await office.poll()
    async with office.sessions.begin() as session:
        return await claim(session, office.company.ayumi, item.id)


async def listed(office: Office, item: Item) -> list[ChannelTemplate]:
    async with office.sessions() as session:
        return await templates_for(session, item)


async def answer(office: Office, item: Item, *values: str, name: str = "order_update") -> Reply:
    [template] = [one for one in await listed(office, item) if one.name == name]
    async with office.sessions.begin() as session:
        return await send_template(session, office.company.ayumi, item.id, template.id, values)


async def test_a_poll_brings_the_templates_and_drops_those_that_are_gone(office: Office) -> None:
    item = await held(office)
    assert [one.name for one in await listed(office, item)] == ["come_back", "order_update"]
    async with office.sessions.begin() as session:
        account = office.company.feed.account_id
        assert account is not None
        await keep_templates(session, account, [Template("order_update", "en_US", "Changed {{1}}", ("1",))])
        await keep_templates(session, account, None)
    assert [(one.name, one.body) for one in await listed(office, item)] == [("order_update", "Changed {{1}}")]


async def test_a_template_goes_out_when_words_of_ones_own_cannot(office: Office) -> None:
    item = await held(office, timedelta(hours=30))
    with pytest.raises(Conflict, match="choose a template"):
        async with office.sessions.begin() as session:
            await reply(session, office.company.ayumi, item.id, "On its way.", "direct")
    made = await answer(office, item, "Ada", "4711")
    assert made.text == "Your order\n\nHello Ada, your order 4711 is on its way.\n\nNorthwind"
    sent = await office.go(made.id)
    assert sent.state == ReplyState.SENT
    (body,) = office.fake.sent.values()
    assert body["template"]["name"] == "order_update"


@pytest.mark.parametrize("values", [("Ada",), ("Ada", " "), ("Ada", "4711", "more"), ("x" * 1001, "4711")])
async def test_an_unfilled_or_overfull_template_is_not_sent(office: Office, values: tuple[str, ...]) -> None:
    item = await held(office, timedelta(hours=30))
    with pytest.raises(Invalid):
        await answer(office, item, *values)


async def test_a_template_of_another_account_is_none(office: Office) -> None:
    item = await held(office)
    async with office.sessions.begin() as session:
        with pytest.raises(NotFound, match="no more"):
            await send_template(session, office.company.ayumi, item.id, 10**6, ["Ada"])


async def test_who_does_not_hold_the_item_sends_no_template(office: Office) -> None:
    item = await held(office)
    [first, _] = await listed(office, item)
    async with office.sessions.begin() as session:
        with pytest.raises(Conflict, match="Ayumi holds item"):
            await send_template(session, office.company.finn, item.id, first.id, ["Ada"])


async def test_a_template_that_was_taken_back_is_words_of_ones_own(office: Office) -> None:
    item = await held(office)
    made = await answer(office, item, "Ada", "4711")
    async with office.sessions.begin() as session:
        await undo(session, office.company.ayumi, made.id)
    async with office.sessions() as session:
        assert await session.scalar(select(ReplyTemplate)) is None


async def told(office: Office, fate: Fate) -> None:
    async with office.sessions.begin() as session:
        await deliver(session, office.company.feed, Batch(fates=(fate,)))


async def stands(office: Office, reply_id: int) -> Reply:
    async with office.sessions() as session:
        return await session.get_one(Reply, reply_id)


async def test_a_reply_that_was_not_delivered_after_all_fails_with_the_cause(office: Office) -> None:
    item = await held(office)
    sent = await office.go((await answer(office, item, "Ada", "4711")).id)
    assert sent.external_id is not None
    await told(office, Fate(sent.external_id, str(sent.key), "Not on WhatsApp any more."))
    found = await stands(office, sent.id)
    assert (found.state, found.trouble) == (ReplyState.FAILED, "Not on WhatsApp any more.")


async def test_a_reply_in_doubt_stands_once_the_channel_names_its_key(office: Office) -> None:
    item = await held(office)
    made = await answer(office, item, "Ada", "4711")
    office.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    assert (await office.go(made.id)).state == ReplyState.UNKNOWN
    (name,) = office.fake.sent
    await told(office, Fate(name, str(made.key)))
    found = await stands(office, made.id)
    assert (found.state, found.external_id) == (ReplyState.SENT, name)


async def test_a_fate_of_somebody_elses_message_changes_nothing(office: Office) -> None:
    item = await held(office)
    sent = await office.go((await answer(office, item, "Ada", "4711")).id)
    await told(office, Fate("wamid.other", "no key of ours", ""))
    await told(office, Fate("wamid.other", "", "lost"))
    assert (await stands(office, sent.id)).state == ReplyState.SENT
