"""What stands above a post."""

from app.connectors.base import MOST_PARENTS, IncomingPost
from app.connectors.testing.checks import check
from app.connectors.testing.fake import FOREVER, FakeChannel, Trouble
from app.connectors.testing.steps import assert_sound, drain, known, plain, raises
from app.errors import ConnectorError


async def above(fake: FakeChannel, post: IncomingPost) -> list[IncomingPost]:
    """What the connector brings of the thread above a post."""
    return list(await fake.connector.parents(fake.link(), known(post)))


async def under(fake: FakeChannel, parent: str) -> IncomingPost:
    """A post that the feed brings, which answers one that it does not."""
    name = fake.arrive("does anybody know?", under=parent)
    found, _ = await drain(fake, {})
    assert parent not in found
    return found[name]


@check("pull", "above")
async def the_posts_above_one_are_brought_with_the_topmost_first(fake: FakeChannel) -> None:
    top = fake.aside("which tent do you take?", by="bob")
    middle = fake.aside("mine leaks", by="carol", under=top)
    brought = await above(fake, await under(fake, middle))
    assert [post.external_id for post in brought] == [top, middle]
    assert [post.in_reply_to for post in brought] == [None, top]
    assert [plain(post.text) for post in brought] == ["which tent do you take?", "mine leaks"]
    assert len({post.author.external_id for post in brought}) == 2
    for post in brought:
        assert_sound(post)
        assert not post.own


@check("pull", "above")
async def nothing_stands_above_a_post_that_begins_its_thread(fake: FakeChannel) -> None:
    name = fake.arrive("hello")
    found, _ = await drain(fake, {})
    assert await above(fake, found[name]) == []


@check("pull", "above")
async def a_parent_that_is_gone_ends_the_thread_there(fake: FakeChannel) -> None:
    top = fake.aside("which tent do you take?")
    middle = fake.aside("mine leaks", under=top)
    low = fake.aside("mine too", under=middle)
    post = await under(fake, low)
    fake.remove(middle)
    assert [one.external_id for one in await above(fake, post)] == [low]
    fake.remove(low)
    assert await above(fake, post) == []


@check("pull", "above")
async def nothing_stands_above_a_post_that_is_gone_itself(fake: FakeChannel) -> None:
    post = await under(fake, fake.aside("which tent do you take?"))
    fake.remove(post.external_id)
    assert await above(fake, post) == []


@check("pull", "above")
async def a_long_thread_is_brought_in_part_its_nearest_posts_and_few_calls(fake: FakeChannel) -> None:
    chain = [fake.aside("one")]
    for _ in range(MOST_PARENTS + 5):
        chain.append(fake.aside("and one more", under=chain[-1]))
    post = await under(fake, chain[-1])
    fake.requests.clear()
    brought = [one.external_id for one in await above(fake, post)]
    assert 1 <= len(brought) <= MOST_PARENTS
    assert brought == chain[-len(brought) :]
    assert len(fake.requests) <= 10


@check("pull", "above")
async def a_channel_in_trouble_never_says_that_nothing_stands_above(fake: FakeChannel) -> None:
    post = await under(fake, fake.aside("which tent do you take?"))
    for trouble in (Trouble.DOWN, Trouble.HTML, Trouble.RATE_LIMITED, Trouble.NO_CONNECTION, Trouble.SLOW):
        fake.trouble(trouble, times=FOREVER)
        with raises(ConnectorError):
            await above(fake, post)
        fake.calm()
