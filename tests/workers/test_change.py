"""A sent reply is edited or deleted on its channel: once asked for it happens, however often the way there breaks."""

import pytest
from sqlalchemy import func, select, update

from app import jobs
from app.connectors.testing.fake import Trouble
from app.errors import Conflict, Forbidden, Invalid
from app.flow.reply_change import due_changes
from app.flow.revise import begun_revision, revise, save_revision
from app.flow.withdraw import withdraw
from app.models.agent import Agent
from app.models.event import Event
from app.models.feed import Feed
from app.models.item import Verb
from app.models.reply import ChangeState, Reply, ReplyChange, ReplyState
from app.models.together import Notice, NoticeKind
from app.queries import said
from app.workers.change import change_reply
from tests.postoffice import Office


async def sent(office: Office) -> Reply:
    """A reply that stands on the channel."""
    [item] = (
        await office.push("My tent arrived torn.") if office.fake.connector.name == "webhook" else [await office.ask()]
    )
    held = await office.hold(item)
    reply = await office.go(held.id)
    assert reply.state == ReplyState.SENT
    return reply


async def ask(office: Office, reply: Reply, agent: Agent | None = None) -> ReplyChange:
    """Ayumi, or somebody else, has it deleted."""
    async with office.sessions.begin() as session:
        await withdraw(session, agent or office.company.ayumi, reply.id)
    return await newest(office)


async def edit(office: Office, reply: Reply, text: str = "We looked again.", agent: Agent | None = None) -> ReplyChange:
    """Ayumi, or somebody else, has it say something else."""
    async with office.sessions.begin() as session:
        await revise(session, agent or office.company.ayumi, reply.id, text)
    return await newest(office)


async def newest(office: Office) -> ReplyChange:
    async with office.sessions() as session:
        return (await session.scalars(select(ReplyChange).order_by(ReplyChange.id.desc()).limit(1))).one()


async def go(office: Office, change: ReplyChange) -> ReplyChange:
    """Its next try is due, and a worker makes it."""
    async with office.sessions.begin() as session:
        await session.execute(update(ReplyChange).where(ReplyChange.due_at.is_not(None)).values(due_at=func.now()))
    await change_reply(office.runtime, change.id)
    return await newest(office)


async def shown(office: Office, reply: Reply, agent: Agent) -> said.Said:
    """The reply as the desk shows it."""
    item = await office.item(reply.item_id)
    async with office.sessions() as session:
        told, _ = await said.replies(session, item, agent)
    return told[0]


async def events(office: Office, verb: Verb = Verb.RETRACT) -> list[Event]:
    async with office.sessions() as session:
        return list(await session.scalars(select(Event).where(Event.verb == verb)))


async def notices(office: Office) -> list[Notice]:
    async with office.sessions() as session:
        return list(await session.scalars(select(Notice).where(Notice.kind == NoticeKind.FAILED)))


async def test_a_deleted_reply_goes_from_the_channel_and_stays_in_the_thread_as_deleted(mastodon: Office) -> None:
    reply = await sent(mastodon)
    assert (await shown(mastodon, reply, mastodon.company.ayumi)).deletable
    done = await go(mastodon, await ask(mastodon, reply))
    assert (done.state, done.due_at, mastodon.fake.ledger()) == (ChangeState.DONE, None, [])
    told = await shown(mastodon, reply, mastodon.company.ayumi)
    assert (told.deleted_at, told.deletable, told.text) == (done.done_at, False, reply.text)
    [event] = await events(mastodon)
    assert (event.agent_id, event.why["reply_id"]) == (mastodon.company.ayumi.id, reply.id)


async def test_the_wish_is_committed_with_its_job_before_anything_is_called(mastodon: Office) -> None:
    reply = await sent(mastodon)
    calls = len(mastodon.fake.requests)
    change = await ask(mastodon, reply)
    assert (change.state, len(mastodon.fake.requests)) == (ChangeState.WAITING, calls)
    async with mastodon.sessions() as session:
        assert await due_changes(session, 10) == [change.id]
    told = await shown(mastodon, reply, mastodon.company.ayumi)
    assert (told.change_state, told.deletable) == ("waiting", False)
    assert jobs.PRIORITY[jobs.CHANGE] == jobs.PRIORITY[jobs.SEND]


