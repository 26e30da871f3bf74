"""/posts, /queues and /feeds: to be read."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.door import AdminReader, Db, Reader
from app.api.items import post_given
from app.api.schemas import FeedGiven, Named, Page, PostGiven, PostsAsked, QueueGiven
from app.errors import NotFound
from app.flow.visibility import visible_item
from app.models.sight import visible_queues
from app.queries import programs
from app.queries.feeds import feeds as all_feeds

router = APIRouter()


@router.get("/posts", tags=["posts"])
async def posts(db: Db, me: Reader, asked: Annotated[PostsAsked, Query()]) -> Page[PostGiven]:
    """Posts of conversations that the token's agent may see, newest first."""
    conversation = None if asked.item is None else (await visible_item(db, me, asked.item)).conversation_id
    rows = await programs.posts(
        db, me, visible_queues(me), conversation=conversation, after=asked.after, limit=asked.limit + 1
    )
    shown = rows[: asked.limit]
    return Page(data=[post_given(*row) for row in shown], next=shown[-1][0].id if len(rows) > asked.limit else None)


@router.get("/posts/{post_id}", tags=["posts"])
async def post(db: Db, me: Reader, post_id: int) -> PostGiven:
    """One post."""
    rows = await programs.posts(db, me, visible_queues(me), post=post_id, limit=1)
    if not rows:
        raise NotFound(f"There is no post {post_id}, or it is not in a queue of your teams.")
    return post_given(*rows[0])


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
