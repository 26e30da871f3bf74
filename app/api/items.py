"""/items: list, read, claim, release, answer, note, close, reopen. Every verb is a resource."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.door import Db, Reader, Writer
from app.api.schemas import (
    AssignmentAsked,
    AuthorGiven,
    ClosureAsked,
    ContextAuthorGiven,
    ContextGiven,
    DecidedGiven,
    ItemGiven,
    ItemsAsked,
    Named,
    NoteAsked,
    NoteGiven,
    OfferGiven,
    Page,
    PostGiven,
    RefusalAsked,
    ReplyAsked,
    ReplyGiven,
    SignalsGiven,
    WaitingGiven,
    WhyGiven,
)
from app.errors import NotFound
from app.flow.assign import assign
from app.flow.claim import claim
from app.flow.close import close
from app.flow.explain import Explained, decided, explain
from app.flow.note import note
from app.flow.offer import accept, decline, extend
from app.flow.release import release
from app.flow.reopen import reopen
from app.flow.reply import reply
from app.flow.visibility import visible_item
from app.models.agent import Agent
from app.models.context import ContextPost
from app.models.item import State
from app.models.post import Post
from app.models.sight import visible_queues
from app.queries import programs
from app.queries.context import rows_above
from app.queries.programs import ItemRow, PostRow

router = APIRouter(prefix="/items", tags=["items"])


class ItemWhole(ItemGiven):
    """An item with all that was said."""

    context: list[ContextGiven] = Field(description="What stands above the conversation's posts, the oldest first.")
    conversation: list[PostGiven]
    replies: list[ReplyGiven]
    notes: list[NoteGiven]


def post_given(row: PostRow) -> PostGiven:
    """A post as it is answered."""
    signals = SignalsGiven.model_validate(row.signal) if row.signal else None
    author = AuthorGiven.model_validate(row.author)
    return PostGiven.model_validate({**_columns(row.post), **row.shown, "author": author, "signals": signals})


def context_given(post: ContextPost) -> ContextGiven:
    """A post above, as it is answered."""
    author = ContextAuthorGiven(handle=post.author_handle, name=post.author_name, url=post.author_url)
    plain = ContextGiven.model_fields.keys() - {"author"}
    return ContextGiven(author=author, **{name: getattr(post, name) for name in plain})


def _columns(row: Post) -> dict[str, object]:
    return {name: getattr(row, name) for name in PostGiven.model_fields if name not in {"author", "signals"}}


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
        wanted=asked.wanted,
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
        context=[context_given(one) for one in await rows_above(db, row.item.conversation_id)],
        conversation=[post_given(one) for one in reversed(posts)],
        replies=[ReplyGiven.model_validate(one) for one in await programs.replies(db, item_id)],
        notes=[NoteGiven.model_validate(one) for one in await programs.notes(db, item_id)],
    )


@router.get("/{item_id}/why")
async def why(db: Db, me: Reader, item_id: int) -> WhyGiven:
    """Why nobody has it yet, or the decision that gave it to whom it is with."""
    item = await visible_item(db, me, item_id)
    found = await explain(db, item_id) if item.state == State.QUEUED else None
    made = await decided(db, item)
    return WhyGiven(
        state=State(item.state),
        raised=item.raised,
        waiting=None if found is None else _waiting(found),
        decided=None if made is None else DecidedGiven.model_validate(made),
    )


def _waiting(found: Explained) -> WaitingGiven:
    return WaitingGiven.model_validate(found)


@router.post("/{item_id}/assignment", status_code=HTTPStatus.CREATED)
async def claimed(db: Db, me: Writer, item_id: int, asked: AssignmentAsked | None = None) -> ItemGiven:
    """Claim it for the token's agent; 409 when somebody was first. With a body, a supervisor gives it to an agent."""
    if asked is None:
        await claim(db, me, item_id)
    else:
        await assign(db, me, item_id, asked.agent, force=asked.how == "now")
    return item_given(await _one(db, me, item_id))


@router.delete("/{item_id}/assignment")
async def released(db: Db, me: Writer, item_id: int) -> ItemGiven:
    """Give it back to its queue."""
    await release(db, me, item_id)
    return item_given(await _one(db, me, item_id))


@router.post("/{item_id}/acceptance", status_code=HTTPStatus.CREATED)
async def accepted(db: Db, me: Writer, item_id: int) -> ItemGiven:
    """Accept what is offered to the token's agent; 409 when the offer is over."""
    await accept(db, me, item_id)
    return item_given(await _one(db, me, item_id))


@router.post("/{item_id}/refusal", status_code=HTTPStatus.CREATED)
async def declined(db: Db, me: Writer, item_id: int, asked: RefusalAsked) -> ItemGiven:
    """Decline it with a reason: back to its queue, with its rank."""
    await decline(db, me, item_id, asked.reason)
    return item_given(await _one(db, me, item_id))


@router.post("/{item_id}/offer/extension", status_code=HTTPStatus.CREATED)
async def extended(db: Db, me: Writer, item_id: int) -> OfferGiven:
    """Half a minute more to decide, at most ten times."""
    return OfferGiven.model_validate(await extend(db, me, item_id))


@router.post("/{item_id}/replies", status_code=HTTPStatus.CREATED)
async def answered(db: Db, me: Writer, item_id: int, asked: ReplyAsked) -> ReplyGiven:
    """Answer. It is held for the queue's undo time, then sent; look at GET /replies/{id} for how far it is."""
    made = await reply(
        db,
        me,
        item_id,
        asked.text,
        asked.visibility,
        key=asked.key,
        then_close=asked.then_close,
        account_id=asked.account_id,
    )
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
