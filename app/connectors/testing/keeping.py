"""What becomes of posts and replies: edits and deletions, ours and theirs."""

from collections.abc import Iterable

from app.connectors.base import IncomingPost, Json, PostChange
from app.connectors.testing.checks import check
from app.connectors.testing.fake import FakeChannel, Trouble
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import carried, drain, fetches, known, raises, stands, through_json, unanswered
from app.errors import ConnectorError, Refused


@check("asks", "reply", "edit")
async def an_edited_reply_says_what_it_shall_and_the_others_what_they_did(fake: FakeChannel) -> None:
    reply = await stands(fake)
    before = fake.ledger()[-1]
    await fake.connector.edit(fake.link(), reply, "We looked again: it comes today.")
    other, edited = fake.ledger()
    assert ("Another answer." in other.text, "it comes today." in edited.text) == (True, True)
    assert "We are looking into it." not in edited.text
    assert (edited.external_id, edited.parent, edited.visibility) == (
        before.external_id,
        before.parent,
        before.visibility,
    )


@check("asks", "reply", "edit", "pictures")
async def an_edited_reply_keeps_its_pictures(fake: FakeChannel) -> None:
    pictures = carried(fake)
    reply = await stands(fake, pictures=pictures)
    await fake.connector.edit(fake.link(), reply, "We looked again.")
    edited = fake.ledger()[-1]
    assert "We looked again." in edited.text
    assert edited.pictures == tuple((picture.alt, picture.content) for picture in pictures)


@check("asks", "reply", "edit")
async def an_edit_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    reply = await stands(fake)
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError) as caught:
        await fake.connector.edit(fake.link(), reply, "We looked again.")
    assert not caught.value.permanent
    for _ in range(2):
        await fake.connector.edit(fake.link(), reply, "We looked again.")
    assert ["We looked again." in standing.text for standing in fake.ledger()] == [False, True]


@check("asks", "reply", "edit")
async def an_edit_that_did_not_happen_is_never_taken_for_one(fake: FakeChannel) -> None:
    reply = await stands(fake)
    for trouble in unanswered(fake, Trouble.DOWN, Trouble.HTML, Trouble.NULL, Trouble.NO_CONNECTION, Trouble.RESET):
        fake.trouble(trouble, sends_only=True)
        with raises(ConnectorError) as caught:
            await fake.connector.edit(fake.link(), reply, "We looked again.")
        assert not caught.value.permanent, trouble
    assert not any("We looked again." in standing.text for standing in fake.ledger())


@check("asks", "reply", "edit", "delete")
async def editing_what_is_gone_is_refused_for_good(fake: FakeChannel) -> None:
    reply = await stands(fake)
    await fake.connector.delete(fake.link(), reply)
    with raises(Refused) as caught:
        await fake.connector.edit(fake.link(), reply, "We looked again.")
    assert caught.value.permanent
    assert len(fake.ledger()) == 1


@check("asks", "reply", "edit")
async def an_edit_that_is_too_long_is_refused_and_what_stood_stands(fake: FakeChannel) -> None:
    limit = fake.connector.capabilities.length_limit
    if limit is None:
        return
    reply = await stands(fake)
    before = fake.ledger()
    with raises(Refused):
        await fake.connector.edit(fake.link(), reply, "x" * (limit * 20))
    assert fake.ledger() == before


@check("asks", "reply", "delete")
async def a_deleted_reply_stands_no_more_and_the_others_do(fake: FakeChannel) -> None:
    reply = await stands(fake)
    await fake.connector.delete(fake.link(), reply)
    assert ["Another answer." in standing.text for standing in fake.ledger()] == [True]


@check("asks", "reply", "delete")
async def deleting_what_is_gone_already_is_no_error(fake: FakeChannel) -> None:
    reply = await stands(fake)
    for _ in range(2):
        await fake.connector.delete(fake.link(), reply)
    assert len(fake.ledger()) == 1


@check("asks", "reply", "delete")
async def a_deletion_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    reply = await stands(fake)
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError) as caught:
        await fake.connector.delete(fake.link(), reply)
    assert not caught.value.permanent
    await fake.connector.delete(fake.link(), reply)
    assert len(fake.ledger()) == 1


@check("asks", "reply", "delete")
async def a_deletion_that_did_not_happen_is_never_taken_for_one(fake: FakeChannel) -> None:
    reply = await stands(fake)
    for trouble in unanswered(fake, Trouble.DOWN, Trouble.HTML, Trouble.NULL, Trouble.NO_CONNECTION, Trouble.RESET):
        fake.trouble(trouble, sends_only=True)
        with raises(ConnectorError) as caught:
            await fake.connector.delete(fake.link(), reply)
        assert not caught.value.permanent, trouble
    assert len(fake.ledger()) == 2


async def _changes(fake: FakeChannel, posts: Iterable[IncomingPost], cursor: Json) -> dict[str, PostChange]:
    """What a poll, a delivery and a look say of these posts, whichever of them the channel tells changes by."""
    told: list[PostChange] = []
    for sent in fake.pushed():
        told += fake.connector.receive(fake.link(), sent.headers, sent.body).changes
    if fetches(fake.connector):
        told += (await fake.connector.fetch(fake.link(), through_json(cursor))).changes
    if fake.connector.capabilities.looks:
        told += await fake.connector.look_again(fake.link(), [known(post) for post in posts])
    return {change.external_id: change for change in sorted(told, key=lambda one: one.changed_at)}


@check("changes", gives=Gives.DELETIONS)
async def a_deleted_post_is_told_and_those_that_stand_are_not(fake: FakeChannel) -> None:
    gone, stays = fake.arrive("gone soon"), fake.arrive("stays")
    found, cursor = await drain(fake, {})
    fake.remove(gone)
    told = await _changes(fake, found.values(), cursor)
    assert set(told) == {gone}
    assert stays not in told
    assert told[gone].deleted


@check("changes", "rewrite", gives=Gives.EDITS)
async def an_edited_post_is_told_with_its_new_text_and_time(fake: FakeChannel) -> None:
    name = fake.arrive("My tent is torn")
    found, cursor = await drain(fake, {})
    fake.rewrite(name, "My tent and my bag are torn")
    first = (await _changes(fake, found.values(), cursor))[name]
    assert "My tent and my bag are torn" in first.text
    assert not first.deleted
    assert first.changed_at > found[name].posted_at
    fake.rewrite(name, "All is well again")
    assert (await _changes(fake, found.values(), cursor))[name].changed_at > first.changed_at
