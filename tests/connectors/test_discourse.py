"""What is Discourse's own: topics nobody answered, inboxes, deliveries, approval, a 403 with two meanings, its HTML."""

import copy
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.connectors import registry
from app.connectors.base import Batch, IncomingPost, Json, KnownPost, OutgoingReply, PostKind, Visibility
from app.connectors.discourse import DiscourseCredentials, DiscourseSettings, Source
from app.connectors.testing.fake import Trouble
from app.connectors.testing.steps import PICTURES, answer, asked, drain, placed, send, tried
from app.connectors.testing.steps import known as held
from app.connectors.testing.upward import under
from app.errors import RateLimited, Refused, Unauthorized, Unreachable
from tests.connectors.fakes.discourse import BASE, OUR_ID, PEOPLE, US, FakeDiscourse, Piece, name_of
from tests.connectors.openapi import Description, description

DISCOURSE = registry.get("discourse")
BEYOND = {  # what the description leaves out: lib/topic_query.rb, app/controllers/topics_controller.rb, config/routes.rb
    "/latest.json": ("category", "tags[]", "max_posts", "page"),
    "/t/{id}.json": ("include_raw",),
    "/t/{id}/posts.json": ("include_raw", "post_ids[]"),
}
UNDESCRIBED = ("/private-posts.json", "/posts/by_number/", "/topics/private-messages-group/", "/latest?")


@pytest.fixture
def forum() -> FakeDiscourse:
    return FakeDiscourse()


@pytest.fixture
def waiting() -> FakeDiscourse:
    return FakeDiscourse(Source.UNANSWERED)


@pytest.fixture
def inbox() -> FakeDiscourse:
    return FakeDiscourse(Source.MESSAGES)


async def brought(fake: FakeDiscourse, **settings: Any) -> list[str]:
    """What a feed with these settings brings from its start."""
    given = DiscourseSettings(source=fake.source, **settings)
    batch = await DISCOURSE.fetch(fake.link(settings=given), {})
    return [post.text for post in batch.posts]


# Requests


def described() -> Description:
    spec = copy.deepcopy(description("discourse.openapi.json"))
    for path, names in BEYOND.items():
        known = [{"name": name, "in": "query", "schema": {}} for name in names]
        spec["paths"][path]["get"].setdefault("parameters", []).extend(known)
    spec.setdefault("components", {})
    return Description(spec)


@pytest.mark.parametrize("source", list(Source))
async def test_every_request_is_as_the_forum_describes_it(source: Source) -> None:
    known, fake = described(), FakeDiscourse(source)
    await DISCOURSE.check(fake.link())
    post = await asked(fake)
    await DISCOURSE.look_again(fake.link(), [held(post)])
    await DISCOURSE.parents(fake.link(), held(post))
    for audience in (post.visibility, Visibility.DIRECT):
        reply = answer(fake, post, visibility=audience, pictures=PICTURES)
        standing = placed(await send(fake, reply), reply, fake)
        await DISCOURSE.find_sent(fake.link(), tried(fake, reply))
        await DISCOURSE.edit(fake.link(), standing, "We looked again.")
        await DISCOURSE.delete(fake.link(), standing)
        fake.tick(timedelta(minutes=3))
    asked_for = [request for request in fake.requests if not _undescribed(request)]
    for request in asked_for:
        await request.aread()
    assert len({known.check_request(request) for request in asked_for}) >= 7


def _undescribed(request: httpx.Request) -> bool:
    return request.url.raw_path.decode().startswith(UNDESCRIBED)


# Topics that nobody has answered


async def test_a_topic_comes_once_it_has_stood_unanswered_for_the_feeds_hours(waiting: FakeDiscourse) -> None:
    topic = waiting.open(PEOPLE["ada"])
    waiting.write(topic, PEOPLE["ada"], "Does anybody know?")
    found, cursor = await drain(waiting, {})
    assert found == {}
    waiting.tick(timedelta(hours=23))
    found, cursor = await drain(waiting, cursor)
    assert found == {}
    waiting.tick(timedelta(hours=2))
    found, cursor = await drain(waiting, cursor)
    assert [post.text for post in found.values()] == ["Does anybody know?"]
    found, _ = await drain(waiting, cursor)
    assert found == {}


async def test_a_topic_that_was_answered_or_closed_is_left_alone(waiting: FakeDiscourse) -> None:
    answered, closed = (waiting.open(PEOPLE["ada"]) for _ in range(2))
    for topic in (answered, closed):
        waiting.write(topic, PEOPLE["ada"], "Does anybody know?")
    waiting.write(answered, PEOPLE["bob"], "Yes.")
    closed.closed = True
    waiting.tick(timedelta(hours=30))
    assert await brought(waiting) == []


