"""/items: list, read, claim, release, answer, note, close, reopen. Every verb is a resource."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.door import Db, Reader, Writer
from app.api.schemas import (
    AuthorGiven,
    ClosureAsked,
    ItemGiven,
    ItemsAsked,
    Named,
    NoteAsked,
    NoteGiven,
    Page,
    PostGiven,
    ReplyAsked,
    ReplyGiven,
)
from app.errors import NotFound
from app.flow.claim import claim
from app.flow.close import close
from app.flow.note import note
from app.flow.release import release
from app.flow.reopen import reopen
from app.flow.reply import reply
from app.models.agent import Agent
from app.models.post import Author, Post
from app.models.sight import visible_queues
from app.queries import programs
from app.queries.programs import ItemRow

router = APIRouter(prefix="/items", tags=["items"])


class ItemWhole(ItemGiven):
    """An item with all that was said."""

    conversation: list[PostGiven]
    replies: list[ReplyGiven]
    notes: list[NoteGiven]


def post_given(post: Post, author: Author) -> PostGiven:
    """A post as it is answered."""
    return PostGiven.model_validate({**_columns(post), "author": AuthorGiven.model_validate(author)})


def _columns(row: Post) -> dict[str, object]:
    return {name: getattr(row, name) for name in PostGiven.model_fields if name != "author"}


def item_given(row: ItemRow) -> ItemGiven:
    """An item as it is answered."""
    plain = ItemGiven.model_fields.keys() - {"queue", "agent", "author", "requirements"}
    return ItemGiven(
        **{name: getattr(row.item, name) for name in plain},
        queue=Named.model_validate(row.queue),
        agent=Named.model_validate(row.holder) if row.holder else None,
        author=AuthorGiven.model_validate(row.author),
        requirements=dict(row.requirements),
    )


async def _one(db: AsyncSession, agent: Agent, item_id: int) -> ItemRow:
    rows = await programs.items(db, agent, visible_queues(agent), item=item_id, limit=1)
    if not rows:
        raise NotFound(f"There is no item {item_id}, or it is not in a queue of your teams.")
    return rows[0]


@router.get("")
async def listed(db: Db, me: Reader, asked: Annotated[ItemsAsked, Query()]) -> Page[ItemGiven]:
    """Items that the token's agent may see, newest first."""
    rows = await programs.items(
        db,
        me,
        visible_queues(me),
        state=asked.state,
        queue=asked.queue,
        holder=asked.agent,
        after=asked.after,
        limit=asked.limit + 1,
    )
    shown = rows[: asked.limit]
    return Page(data=[item_given(row) for row in shown], next=shown[-1].item.id if len(rows) > asked.limit else None)


@router.get("/{item_id}")
async def shown(db: Db, me: Reader, item_id: int) -> ItemWhole:
    """One item with its conversation (the newest 100 posts), replies and notes."""
    row = await _one(db, me, item_id)
    posts = await programs.posts(db, me, visible_queues(me), conversation=row.item.conversation_id, limit=100)
    return ItemWhole(
        **item_given(row).model_dump(),
        conversation=[post_given(*one) for one in reversed(posts)],
        replies=[ReplyGiven.model_validate(one) for one in await programs.replies(db, item_id)],
        notes=[NoteGiven.model_validate(one) for one in await programs.notes(db, item_id)],
    )


@router.post("/{item_id}/assignment", status_code=HTTPStatus.CREATED)
async def claimed(db: Db, me: Writer, item_id: int) -> ItemGiven:
    """Claim it for the token's agent. 409 when somebody was first."""
    await claim(db, me, item_id)
    return item_given(await _one(db, me, item_id))


@router.delete("/{item_id}/assignment")
async def released(db: Db, me: Writer, item_id: int) -> ItemGiven:
    """Give it back to its queue."""
    await release(db, me, item_id)
    return item_given(await _one(db, me, item_id))


@router.post("/{item_id}/replies", status_code=HTTPStatus.CREATED)
async def answered(db: Db, me: Writer, item_id: int, asked: ReplyAsked) -> ReplyGiven:
    """Answer. It is held for the queue's undo time, then sent; look at GET /replies/{id} for how far it is."""
    made = await reply(db, me, item_id, asked.text, asked.visibility, key=asked.key, then_close=asked.then_close)
    return ReplyGiven.model_validate(made)


@router.post("/{item_id}/notes", status_code=HTTPStatus.CREATED)
async def noted(db: Db, me: Writer, item_id: int, asked: NoteAsked) -> NoteGiven:
    """Write a note."""
    made = await note(db, me, item_id, asked.text)
    await db.refresh(made)
    return NoteGiven.model_validate(made)


@router.post("/{item_id}/closure", status_code=HTTPStatus.CREATED)
async def closed(db: Db, me: Writer, item_id: int, asked: ClosureAsked) -> ItemGiven:
    """Close it with a disposition."""
    await close(db, me, item_id, asked.disposition, asked.seen)
    return item_given(await _one(db, me, item_id))


@router.delete("/{item_id}/closure")
async def reopened(db: Db, me: Writer, item_id: int) -> ItemGiven:
    """Reopen it."""
    await reopen(db, me, item_id)
    return item_given(await _one(db, me, item_id))
