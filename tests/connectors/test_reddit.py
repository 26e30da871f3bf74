"""What is Reddit's own: script apps, the User-Agent, the cap of its lists, refusals with status 200, [deleted]."""

from datetime import timedelta
from typing import Any

import pytest

from app.connectors import registry
from app.connectors.base import Budget, KnownPost, PostKind, Spent
from app.connectors.reddit import RedditSettings, Source
from app.connectors.testing.fake import Trouble
from app.connectors.testing.steps import answer, asked, drain, placed, send, through_json, tried
from app.errors import RateLimited, Refused, Unauthorized
from tests.connectors.fakes.reddit import SUB, US, FakeReddit

REDDIT = registry.get("reddit")


@pytest.fixture
def inbox() -> FakeReddit:
    return FakeReddit()


async def test_a_script_signs_in_with_its_password_and_keeps_the_token(inbox: FakeReddit) -> None:
    inbox.script = True
    await asked(inbox)
    assert len(inbox.kept) == 1
    await drain(inbox, {})
    assert len(inbox.kept) == 1
    assert REDDIT.sign_in(inbox.credentials()) is None


async def test_a_scripts_token_that_ended_early_is_renewed(inbox: FakeReddit) -> None:
    inbox.script = True
    await asked(inbox)
    inbox.token = "revoked"
    await drain(inbox, {})
    assert len(inbox.kept) == 2


async def test_a_wrong_password_asks_for_a_person(inbox: FakeReddit) -> None:
    inbox.script = True
    wrong = inbox.credentials().model_copy(update={"client_id": "x"})
    inbox.trouble(Trouble.EXPIRED, times=2)
    with pytest.raises(Unauthorized):
        await REDDIT.fetch(inbox.link(credentials=wrong), {})


async def test_what_is_left_of_the_allowance_is_told(inbox: FakeReddit) -> None:
    told: list[Budget | Spent] = []

    async def note(said: Budget | Spent) -> None:
        told.append(said)

    await REDDIT.fetch(inbox.link(note=note), {})
    assert told == [Budget(999, 1000, inbox.now + timedelta(seconds=300))]


async def test_an_entry_that_was_deleted_does_not_hide_what_came_after_it(inbox: FakeReddit) -> None:
    newest = [inbox.arrive(f"comment {n}") for n in range(3)][-1]
    _, cursor = await drain(inbox, {})
    inbox.remove(newest)
    later = inbox.arrive("after the deletion")
    found, _ = await drain(inbox, cursor)
    assert later in found


async def test_more_than_a_list_holds_is_told_in_the_feeds_health(inbox: FakeReddit) -> None:
    inbox.page_size = 100
    inbox.arrive("before")
    _, cursor = await drain(inbox, {})
    for n in range(1100):
        inbox.arrive(f"comment {n}")
    notices = []
    for _ in range(10):
        batch = await REDDIT.fetch(inbox.link(), cursor)
        cursor = through_json(batch.cursor)
        notices.append(batch.notice)
        if not batch.more:
            break
    assert "about 1,000" in notices[-1]


async def test_a_comment_belongs_to_the_post_it_stands_under(inbox: FakeReddit) -> None:
    post = await asked(inbox)
    assert post.thread_id == "t3_ownada"
    assert post.kind is PostKind.REPLY
    assert post.url is not None
    assert f"/r/{SUB}/comments/" in post.url


async def test_a_removed_post_is_told_as_deleted(inbox: FakeReddit) -> None:
    post = await asked(inbox)
    inbox.pieces[post.external_id].text = "[removed]"
    [change] = await REDDIT.look_again(inbox.link(), [KnownPost(post.external_id, {})])
    assert change.deleted


async def test_reddit_s_own_pace_of_writing_is_waited_for(inbox: FakeReddit) -> None:
    post = await asked(inbox)
    inbox.locked.add(post.external_id)
    with pytest.raises(RateLimited) as caught:
        await send(inbox, answer(inbox, post))
    assert caught.value.retry_after == timedelta(seconds=371)
    assert caught.value.delivered is False


async def test_a_message_is_answered_and_found_and_cannot_be_taken_back(inbox: FakeReddit) -> None:
    name = inbox.arrive("My address is private", direct=True)
    found, _ = await drain(inbox, {})
    reply = answer(inbox, found[name])
    sent = await send(inbox, reply)
    again = await REDDIT.find_sent(inbox.link(), tried(inbox, reply))
    assert again is not None
    assert again.external_id == sent.external_id
    with pytest.raises(Refused, match="taken back"):
        await REDDIT.delete(inbox.link(), placed(sent, reply, inbox))


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"source": "subreddit", "subreddit": "r/ultralight"}, f"/r/{SUB}/new"),
        ({"source": "search", "value": "northwind"}, "/search"),
    ],
)
async def test_posts_of_a_subreddit_or_a_search_are_read(settings: Any, path: str) -> None:
    fake = FakeReddit(Source(settings["source"]))
    names = {fake.piece("t3", "ada", f"northwind {n}").name for n in range(23)}
    cursor: Any = {}
    found: set[str] = set()
    for _ in range(5):
        batch = await REDDIT.fetch(fake.link(settings=RedditSettings(**settings)), cursor)
        cursor = through_json(batch.cursor)
        found |= {post.external_id for post in batch.posts}
        if not batch.more:
            break
    assert found == names
    assert {request.url.path for request in fake.requests} == {path}
    assert fake.requests[0].headers["user-agent"].endswith(f"(by /u/{US})")


def test_settings_that_name_no_subreddit_are_not_taken() -> None:
    with pytest.raises(ValueError, match="which subreddit"):
        RedditSettings(source=Source.SUBREDDIT)
    assert RedditSettings(source=Source.SUBREDDIT, subreddit=" /r/ultralight ").subreddit == "ultralight"
