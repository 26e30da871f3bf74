"""/posts, /queues and /feeds: to be read; and the rules of a feed's house, to be changed."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.door import AdminReader, AdminWriter, Db, Reader
from app.api.items import post_given
from app.api.schemas import FeedGiven, HouseGiven, Named, Page, PostGiven, PostsAsked, QueueGiven
from app.errors import NotFound
from app.flow.configure_feed import change_house
from app.flow.house import House
from app.flow.visibility import visible_item
from app.models.feed import Feed
from app.models.sight import visible_queues
from app.queries import programs
from app.queries.feeds import feeds as all_feeds
from app.queries.house import left_out

router = APIRouter()


@router.get("/posts", tags=["posts"])
async def posts(db: Db, me: Reader, asked: Annotated[PostsAsked, Query()]) -> Page[PostGiven]:
    """Posts of conversations that the token's agent may see, newest first."""
    conversation = None if asked.item is None else (await visible_item(db, me, asked.item)).conversation_id
    rows = await programs.posts(
        db, me, visible_queues(me), conversation=conversation, after=asked.after, limit=asked.limit + 1
    )
    shown = rows[: asked.limit]
    return Page(data=[post_given(row) for row in shown], next=shown[-1].post.id if len(rows) > asked.limit else None)


@router.get("/posts/{post_id}", tags=["posts"])
async def post(db: Db, me: Reader, post_id: int) -> PostGiven:
    """One post."""
    rows = await programs.posts(db, me, visible_queues(me), post=post_id, limit=1)
    if not rows:
        raise NotFound(f"There is no post {post_id}, or it is not in a queue of your teams.")
    return post_given(rows[0])


@router.get("/queues", tags=["queues"])
async def queues(db: Db, me: Reader) -> Page[QueueGiven]:
    """The queues that the token's agent may see."""
    rows = await programs.queues_of(db, visible_queues(me))
    return Page(
        data=[
            QueueGiven(
                id=queue.id,
                name=queue.name,
                active=queue.active,
                team=Named.model_validate(team),
                target=queue.target,
                target_share=queue.target_share,
            )
            for queue, team in rows
        ]
    )


@router.get("/feeds", tags=["feeds"])
async def feeds(db: Db, _me: AdminReader) -> Page[FeedGiven]:
    """All feeds and how they are; for tokens of an admin."""
    return Page(data=[FeedGiven.model_validate(line) for line in await all_feeds(db)])


@router.get("/feeds/{feed_id}/house", tags=["feeds"])
async def house(db: Db, _me: AdminReader, feed_id: int) -> HouseGiven:
    """A feed's rules of the house, and what they left out in the last seven days, by reason; for tokens of an admin."""
    return await _house(db, feed_id)


@router.put("/feeds/{feed_id}/house", tags=["feeds"])
async def put_house(db: Db, _me: AdminWriter, feed_id: int, asked: House) -> HouseGiven:
    """Give a feed other rules of the house; for tokens of an admin. A rule that is left out asks for nothing."""
    await change_house(db, feed_id, asked)
    return await _house(db, feed_id)


async def _house(db: Db, feed_id: int) -> HouseGiven:
    feed = await db.get(Feed, feed_id)
    if feed is None:
        raise NotFound(f"There is no feed {feed_id}.")
    return HouseGiven(house=House.model_validate(feed.house), left_out=await left_out(db, feed_id))