async def test_a_topic_that_is_answered_while_we_look_is_left_alone(waiting: FakeDiscourse) -> None:
    topic = waiting.named(waiting.arrive("Does anybody know?")).topic

    def answered_between() -> None:
        if len(waiting.requests) == 2:
            waiting.write(topic, PEOPLE["bob"], "Yes.")

    waiting.between_requests = answered_between
    assert await brought(waiting) == []


async def test_unanswered_topics_of_a_category_or_a_tag_alone(waiting: FakeDiscourse) -> None:
    for category, tags in ((5, ("tents",)), (6, ("tents",)), (5, ())):
        topic = waiting.open(PEOPLE["ada"], at=waiting.now - timedelta(hours=25), category=category, tags=tags)
        waiting.write(topic, PEOPLE["ada"], f"{category} {tags}", at=topic.at)
    assert await brought(waiting, category="support", tag="tents") == ["5 ('tents',)"]


async def test_many_unanswered_topics_come_the_oldest_first_and_none_is_missed(waiting: FakeDiscourse) -> None:
    waiting.topic_page = 7
    names = [waiting.arrive(f"question {n}") for n in range(50)]
    batch = await DISCOURSE.fetch(waiting.link(), {})
    assert [post.external_id for post in batch.posts] == names[:20]
    assert batch.more
    found, _ = await drain(waiting, {})
    assert set(found) == set(names)


# What a feed is about


async def test_answers_in_topics_of_a_category_come_over_several_pages_of_topics(forum: FakeDiscourse) -> None:
    forum.topic_page = 2
    pinned = forum.open(PEOPLE["bob"], pinned=True, category=6)
    forum.write(pinned, PEOPLE["bob"], "the rules of this forum")
    topics = [forum.open(PEOPLE["ada"], category=5 if n % 2 else 6) for n in range(6)]
    for number, topic in enumerate(topics):
        forum.tick()
        forum.write(topic, PEOPLE["ada"], f"question {number}")
        forum.write(topic, PEOPLE["bob"], f"answer {number}")
    assert sorted(await brought(forum, category="5")) == [f"{w} {n}" for w in ("answer", "question") for n in (1, 3, 5)]


async def test_too_many_topics_to_look_through_are_told_in_the_feeds_health(forum: FakeDiscourse) -> None:
    forum.topic_page, forum.page_size = 1, 50
    for number in range(14):
        forum.arrive(f"question {number}")
    batch = await DISCOURSE.fetch(forum.link(settings=DiscourseSettings(tag="tents")), {})
    assert len(batch.posts) == 10
    assert "missing" in batch.notice


async def test_an_empty_page_of_an_older_forum_is_no_end(forum: FakeDiscourse) -> None:
    old = FakeDiscourse(windows=True)
    old.arrive("before")
    _, cursor = await drain(old, {})
    first = old.arrive("one")
    for _ in range(40):
        next(old._posts)
    second = old.arrive("two")
    found, _ = await drain(old, cursor)
    assert {first, second} <= set(found)


async def test_an_inbox_holds_no_messages_of_others_even_for_an_administrator(inbox: FakeDiscourse) -> None:
    inbox.write(
        inbox.open(PEOPLE["ada"], people={PEOPLE["ada"], PEOPLE["bob"]}), PEOPLE["ada"], "between the two of us"
    )
    inbox.arrive("for you")
    assert await brought(inbox) == ["for you"]


async def test_the_inbox_of_a_group_is_a_feed_of_its_own(inbox: FakeDiscourse) -> None:
    inbox.write(inbox.open(PEOPLE["ada"], group="support"), PEOPLE["ada"], "dear support")
    inbox.arrive("dear you")
    assert await brought(inbox, group="support") == ["dear support"]
    assert await brought(inbox) == ["dear you"]


async def test_private_messages_are_direct(inbox: FakeDiscourse) -> None:
    post = await asked(inbox)
    assert (post.kind, post.visibility) == (PostKind.DIRECT, Visibility.DIRECT)


# Posts


async def shown(fake: FakeDiscourse, **more: Any) -> IncomingPost:
    """A post with these fields, as it is brought."""
    name = fake.arrive("The pole is bent")
    fake.named(name).more = more
    found, _ = await drain(fake, {})
    return found[name]


