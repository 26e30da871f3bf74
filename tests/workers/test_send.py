import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors.base import Sent
from app.connectors.testing.fake import Trouble
from app.errors import Conflict, Invalid, Refused
from app.flow import outbox
from app.flow.claim import claim
from app.flow.close import close
from app.flow.reply import arrived, reply, retry
from app.models.account import Account, Budget
from app.models.feed import Feed
from app.models.item import Disposition, State
from app.models.reply import Reply, ReplyState
from app.workers.send import send_reply
from tests.connectors.fakes.bluesky import FakeBlueskyMessages
from tests.postoffice import Office, post_office


async def test_a_reply_leaves_after_its_undo_time_and_stands_under_its_post(keyed: Office) -> None:
    item = await keyed.ask()
    held = await keyed.hold(item)
    assert 8 < await keyed.seconds_until(held.due_at) <= 10
    await send_reply(keyed.runtime, held.id)
    assert (await keyed.reply(held.id)).state == ReplyState.HELD
    sent = await keyed.go(held.id)
    [standing] = keyed.fake.ledger()
    assert (sent.state, sent.external_id, sent.due_at, sent.trouble) == (
        ReplyState.SENT,
        standing.external_id,
        None,
        "",
    )
    assert (standing.text, standing.parent) == ("A new one is on its way.", "p1")
    assert (await keyed.item(item.id)).answered_at is not None


async def test_a_reply_goes_out_once_however_many_workers_take_it_at_once(listed: Office) -> None:
    held = await listed.hold(await listed.ask())
    await listed.due(held.id)
    await asyncio.gather(*(send_reply(listed.runtime, held.id) for _ in range(5)))
    assert (len(listed.fake.ledger()), (await listed.reply(held.id)).state) == (1, ReplyState.SENT)