async def test_a_deletion_asked_for_twice_is_one(mastodon: Office) -> None:
    reply = await sent(mastodon)
    first = await ask(mastodon, reply)
    assert (await ask(mastodon, reply)).id == first.id
    await go(mastodon, first)
    assert (await ask(mastodon, reply)).id == first.id


async def test_a_deletion_whose_answer_was_lost_is_asked_for_again_and_done(mastodon: Office) -> None:
    change = await ask(mastodon, await sent(mastodon))
    mastodon.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    waits = await go(mastodon, change)
    assert (waits.state, waits.attempt, mastodon.fake.ledger()) == (ChangeState.WAITING, 1, [])
    assert 0 < await mastodon.seconds_until(waits.due_at) <= 5
    assert (await go(mastodon, change)).state == ChangeState.DONE
    assert len(await events(mastodon)) == 1


async def test_a_worker_that_dies_in_the_call_leaves_a_lease_after_which_it_is_done_again(mastodon: Office) -> None:
    change = await ask(mastodon, await sent(mastodon))
    async with mastodon.sessions.begin() as session:
        await session.execute(
            update(ReplyChange).values(attempt=1, due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, 60))
        )
    await change_reply(mastodon.runtime, change.id)
    assert len(mastodon.fake.ledger()) == 1
    assert (await go(mastodon, change)).attempt == 2
    assert mastodon.fake.ledger() == []


async def test_what_the_channel_refuses_is_shown_in_words_and_can_be_asked_for_again(mastodon: Office) -> None:
    reply = await sent(mastodon)
    mastodon.fake.trouble(Trouble.EXPIRED, sends_only=True)
    failed = await go(mastodon, await ask(mastodon, reply))
    assert (failed.state, "refuses our access token" in failed.trouble) == (ChangeState.FAILED, True)
    told = await shown(mastodon, reply, mastodon.company.ayumi)
    assert (told.change_state, told.change_trouble, told.deletable) == ("failed", failed.trouble, True)
    [notice] = await notices(mastodon)
    assert (notice.agent_id, notice.item_id, notice.why["what"]) == (failed.agent_id, reply.item_id, "delete")
    assert "refuses our access token" in notice.why["said"]
    again = await ask(mastodon, reply)
    assert again.id != failed.id
    assert (await go(mastodon, again)).state == ChangeState.DONE


async def test_a_limit_of_deletions_lets_the_deletion_wait_and_no_reply(mastodon: Office) -> None:
    change = await ask(mastodon, await sent(mastodon))
    mastodon.fake.trouble(Trouble.RATE_LIMITED, sends_only=True)
    waits = await go(mastodon, change)
    assert waits.state == ChangeState.WAITING
    assert 60 < await mastodon.seconds_until(waits.due_at) < 145
    other = await mastodon.hold(await mastodon.ask("Where is my parcel?"))
    assert (await mastodon.go(other.id)).state == ReplyState.SENT


async def test_a_status_of_another_account_is_not_taken_for_deleted(mastodon: Office) -> None:
    reply = await sent(mastodon)
    for toot in mastodon.fake.toots.values():
        toot.by = "somebody"
    failed = await go(mastodon, await ask(mastodon, reply))
    assert (failed.state, "under another account" in failed.trouble) == (ChangeState.FAILED, True)


async def test_only_who_wrote_it_holds_the_item_or_supervises_deletes_a_reply(mastodon: Office) -> None:
    reply = await sent(mastodon)
    assert not (await shown(mastodon, reply, mastodon.company.finn)).deletable
    with pytest.raises(Forbidden, match="colleague's"):
        await ask(mastodon, reply, mastodon.company.finn)


async def test_a_reply_that_has_not_left_is_taken_back_and_not_deleted(mastodon: Office) -> None:
    held = await mastodon.hold(await mastodon.ask())
    with pytest.raises(Conflict, match="stands on the channel"):
        await ask(mastodon, held)


async def test_a_channel_that_cannot_delete_says_so(keyed: Office) -> None:
    reply = await sent(keyed)
    assert not (await shown(keyed, reply, keyed.company.ayumi)).deletable
    with pytest.raises(Conflict, match="does not let us delete"):
        await ask(keyed, reply)


async def test_a_reply_whose_feed_was_removed_cannot_be_deleted(mastodon: Office) -> None:
    reply = await sent(mastodon)
    change = await ask(mastodon, reply)
    async with mastodon.sessions.begin() as session:
        await session.delete(await session.get_one(Feed, mastodon.company.feed.id))
    failed = await go(mastodon, change)
    assert (failed.state, "no way back" in failed.trouble) == (ChangeState.FAILED, True)
    with pytest.raises(Conflict, match="no way back"):
        await ask(mastodon, reply)