async def test_pictures_files_and_films_hang_on_a_post_with_whole_addresses(forum: FakeDiscourse) -> None:
    cooked = (
        '<p>Look <img src="/images/emoji/smile.png" title=":smile:" class="emoji" alt=":smile:"> <a href="/u/bob">@bob</a></p>'
        '<div class="lightbox-wrapper"><a class="lightbox" href="//cdn.example/original.jpeg" title="pole">'
        '<img src="/uploads/small.jpeg" alt="pole" width="690"><div class="meta"><span>pole 2 MB</span></div></a></div>'
        '<p><img src="/uploads/plain.png" alt="tent"><a class="attachment" href="/uploads/bill.pdf">bill.pdf</a></p>'
        '<video controls><source src="/uploads/wind.mp4"></video>'
    )
    post = await shown(forum, cooked=cooked)
    assert [(one.kind, one.url) for one in post.media] == [
        ("image", "https://cdn.example/original.jpeg"),
        ("image", f"{BASE}/uploads/plain.png"),
        ("file", f"{BASE}/uploads/bill.pdf"),
        ("video", f"{BASE}/uploads/wind.mp4"),
    ]
    assert post.html is not None
    assert ":smile: " in post.html
    assert f'href="{BASE}/u/bob"' in post.html
    assert "2 MB" not in post.html


async def test_a_poll_is_shown_with_its_votes(forum: FakeDiscourse) -> None:
    options = [{"id": "a", "html": "Red", "votes": 3}, {"id": "b", "html": "Green &amp; blue", "votes": 1}]
    post = await shown(forum, polls=[{"name": "poll", "type": "regular", "status": "open", "options": options}])
    poll = post.media[-1].poll
    assert poll is not None
    assert (poll.options, poll.votes, poll.multiple) == (("Red", "Green & blue"), (3, 1), False)


async def test_what_the_forum_says_by_itself_is_a_notice_and_small_actions_are_nothing(forum: FakeDiscourse) -> None:
    post = await shown(forum, user_id=-1, username="system")
    assert post.kind is PostKind.NOTICE
    forum.named(post.external_id).more = {"post_type": 3, "action_code": "closed.enabled"}
    assert await brought(forum) == []


async def test_a_post_that_names_us_is_a_mention_and_one_that_answers_is_an_answer(forum: FakeDiscourse) -> None:
    named, root = forum.arrive(f"Hello @{US}, are you there?"), forum.arrive("Hello all")
    below = forum.arrive("Hello you", under=root)
    found, _ = await drain(forum, {})
    assert [found[name].kind for name in (named, root, below)] == [PostKind.MENTION, PostKind.POST, PostKind.REPLY]
    assert found[root].title == "Where is my order?"
    assert found[below].title == ""


async def test_an_answer_that_names_no_post_answers_the_first_one(forum: FakeDiscourse) -> None:
    root = forum.named(forum.arrive("Where is it?"))
    forum.write(root.topic, PEOPLE["bob"], "Which one?")
    found, _ = await drain(forum, {})
    assert [post.in_reply_to for post in found.values()] == [None, name_of(root)]


async def test_a_post_that_we_may_not_see_any_more_is_gone_for_us(forum: FakeDiscourse) -> None:
    post = await asked(forum)
    forum.named(post.external_id).topic.secret = True
    [change] = await DISCOURSE.look_again(forum.link(), [held(post)])
    assert change.deleted


async def test_a_post_is_never_taken_for_gone_because_the_key_is(forum: FakeDiscourse) -> None:
    post = await asked(forum)
    forum.key = "another"
    with pytest.raises(Unauthorized):
        await DISCOURSE.look_again(forum.link(), [held(post)])


# Answers


async def test_a_private_answer_to_a_public_post_is_a_message_to_its_author(forum: FakeDiscourse) -> None:
    post = await asked(forum)
    reply = answer(forum, post, "Please tell us your number.", visibility=Visibility.DIRECT)
    sent = await send(forum, reply)
    topic = forum.named(sent.external_id).topic
    assert (topic.message, topic.people, topic.title) == (True, {OUR_ID, PEOPLE["ada"]}, "Re: Where is my order?")
    again = await DISCOURSE.find_sent(forum.link(), tried(forum, reply))
    assert again is not None
    assert again.external_id == sent.external_id
    await DISCOURSE.delete(forum.link(), placed(sent, reply, forum))
    assert forum.ledger() == []
    assert await DISCOURSE.find_sent(forum.link(), tried(forum, reply)) is None


