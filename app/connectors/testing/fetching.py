"""Fetching: nothing is missed, nothing is given twice under two names, every text arrives as it was written."""

from app.connectors.base import (
    PostKind,
    Visibility,
)
from app.connectors.testing.checks import check
from app.connectors.testing.fake import FakeChannel
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import (
    SCRIPTS,
    drain,
    fetch,
    fill,
    plain,
)


@check("pull")
async def the_first_sync_starts_from_an_empty_cursor_and_brings_what_is_there(fake: FakeChannel) -> None:
    arrived = fill(fake, 3)
    found, _ = await drain(fake, {})
    assert set(arrived) <= set(found)


@check("pull")
async def an_empty_channel_gives_no_posts_and_no_error(fake: FakeChannel) -> None:
    found, cursor = await drain(fake, {})
    assert not found
    arrived = fake.arrive("the first post ever")
    found, _ = await drain(fake, cursor)
    assert arrived in found


@check("pull", gives=Gives.UNKNOWN)
async def fields_that_nobody_documented_change_nothing(fake: FakeChannel) -> None:
    arrived = fill(fake, 3)
    fake.unknown_fields = True
    found, _ = await drain(fake, {})
    assert set(arrived) <= set(found)


@check("pull")
async def text_of_any_script_arrives_verbatim_but_for_what_cannot_be_stored(fake: FakeChannel) -> None:
    arrived = {fake.arrive(text): text for text in SCRIPTS.values()}
    found, _ = await drain(fake, {})
    for external_id, text in arrived.items():
        assert plain(text) in plain(found[external_id].text)


@check("pull", "threads")
async def an_answer_to_a_post_is_in_the_same_conversation(fake: FakeChannel) -> None:
    root = fake.arrive("my order is late")
    child = fake.arrive("and now it is lost", under=root)
    grandchild = fake.arrive("hello?", under=child)
    stranger = fake.arrive("something else entirely", by="bob")
    found, _ = await drain(fake, {})
    assert found[child].in_reply_to == root
    assert found[grandchild].in_reply_to == child
    assert found[root].thread_id == found[child].thread_id == found[grandchild].thread_id
    assert found[stranger].thread_id != found[root].thread_id


@check("pull", "rename")
async def an_author_who_took_another_handle_is_the_same(fake: FakeChannel) -> None:
    before = fake.arrive("hello")
    first, cursor = await drain(fake, {})
    fake.rename("ada")
    after = fake.arrive("hello again")
    second, _ = await drain(fake, cursor)
    assert second[after].author.external_id == first[before].author.external_id
    assert second[after].author.handle != first[before].author.handle


@check("pull", "direct")
async def a_direct_message_is_marked_as_such(fake: FakeChannel) -> None:
    direct = fake.arrive("my address is private", direct=True)
    public = fake.arrive("hello all")
    found, _ = await drain(fake, {})
    assert found[direct].kind is PostKind.DIRECT
    assert found[direct].visibility is Visibility.DIRECT
    assert found[public].kind is not PostKind.DIRECT


@check("pull", "own", gives=Gives.ECHOES)
async def our_own_posts_are_marked_as_own(fake: FakeChannel) -> None:
    ours = fake.arrive_own("we are open on Sunday")
    theirs = fake.arrive("are you open on Sunday?")
    found, _ = await drain(fake, {})
    assert found[ours].own
    assert not found[theirs].own


@check("pull", "broken")
async def one_unreadable_entry_is_set_aside_and_the_others_arrive(fake: FakeChannel) -> None:
    before = fake.arrive("fine")
    fake.arrive_broken()
    after = fake.arrive("fine, too")
    batch = await fetch(fake, {})
    assert {before, after} <= {post.external_id for post in batch.posts}
    assert len(batch.rejected) == 1
    assert batch.rejected[0].reason
    again = await fetch(fake, {})
    assert again.rejected[0].external_id == batch.rejected[0].external_id, "the same entry keeps its identity"