async def test_a_webhook_is_told_of_the_deletion_under_one_event_id(webhook: Office) -> None:
    change = await ask(webhook, await sent(webhook))
    webhook.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    await go(webhook, change)
    assert (await go(webhook, change)).state == ChangeState.DONE
    told = [request for request in webhook.fake.requests if b"reply.deleted" in request.content]
    assert {request.headers["webhook-id"] for request in told} == {str(change.key)}
    assert len({request.content for request in told}) == 1
    assert webhook.fake.ledger() == []


async def test_the_echo_of_our_own_deletion_is_no_foreign_change(mastodon: Office) -> None:
    reply = await sent(mastodon)
    await go(mastodon, await ask(mastodon, reply))
    before = await mastodon.item(reply.item_id)
    await mastodon.poll()
    after = await mastodon.item(reply.item_id)
    async with mastodon.sessions() as session:
        verbs = list(await session.scalars(select(Event.verb).where(Event.item_id == reply.item_id)))
    assert (after.state, after.rank, Verb.WITHDRAW in verbs) == (before.state, before.rank, False)


# Editing


async def test_an_edited_reply_says_the_new_words_and_keeps_what_it_said_before(mastodon: Office) -> None:
    reply = await sent(mastodon)
    assert (await shown(mastodon, reply, mastodon.company.ayumi)).editable
    await go(mastodon, await edit(mastodon, reply, "It comes on Friday."))
    done = await go(mastodon, await edit(mastodon, reply, "It comes on Monday."))
    [standing] = mastodon.fake.ledger()
    assert (done.state, standing.text.endswith("It comes on Monday.")) == (ChangeState.DONE, True)
    told = await shown(mastodon, reply, mastodon.company.ayumi)
    assert [version.text for version in told.earlier] == ["It comes on Friday.", reply.text]
    assert (told.text, told.edited_at, told.editable, told.deletable) == (
        "It comes on Monday.",
        done.done_at,
        True,
        True,
    )
    first, second = await events(mastodon, Verb.AMEND)
    assert (first.agent_id, second.why["change_id"]) == (mastodon.company.ayumi.id, done.id)


async def test_until_the_channel_has_answered_the_thread_shows_what_stands(mastodon: Office) -> None:
    reply = await sent(mastodon)
    await edit(mastodon, reply)
    told = await shown(mastodon, reply, mastodon.company.ayumi)
    assert (told.text, told.change_kind, told.change_state) == (reply.text, "edit", "waiting")
    assert (told.editable, told.deletable, told.earlier) == (False, False, ())


async def test_an_edit_asked_for_twice_is_one_and_another_has_to_wait(mastodon: Office) -> None:
    reply = await sent(mastodon)
    first = await edit(mastodon, reply)
    assert (await edit(mastodon, reply)).id == first.id
    with pytest.raises(Conflict, match="on its way"):
        await edit(mastodon, reply, "Other words.")
    with pytest.raises(Conflict, match="on its way"):
        await ask(mastodon, reply)
    await go(mastodon, first)
    assert (await edit(mastodon, reply)).id == first.id


async def test_an_edit_whose_worker_died_is_done_again_and_happens_once(mastodon: Office) -> None:
    change = await edit(mastodon, await sent(mastodon))
    mastodon.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    waits = await go(mastodon, change)
    assert (waits.state, waits.attempt) == (ChangeState.WAITING, 1)
    async with mastodon.sessions.begin() as session:  # the next worker takes it, and dies in the call
        await session.execute(
            update(ReplyChange).values(attempt=2, due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, 60))
        )
    await change_reply(mastodon.runtime, change.id)
    assert (await newest(mastodon)).attempt == 2
    assert (await go(mastodon, change)).state == ChangeState.DONE
    assert len(await events(mastodon, Verb.AMEND)) == 1
    told = [toot for toot in mastodon.fake.toots.values() if toot.edited]
    assert len(told) == 1