async def test_an_answer_to_a_message_stays_private_even_when_asked_for_in_public(inbox: FakeDiscourse) -> None:
    post = await asked(inbox)
    await send(inbox, answer(inbox, post, visibility=Visibility.PUBLIC))
    (standing,) = inbox.ledger()
    assert (standing.visibility, standing.parent) == (Visibility.DIRECT, post.external_id)


async def test_an_answer_goes_where_a_moved_post_stands_now(forum: FakeDiscourse) -> None:
    post = await asked(forum)
    piece, other = forum.named(post.external_id), forum.open(PEOPLE["bob"])
    forum.write(other, PEOPLE["bob"], "Same here")
    piece.topic.posts.remove(piece)
    piece.topic, piece.number = other, 2
    other.posts.append(piece)
    await send(forum, answer(forum, post))
    assert forum.ledger()[0].parent == f"{BASE}/t/{other.id}/2"


async def test_an_answer_that_waits_for_a_moderator_is_not_sent_again(forum: FakeDiscourse) -> None:
    forum.approves = True
    post = await asked(forum)
    with pytest.raises(Refused, match="moderator approves"):
        await send(forum, answer(forum, post))


async def test_what_the_forum_says_of_a_refused_answer_is_shown(forum: FakeDiscourse) -> None:
    post = await asked(forum)
    with pytest.raises(Refused, match="Body is too short"):
        await send(forum, answer(forum, post, "No."))


async def test_an_answer_with_pictures_is_found_by_its_words_and_keeps_them(forum: FakeDiscourse) -> None:
    post = await asked(forum)
    reply = answer(forum, post, pictures=PICTURES)
    forum.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with pytest.raises(Exception, match="broke off"):
        await send(forum, reply)
    found = await DISCOURSE.find_sent(forum.link(), tried(forum, reply))
    assert found is not None
    await DISCOURSE.edit(forum.link(), placed(found, reply, forum), "We looked again.")
    (standing,) = forum.ledger()
    assert len(standing.pictures) == len(PICTURES)
    assert standing.text.startswith("We looked again.")


async def test_an_answer_is_found_among_many_in_a_long_topic(forum: FakeDiscourse) -> None:
    post = await asked(forum)
    topic = forum.named(post.external_id).topic
    for number in range(40):
        forum.write(topic, PEOPLE["bob"], f"me too {number}")
    reply: OutgoingReply = answer(forum, post)
    sent = await send(forum, reply)
    found = await DISCOURSE.find_sent(forum.link(), tried(forum, reply))
    assert found is not None
    assert found.external_id == sent.external_id


# Refusals