async def test_what_is_sent_is_frozen_once_and_the_same_at_every_try(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    keyed.fake.trouble(Trouble.NO_CONNECTION, sends_only=True)
    waiting = await keyed.go(held.id)
    assert waiting.prepared["text"] == "A new one is on its way."
    sent = await keyed.go(held.id)
    assert (sent.prepared, sent.enqueued_at) == (waiting.prepared, waiting.enqueued_at)
    assert keyed.fake.world.ledger[0]["seal"] == waiting.prepared["seal"]


async def test_a_first_try_is_told_of_no_earlier_one_and_a_second_is(mastodon: Office) -> None:
    held = await mastodon.hold(await mastodon.ask())
    mastodon.fake.requests.clear()
    mastodon.fake.trouble(Trouble.NO_CONNECTION, sends_only=True)
    await mastodon.go(held.id)
    assert [r.method for r in mastodon.fake.requests] == ["POST"]
    await mastodon.go(held.id)
    assert mastodon.fake.requests[1].method == "GET"
    assert len(mastodon.fake.ledger()) == 1


async def test_what_was_certainly_not_delivered_is_tried_again_with_growing_pauses(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    keyed.fake.trouble(Trouble.NO_CONNECTION, times=3, sends_only=True)
    for attempt, seconds in ((1, 5), (2, 10), (3, 20)):
        again = await keyed.go(held.id)
        assert (again.state, again.attempt) == (ReplyState.QUEUED, attempt)
        assert seconds - 2 < await keyed.seconds_until(again.due_at) <= seconds
        assert "No connection" in again.trouble
    assert (await keyed.go(held.id)).state == ReplyState.SENT


async def test_after_too_many_tries_a_person_decides_and_can_send_it_again(keyed: Office) -> None:
    item = await keyed.ask()
    held = await keyed.hold(item, then_close=Disposition.ANSWERED)
    keyed.fake.trouble(Trouble.NO_CONNECTION, times=outbox.MOST_TRIES, sends_only=True)
    for _ in range(outbox.MOST_TRIES):
        failed = await keyed.go(held.id)
    assert (failed.state, failed.due_at) == (ReplyState.FAILED, None)
    assert (await keyed.item(item.id)).state == State.QUEUED
    async with keyed.sessions.begin() as session:
        await retry(session, keyed.company.ayumi, held.id)
    assert (await keyed.go(held.id)).state == ReplyState.SENT


async def test_the_channels_own_waiting_time_wins_over_our_pause(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    keyed.fake.trouble(Trouble.RATE_LIMITED, sends_only=True)
    again = await keyed.go(held.id)
    assert again.state == ReplyState.QUEUED
    assert 130 < await keyed.seconds_until(again.due_at) <= 137


async def test_a_rate_limit_makes_the_other_replies_of_the_account_wait_as_well(mastodon: Office) -> None:
    first, second = [await mastodon.hold(await mastodon.ask(f"Question {n}")) for n in range(2)]
    mastodon.fake.trouble(Trouble.RATE_LIMITED, sends_only=True)
    await mastodon.go(first.id)
    calls = len(mastodon.fake.requests)
    waiting = await mastodon.go(second.id)
    assert (len(mastodon.fake.requests), waiting.state, waiting.attempt) == (calls, ReplyState.QUEUED, 0)
    assert 130 < await mastodon.seconds_until(waiting.due_at) < 145


async def test_a_refusal_is_final_says_why_and_brings_a_closed_item_back(keyed: Office) -> None:
    item = await keyed.ask()
    keyed.fake.world.gone.add("p1")
    held = await keyed.hold(item, then_close=Disposition.ANSWERED)
    assert (await keyed.item(item.id)).state == State.CLOSED
    failed = await keyed.go(held.id)
    assert (failed.state, failed.due_at, "the post is gone" in failed.trouble) == (ReplyState.FAILED, None, True)
    back = await keyed.item(item.id)
    assert (back.state, back.disposition, back.answered_at) == (State.QUEUED, None, None)


async def test_what_a_connector_refuses_to_freeze_is_never_called(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask(), "This is too rude.")
    failed = await keyed.go(held.id)
    assert (failed.state, failed.attempt, keyed.fake.ledger()) == (ReplyState.FAILED, 0, [])
    assert failed.trouble == "Parcels does not carry this. Write it politely."


async def test_a_reply_that_could_not_be_frozen_is_frozen_when_it_is_sent_again(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    async with keyed.sessions.begin() as session:
        await session.execute(update(Feed).values(settings={"address": "not what its settings are called"}))
    assert (await keyed.go(held.id)).state == ReplyState.FAILED
    async with keyed.sessions.begin() as session:
        await session.execute(update(Feed).values(settings=keyed.fake.settings().model_dump(mode="json")))
        await retry(session, keyed.company.ayumi, held.id)
    sent = await keyed.go(held.id)
    assert (sent.state, sent.prepared["text"]) == (ReplyState.SENT, "A new one is on its way.")


async def test_a_bug_while_freezing_fails_the_reply_with_words_instead_of_turning_for_ever(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    async with keyed.sessions.begin() as session:
        await session.execute(update(Feed).values(settings={"address": "not what its settings are called"}))
    failed = await keyed.go(held.id)
    assert (failed.state, failed.due_at) == (ReplyState.FAILED, None)
    assert "error of its own (ValidationError)" in failed.trouble


async def test_a_reply_whose_feed_was_removed_fails_with_words(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    await remove_feed(keyed)
    failed = await keyed.go(held.id)
    assert (failed.state, "feed that brought the post was removed" in failed.trouble) == (ReplyState.FAILED, True)


async def remove_feed(office: Office) -> None:
    async with office.sessions.begin() as session:
        await session.delete(await session.get_one(Feed, office.company.feed.id))


async def test_an_unknown_reply_whose_feed_was_removed_stays_unknown_for_a_person(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    keyed.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    await keyed.go(held.id)
    await remove_feed(keyed)
    left = await keyed.go(held.id)
    assert (left.state, left.due_at) == (ReplyState.UNKNOWN, None)
    assert "if the reply stands there, say so" in left.trouble


@pytest.mark.parametrize("trouble", [Trouble.ANSWER_LOST, Trouble.RESET, Trouble.SLOW, Trouble.DOWN, Trouble.HTML])
async def test_a_lost_answer_is_settled_by_a_repeat_where_the_channel_drops_repeats(
    keyed: Office, trouble: Trouble
) -> None:
    held = await keyed.hold(await keyed.ask())
    keyed.fake.trouble(trouble, sends_only=True)
    unknown = await keyed.go(held.id)
    assert unknown.state == ReplyState.UNKNOWN
    assert 15 < await keyed.seconds_until(unknown.due_at) <= 20
    sent = await keyed.go(held.id)
    assert (sent.state, len(keyed.fake.ledger())) == (ReplyState.SENT, 1)


async def test_a_lost_answer_is_settled_by_looking_where_our_replies_can_be_read(listed: Office) -> None:
    held = await listed.hold(await listed.ask())
    listed.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    await listed.go(held.id)
    sent = await listed.go(held.id)
    assert (sent.state, sent.external_id, len(listed.fake.ledger())) == (ReplyState.SENT, "r1", 1)


async def test_what_looking_does_not_find_is_sent_again(listed: Office) -> None:
    held = await listed.hold(await listed.ask())
    listed.fake.trouble(Trouble.RESET, sends_only=True)
    assert (await listed.go(held.id)).state == ReplyState.UNKNOWN
    sent = await listed.go(held.id)
    assert (sent.state, sent.attempt, len(listed.fake.ledger())) == (ReplyState.SENT, 3, 1)


async def test_looking_that_fails_is_repeated_later_and_at_last_left_to_a_person(listed: Office) -> None:
    held = await listed.hold(await listed.ask())
    listed.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    await listed.go(held.id)
    listed.fake.trouble(Trouble.DOWN, times=100)
    looks = 0
    while (looking := await listed.go(held.id)).due_at is not None:
        looks += 1
        assert looking.state == ReplyState.UNKNOWN
        assert await listed.seconds_until(looking.due_at) > 5
    assert outbox.MOST_LOOKS <= looks < outbox.MOST_TRIES + outbox.MOST_LOOKS
    assert "Look at the channel" in looking.trouble


@pytest.mark.parametrize("trouble", [Trouble.ANSWER_LOST, Trouble.RESET])
async def test_where_neither_is_possible_a_person_looks_and_nothing_is_sent_twice(
    blind: Office, trouble: Trouble
) -> None:
    item = await blind.ask()
    held = await blind.hold(item, then_close=Disposition.ANSWERED)
    blind.fake.trouble(trouble, sends_only=True)
    await blind.go(held.id)
    left = await blind.go(held.id)
    assert (left.state, left.due_at) == (ReplyState.UNKNOWN, None)
    assert "cannot be asked whether a reply arrived" in left.trouble
    assert (await blind.item(item.id)).state == State.QUEUED
    await send_reply(blind.runtime, held.id)
    assert len(blind.fake.ledger()) == (trouble is Trouble.ANSWER_LOST)


async def test_a_person_who_looked_says_that_it_arrived(blind: Office) -> None:
    held = await left_to_a_person(blind, Trouble.ANSWER_LOST)
    async with blind.sessions.begin() as session:
        await arrived(session, blind.company.ayumi, held.id, "http://parcels.example/r/r1")
    settled = await blind.reply(held.id)
    assert (settled.state, settled.url, settled.trouble) == (ReplyState.SENT, "http://parcels.example/r/r1", "")
    async with blind.sessions.begin() as session:
        with pytest.raises(Conflict, match="fate is known"):
            await arrived(session, blind.company.ayumi, held.id)
        with pytest.raises(Conflict, match="Only a reply that failed"):
            await retry(session, blind.company.ayumi, held.id)


async def test_a_person_who_looked_sends_it_again(blind: Office) -> None:
    held = await left_to_a_person(blind, Trouble.RESET)
    async with blind.sessions.begin() as session:
        await retry(session, blind.company.ayumi, held.id)
    assert ((await blind.go(held.id)).state, len(blind.fake.ledger())) == (ReplyState.SENT, 1)


async def left_to_a_person(office: Office, trouble: Trouble) -> Reply:
    held = await office.hold(await office.ask())
    office.fake.trouble(trouble, sends_only=True)
    await office.go(held.id)
    left = await office.go(held.id)
    assert (left.state, left.due_at) == (ReplyState.UNKNOWN, None)
    return left


async def begun(office: Office) -> tuple[Reply, int]:
    """A reply in the hands of a worker that says nothing any more; its attempt is committed."""
    held = await office.hold(await office.ask())
    async with office.sessions.begin() as session:
        await session.execute(update(Reply).values(state=ReplyState.QUEUED, due_at=func.now(), prepared={
            "text": held.text, "in_reply_to": "p1", "seal": "x"}))  # fmt: skip
        errand = await outbox.errand(session, held.id)
        assert errand is not None
        return held, await outbox.take(session, errand.reply)


async def test_while_a_lease_lasts_nobody_else_sends(keyed: Office) -> None:
    held, _ = await begun(keyed)
    await send_reply(keyed.runtime, held.id)
    waiting = await keyed.reply(held.id)
    assert (waiting.state, keyed.fake.ledger()) == (ReplyState.SENDING, [])
    assert 55 < await keyed.seconds_until(waiting.due_at) <= 60


async def test_when_a_lease_ends_the_fate_is_unknown_and_is_found_out(listed: Office) -> None:
    held, _ = await begun(listed)
    sent = await listed.go(held.id)
    assert (sent.state, sent.attempt, len(listed.fake.ledger())) == (ReplyState.SENT, 3, 1)


async def test_when_a_lease_ends_on_a_blind_channel_a_person_is_asked(blind: Office) -> None:
    held, _ = await begun(blind)
    left = await blind.go(held.id)
    assert (left.state, left.due_at, blind.fake.ledger()) == (ReplyState.UNKNOWN, None, [])


async def test_a_late_answer_is_welcome_while_nobody_has_taken_over(keyed: Office) -> None:
    held, number = await begun(keyed)
    async with keyed.sessions.begin() as session:
        await outbox.doubt(session, await session.get_one(Reply, held.id))
    async with keyed.sessions.begin() as session:
        assert await outbox.succeed(session, held.id, number, Sent(external_id="r77"))
    assert (await keyed.reply(held.id)).external_id == "r77"


async def test_a_late_answer_of_an_overtaken_try_changes_nothing(keyed: Office) -> None:
    held, number = await begun(keyed)
    sent = await keyed.go(held.id)
    async with keyed.sessions.begin() as session:
        assert not await outbox.succeed(session, held.id, number, Sent(external_id="r77"))
        assert not await outbox.fail(session, held.id, number, Refused("too late"))
        assert not await outbox.not_found(session, held.id, number)
        assert not await outbox.look_later(session, held.id, number, Refused("too late"))
    late = await keyed.reply(held.id)
    assert (late.state, late.external_id, late.trouble) == (ReplyState.SENT, sent.external_id, "")


async def test_a_place_that_is_another_replys_is_left_to_a_person(keyed: Office) -> None:
    item = await keyed.ask()
    first = await keyed.hold(item)
    await keyed.go(first.id)
    second = await keyed.hold(await keyed.item(item.id), "And a voucher.")
    keyed.fake.world.extra = {"id": "r1"}
    left = await keyed.go(second.id)
    assert (left.state, left.due_at, left.external_id) == (ReplyState.UNKNOWN, None, None)
    assert "the place of another reply" in left.trouble


async def test_replies_go_on_while_polls_wait_for_the_allowance(keyed: Office) -> None:
    item = await keyed.ask()
    await use_up(keyed, remaining=5)
    held = await keyed.hold(item)
    feed = await keyed.poll()
    assert "but for replies" in feed.trouble
    assert (await keyed.go(held.id)).state == ReplyState.SENT


async def test_with_no_allowance_left_a_reply_waits_for_the_next_one(keyed: Office) -> None:
    held = await keyed.hold(await keyed.ask())
    await use_up(keyed, remaining=0)
    waiting = await keyed.go(held.id)
    assert (waiting.state, waiting.attempt) == (ReplyState.QUEUED, 0)
    assert 280 < await keyed.seconds_until(waiting.due_at) <= 300


async def use_up(office: Office, remaining: int) -> None:
    async with office.sessions.begin() as session:
        resets = func.now() + timedelta(minutes=5)
        key = f"feed:{office.company.feed.id}"
        session.add(Budget(key=key, remaining=remaining, allowance=100, resets_at=resets))


async def test_an_allowance_that_the_answer_tells_is_kept(mastodon: Office) -> None:
    held = await mastodon.hold(await mastodon.ask())
    await mastodon.go(held.id)
    async with mastodon.sessions() as session:
        budget = (await session.scalars(select(Budget))).one()
        account = (await session.scalars(select(Account.id))).one()
    assert (budget.key, budget.allowance) == (f"account:{account}", 300)
    assert budget.remaining is not None
    assert 280 < budget.remaining < 300


async def test_mastodon_takes_a_reply_once_although_the_answer_was_lost(mastodon: Office) -> None:
    await answer_lost_and_settled(mastodon, await mastodon.hold(await mastodon.ask()))


async def test_a_webhook_takes_a_reply_once_although_the_answer_was_lost(webhook: Office) -> None:
    [item] = await webhook.push("Where is my parcel?")
    await answer_lost_and_settled(webhook, await webhook.hold(item))


async def answer_lost_and_settled(office: Office, held: Reply) -> None:
    office.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    assert (await office.go(held.id)).state == ReplyState.UNKNOWN
    sent = await office.go(held.id)
    [standing] = office.fake.ledger()
    assert (sent.state, sent.external_id) == (ReplyState.SENT, standing.external_id)


async def test_a_failed_reply_does_not_bring_an_item_back_beside_an_open_one(keyed: Office) -> None:
    item = await keyed.ask()
    keyed.fake.world.gone.add("p1")
    held = await keyed.hold(item, then_close=Disposition.ANSWERED)
    async with keyed.sessions.begin() as session:
        await session.execute(update(type(item)).values(ended_at=func.now() - timedelta(days=30)))
    newer = await keyed.ask("Hello?", under="p1")
    assert newer.id != item.id
    assert (await keyed.go(held.id)).state == ReplyState.FAILED
    assert (await keyed.item(item.id)).state == State.CLOSED


async def test_a_failed_reply_brings_an_item_back_when_everything_newer_has_ended(keyed: Office) -> None:
    item = await keyed.ask()
    keyed.fake.world.gone.add("p1")
    held = await keyed.hold(item, then_close=Disposition.ANSWERED)
    async with keyed.sessions.begin() as session:
        await session.execute(update(type(item)).values(ended_at=func.now() - timedelta(days=30)))
    newer = await keyed.ask("Hello?", under="p1")
    async with keyed.sessions.begin() as session:
        await claim(session, keyed.company.finn, newer.id)
        await close(session, keyed.company.finn, newer.id, Disposition.NO_REPLY)
    await keyed.go(held.id)
    assert (await keyed.item(item.id)).state == State.QUEUED


async def test_a_reply_that_is_too_long_is_refused_before_it_is_held(keyed: Office) -> None:
    item = await keyed.ask()
    with pytest.raises(Invalid, match="1 character too long"):
        await keyed.hold(item, "x" * 201)


async def test_a_message_in_doubt_is_looked_up_on_a_channel_that_takes_repeats_of_posts_alone(
    engine: AsyncEngine,
) -> None:
    async with post_office(engine, FakeBlueskyMessages(), "bluesky") as office:
        item = await office.ask()
        async with office.sessions.begin() as session:
            await claim(session, office.company.ayumi, item.id)
            held = await reply(session, office.company.ayumi, item.id, "It left today.", "direct")
        office.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
        assert (await office.go(held.id)).state == ReplyState.UNKNOWN
        sent = await office.go(held.id)
        [standing] = office.fake.ledger()
        assert (sent.state, sent.external_id) == (ReplyState.SENT, standing.external_id)
