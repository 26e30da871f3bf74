"""Mails in conversations: who may join one, and what a machine says. A mail proves neither its sender nor its thread."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingPost, Media, PostKind
from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.models.account import Account
from app.models.item import Disposition, Item, State
from app.models.post import Author, Conversation, Post, PostFile
from app.models.reply import Reply, ReplyState
from tests.company import Company, items, make_company, post

ANN, MAL, BOB = "ann@cust.test", "mal@evil.test", "bob@cust.test"


def mail(number: int, by: str = ANN, above: tuple[str, ...] = (), **values: Any) -> IncomingPost:
    root = above[-1] if above else f"post-{number}"
    given = {"people": [by]} | values.pop("ref", {})
    values |= {"in_reply_to": above[0] if above else None, "above": above[1:], "ref": given}
    return post(number, author=by, thread_id=f"{root}/{by}", vouched=False, **values)


async def rooms(session: AsyncSession) -> dict[str, str]:
    """The conversation of each post."""
    found = select(Post.external_id, Conversation.external_id).join(
        Conversation, Conversation.id == Post.conversation_id
    )
    return {post: room for post, room in await session.execute(found)}  # noqa: C416 - rows are no pairs


async def answered(session: AsyncSession, company: Company) -> Item:
    """An item of Ann's, answered by a mail called `ours`."""
    await ingest(session, company.feed, [mail(1)])
    [item] = await items(session)
    session.add(
        Reply(
            item_id=item.id, conversation_id=item.conversation_id, post_id=item.post_id, agent_id=company.finn.id,
            channel=company.feed.channel, state=ReplyState.SENT, text="On it.", visibility="direct", prepared={},
            external_id="ours", ref={},
        )
    )  # fmt: skip
    await session.flush()
    return item


async def test_who_is_answered_goes_on_in_the_conversation(session: AsyncSession) -> None:
    company = await make_company(session)
    await answered(session, company)
    await ingest(session, company.feed, [mail(2, above=("ours", "post-1"))])
    assert [item.posts for item in await items(session)] == [2]


async def test_an_outsider_who_knows_an_id_gets_a_conversation_of_their_own(session: AsyncSession) -> None:
    company = await make_company(session)
    item = await answered(session, company)
    for number, known in enumerate(("ours", "post-1"), 2):
        await ingest(session, company.feed, [mail(number, by=MAL, above=(known,))])
    found = await rooms(session)
    assert found["post-2"] != found["post-1"] != found["post-3"]
    assert (item.posts, len(await items(session))) == (1, 3)
    assert not list(await session.scalars(select(Post.in_reply_to).where(Post.in_reply_to.is_not(None))))


async def test_a_mail_in_our_name_is_a_strangers(session: AsyncSession) -> None:
    company = await make_company(session)
    session.add(Account(channel=company.feed.channel, name="Care", external_id="mailbox:care@brand.test"))
    await answered(session, company)
    await ingest(session, company.feed, [mail(2, by="care@brand.test", above=("ours",))])
    stored = (await session.scalars(select(Post).where(Post.external_id == "post-2"))).one()
    assert (stored.own, len(await items(session))) == (False, 2)


async def test_whom_the_customer_wrote_to_as_well_may_join(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [mail(1, ref={"people": [ANN, BOB]})])
    await ingest(session, company.feed, [mail(2, by=BOB, above=("post-1",)), mail(3, above=("post-2", "post-1"))])
    assert [item.posts for item in await items(session)] == [3]


async def test_the_same_holds_for_mails_that_come_together(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [mail(1), mail(2, above=("post-1",)), mail(3, by=MAL, above=("post-1",))])
    found = await rooms(session)
    assert found["post-1"] == found["post-2"] != found["post-3"]


async def test_a_mail_further_up_that_we_know_is_enough(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [mail(1)])
    await ingest(session, company.feed, [mail(2, above=("never-seen", "post-1"))])
    assert [item.posts for item in await items(session)] == [2]


async def test_a_bounce_stands_in_the_conversation_and_opens_and_wakes_nothing(session: AsyncSession) -> None:
    company = await make_company(session)
    item = await answered(session, company)
    await claim(session, company.finn, item.id)
    await close(session, company.finn, item.id, Disposition.ANSWERED)
    bounce = mail(2, by="mailer-daemon", above=("ours",), kind=PostKind.NOTICE)
    await ingest(session, company.feed, [bounce])
    found = await rooms(session)
    assert found["post-2"] == found["post-1"]
    assert [(one.state, one.posts) for one in await items(session)] == [(State.CLOSED, 1)]


async def test_a_bounce_that_names_a_customers_mail_is_no_way_in(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [mail(1)])
    await ingest(session, company.feed, [mail(2, by=MAL, above=("post-1",), kind=PostKind.NOTICE)])
    found = await rooms(session)
    assert found["post-1"] != found["post-2"]
    assert len(await items(session)) == 1


async def test_a_sender_who_is_not_proven_is_not_the_customer(session: AsyncSession) -> None:
    company = await make_company(session)
    await answered(session, company)
    await ingest(session, company.feed, [mail(2, by=f"unproven:{ANN}", above=("ours",))])
    assert await session.scalar(select(func.count(func.distinct(Author.customer_id)))) == 2
    assert len(await items(session)) == 2


async def test_files_are_kept_beside_the_post_and_not_in_it(session: AsyncSession) -> None:
    company = await make_company(session)
    media = (Media("file", "", title="a.pdf", content=b"%PDF"), Media("file", "", title="film.mp4"))
    await ingest(session, company.feed, [mail(1, media=media)])
    [stored] = await session.scalars(select(Post))
    assert [one.get("kept") for one in stored.media] == [4, None]
    kept = select(PostFile.position, PostFile.name, PostFile.content)
    assert [tuple(row) for row in await session.execute(kept)] == [(0, "a.pdf", b"%PDF")]