async def test_a_refused_edit_is_kept_for_another_try_and_told_to_who_asked(mastodon: Office) -> None:
    reply = await sent(mastodon)
    mastodon.fake.trouble(Trouble.EXPIRED, sends_only=True)
    failed = await go(mastodon, await edit(mastodon, reply, "It comes on Friday."))
    assert failed.state == ChangeState.FAILED
    told = await shown(mastodon, reply, mastodon.company.ayumi)
    assert (told.text, told.change_state, told.change_trouble) == (reply.text, "failed", failed.trouble)
    [notice] = await notices(mastodon)
    assert (notice.agent_id, notice.why["what"]) == (mastodon.company.ayumi.id, "edit")
    async with mastodon.sessions() as session:
        assert await begun_revision(session, mastodon.company.ayumi, reply) == "It comes on Friday."
    assert (await go(mastodon, await edit(mastodon, reply, "It comes on Friday."))).state == ChangeState.DONE


async def test_a_reply_that_is_gone_from_the_channel_is_not_edited(mastodon: Office) -> None:
    reply = await sent(mastodon)
    change = await edit(mastodon, reply)
    mastodon.fake.toots.clear()
    failed = await go(mastodon, change)
    assert (failed.state, "not stand on" in failed.trouble) == (ChangeState.FAILED, True)


async def test_a_deleted_reply_is_not_edited_any_more(mastodon: Office) -> None:
    reply = await sent(mastodon)
    change = await ask(mastodon, reply)
    with pytest.raises(Conflict, match="was deleted"):
        await edit(mastodon, reply)
    await go(mastodon, change)
    with pytest.raises(Conflict, match="was deleted"):
        await edit(mastodon, reply)


@pytest.mark.parametrize("text", [" ", "x" * 501, "Hello {name}"])
async def test_an_edit_is_checked_as_a_reply_is(mastodon: Office, text: str) -> None:
    reply = await sent(mastodon)
    with pytest.raises(Invalid):
        await edit(mastodon, reply, text)


async def test_only_who_may_delete_a_reply_may_edit_it(mastodon: Office) -> None:
    reply = await sent(mastodon)
    assert not (await shown(mastodon, reply, mastodon.company.finn)).editable
    with pytest.raises(Forbidden, match="colleague's"):
        await edit(mastodon, reply, agent=mastodon.company.finn)
    async with mastodon.sessions.begin() as session:
        with pytest.raises(Forbidden):
            await save_revision(session, mastodon.company.finn, reply.id, "Mine.")


async def test_a_channel_that_cannot_edit_says_so(keyed: Office) -> None:
    reply = await sent(keyed)
    assert not (await shown(keyed, reply, keyed.company.ayumi)).editable
    with pytest.raises(Conflict, match="does not let us edit"):
        await edit(keyed, reply)


async def test_what_is_written_of_an_edit_is_kept_for_its_writer_until_it_is_sent(mastodon: Office) -> None:
    reply, ayumi = await sent(mastodon), mastodon.company.ayumi
    for text in ("It comes", "It comes on Fri"):
        async with mastodon.sessions.begin() as session:
            await save_revision(session, ayumi, reply.id, text)
    async with mastodon.sessions() as session:
        assert await begun_revision(session, ayumi, reply) == "It comes on Fri"
        assert await begun_revision(session, mastodon.company.finn, reply) == reply.text
    told = await shown(mastodon, reply, ayumi)
    assert (told.change_state, told.editable) == ("", True)
    await go(mastodon, await edit(mastodon, reply, "It comes on Friday."))
    async with mastodon.sessions() as session:
        stands = await session.get_one(Reply, reply.id)
        assert await begun_revision(session, ayumi, stands) == "It comes on Friday."


async def test_a_webhook_is_told_of_an_edit_under_one_event_id(webhook: Office) -> None:
    change = await edit(webhook, await sent(webhook))
    webhook.fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    await go(webhook, change)
    assert (await go(webhook, change)).state == ChangeState.DONE
    told = [request for request in webhook.fake.requests if b"reply.edited" in request.content]
    assert {request.headers["webhook-id"] for request in told} == {str(change.key)}
    assert len({request.content for request in told}) == 1
    assert [standing.text for standing in webhook.fake.ledger()] == ["We looked again."]


async def test_the_echo_of_our_own_edit_is_no_foreign_change(mastodon: Office) -> None:
    reply = await sent(mastodon)
    await go(mastodon, await edit(mastodon, reply))
    await mastodon.poll()
    assert await events(mastodon, Verb.EDIT) == []
    told = await shown(mastodon, reply, mastodon.company.ayumi)
    assert (told.text, len(told.earlier)) == ("We looked again.", 1)