class Says(httpx.AsyncBaseTransport):
    """A forum that gives one answer to everything."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.response


async def told(fake: FakeDiscourse, response: httpx.Response) -> Batch:
    """A fetch that gets this answer."""
    return await DISCOURSE.fetch(fake.link(http=httpx.AsyncClient(transport=Says(response))), {})


async def test_the_wait_stands_in_the_header_where_a_proxy_slows_us_down(forum: FakeDiscourse) -> None:
    slow = httpx.Response(429, text="Slow down, too many requests from this IP address.", headers={"Retry-After": "9"})
    with pytest.raises(RateLimited) as caught:
        await told(forum, slow)
    assert caught.value.retry_after == timedelta(seconds=9)


async def test_a_forum_in_read_only_mode_certainly_took_nothing(forum: FakeDiscourse) -> None:
    body = {"errors": ["The site is in read only mode."], "error_type": "read_only"}
    with pytest.raises(Unreachable) as caught:
        await told(forum, httpx.Response(503, json=body))
    assert caught.value.delivered is False


async def test_the_key_goes_to_no_other_host(forum: FakeDiscourse) -> None:
    with pytest.raises(Refused, match="elsewhere"):
        await told(forum, httpx.Response(301, headers={"Location": "https://evil.example/posts.json"}))
    body = {
        "topic_list": {
            "topics": [{"id": 1, "created_at": "2026-11-02T09:00:00Z"}],
            "more_topics_url": "//evil.example/x",
        }
    }
    with pytest.raises(Exception, match="another host"):
        await told(FakeDiscourse(Source.UNANSWERED), httpx.Response(200, json=body))


@pytest.mark.parametrize(
    "value", ["ftp://forum.example", "https://forum.example/?x", "https://a@forum.example", "https://"]
)
def test_what_is_no_address_of_a_forum_is_not_taken(value: str) -> None:
    with pytest.raises(ValueError, match="address"):
        DiscourseCredentials.model_validate({"server": value, "username": "care", "key": "k"})


def test_a_forum_may_stand_in_a_folder() -> None:
    held = DiscourseCredentials.model_validate({"server": "company.example/forum/", "username": "care", "key": "k"})
    assert held.server == "https://company.example/forum"


# Deliveries


def delivered(fake: FakeDiscourse, piece: Piece, event: str) -> Batch:
    sent = fake.told(piece, event)
    return DISCOURSE.receive(fake.link(), sent.headers, sent.body)


async def test_edits_deletions_and_recoveries_are_delivered(forum: FakeDiscourse) -> None:
    name = forum.arrive("My tent is torn")
    forum.rewrite(name, "My tent and my bag are torn")
    [edited] = delivered(forum, forum.named(name), "post_edited").changes
    assert (edited.external_id, edited.text) == (name, "My tent and my bag are torn")
    forum.tick()
    [gone] = delivered(forum, forum.named(name), "post_destroyed").changes
    assert gone.deleted
    forum.tick()
    [back] = delivered(forum, forum.named(name), "post_recovered").changes
    assert not back.deleted
    assert edited.changed_at < gone.changed_at < back.changed_at


async def test_a_deleted_topic_takes_its_first_post_along(forum: FakeDiscourse) -> None:
    name = forum.arrive("My tent is torn")
    body = json.dumps({"topic": {"id": forum.named(name).topic.id, "title": "Where is my order?"}}).encode()
    sent = forum.event(body, "topic_destroyed")
    [change] = DISCOURSE.receive(forum.link(), sent.headers, sent.body).changes
    assert (change.external_id, change.deleted) == (name, True)


@pytest.mark.parametrize("body", [{"ping": "OK"}, {"topic": {"id": 5}}, {"user": {"id": 11}}])
async def test_what_nobody_asked_for_is_taken_in_silence(forum: FakeDiscourse, body: Json) -> None:
    sent = forum.event(json.dumps(body).encode(), "user_updated")
    batch = DISCOURSE.receive(forum.link(), sent.headers, sent.body)
    assert (batch.posts, batch.changes, batch.rejected) == ((), (), ())


async def test_messages_between_others_are_left_out_of_what_is_delivered(inbox: FakeDiscourse) -> None:
    theirs = inbox.open(PEOPLE["ada"], people={PEOPLE["ada"], PEOPLE["bob"]})
    strange = delivered(inbox, inbox.write(theirs, PEOPLE["ada"], "between the two of us"), "post_created")
    assert (await DISCOURSE.complete(inbox.link(), strange)).posts == ()
    ours = delivered(inbox, inbox.named(inbox.arrive("for you")), "post_created")
    assert [post.text for post in (await DISCOURSE.complete(inbox.link(), ours)).posts] == ["for you"]


async def test_what_others_edit_in_their_messages_is_not_kept(inbox: FakeDiscourse) -> None:
    theirs = inbox.open(PEOPLE["ada"], people={PEOPLE["ada"], PEOPLE["bob"]})
    written = inbox.write(theirs, PEOPLE["ada"], "between the two of us")
    for event in ("post_edited", "post_recovered"):
        assert delivered(inbox, written, event).changes == ()


async def test_a_message_is_never_delivered_to_a_feed_of_public_posts(forum: FakeDiscourse) -> None:
    private = forum.write(forum.open(PEOPLE["ada"], message=True), PEOPLE["ada"], "in private")
    assert delivered(forum, private, "post_created").posts == ()


async def test_a_feed_of_new_topics_takes_no_answers(forum: FakeDiscourse) -> None:
    topics = FakeDiscourse(Source.TOPICS)
    root = topics.named(topics.arrive("Where is it?"))
    assert len(delivered(topics, root, "post_created").posts) == 1
    assert delivered(topics, topics.write(root.topic, PEOPLE["bob"], "Which?"), "post_created").posts == ()


async def test_deliveries_without_anything_to_check_them_by_are_not_believed(forum: FakeDiscourse) -> None:
    sent = forum.told(forum.named(forum.arrive("trust me")), "post_created")
    bare = DiscourseCredentials.model_validate({"server": BASE, "username": US, "key": "k"})
    with pytest.raises(Unauthorized, match="webhook"):
        DISCOURSE.receive(forum.link(credentials=bare), sent.headers, sent.body)


async def test_a_thread_is_brought_only_so_far_up(forum: FakeDiscourse) -> None:
    chain = [forum.aside("one")]
    for _ in range(12):
        chain.append(forum.aside("and more", under=chain[-1]))
    post = await under(forum, chain[-1])
    above = await DISCOURSE.parents(forum.link(), KnownPost(post.external_id, post.ref, post.in_reply_to))
    assert [one.external_id for one in above] == chain[-8:]
