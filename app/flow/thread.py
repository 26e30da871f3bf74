"""Thread: a reply too long for one post goes out as several, each a reply of its own, one after the other.

Each part has its own key, attempts and fate, so a failure in the middle stops there and goes on from there: what stands
is never sent again, and what comes after waits.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid5

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app import jobs
from app.connectors.split import Unsplittable, split
from app.errors import Invalid
from app.i18n import N_, _
from app.models.reply import Reply, ReplyPart, ReplyState

MOST_PARTS = 25
NUMBER = " (%d/%d)"


def parts_of(text: str, fits: Callable[[str], bool], *, numbered: bool) -> list[str]:
    """The text cut into posts; with room for each one's number, if they are numbered.

    Raises:
        Invalid: it cannot be cut, or into more posts than anybody would read.
    """
    room = NUMBER % (MOST_PARTS, MOST_PARTS) if numbered else ""
    try:
        parts = split(text, lambda part: fits(part + room))
    except Unsplittable:
        raise Invalid(N_("This reply cannot be cut into posts for this channel. Shorten it."), "text") from None
    if len(parts) > MOST_PARTS:
        raise Invalid(
            _("This reply would be %(n)d posts; at most %(most)d are sent. Shorten it.")
            % {"n": len(parts), "most": MOST_PARTS},
            "text",
        )
    return parts


def numbered_text(source: str, position: int, parts: int, *, numbered: bool) -> str:
    """One part as it is sent."""
    return source.strip() + (NUMBER % (position, parts) if numbered and parts > 1 else "")


async def hold_parts(session: AsyncSession, head: Reply, sources: Sequence[str], *, numbered: bool, tail: str) -> None:
    """Hold the posts behind the first one; each leaves when the one before it stands."""
    session.add(ReplyPart(reply_id=head.id, head_id=head.id, position=1, parts=len(sources), source=sources[0]))
    for position, source in enumerate(sources[1:], 2):
        text = numbered_text(source, position, len(sources), numbered=numbered)
        part = Reply(
            key=uuid5(head.key, str(position)),
            item_id=head.item_id,
            conversation_id=head.conversation_id,
            post_id=head.post_id,
            agent_id=head.agent_id,
            channel=head.channel,
            account_id=head.account_id,
            state=ReplyState.HELD,
            text=text + tail if position == len(sources) else text,
            visibility=head.visibility,
            then_close=head.then_close,
        )
        session.add(part)
        await session.flush()
        session.add(ReplyPart(reply_id=part.id, head_id=head.id, position=position, parts=len(sources), source=source))
    await session.flush()


async def written(session: AsyncSession, reply_id: int) -> str | None:
    """What was typed for a thread of which this is the first post; None for a reply that is one post."""
    sources = select(ReplyPart.source).where(ReplyPart.head_id == reply_id).order_by(ReplyPart.position)
    found = (await session.scalars(sources)).all()
    return "".join(found) or None


async def before(session: AsyncSession, reply_id: int) -> Mapping[str, Any]:
    """Where the part before this one stands; empty for a first one, and where the channel did not say."""
    this, other = aliased(ReplyPart), aliased(ReplyPart)
    asked = (
        select(Reply.ref)
        .join(other, other.reply_id == Reply.id)
        .join(this, (this.head_id == other.head_id) & (this.position == other.position + 1))
        .where(this.reply_id == reply_id)
    )
    return await session.scalar(asked) or {}


async def let_follow(session: AsyncSession, reply_id: int) -> None:
    """A part stands: the next one may leave."""
    this, other = aliased(ReplyPart), aliased(ReplyPart)
    following = (
        select(other.reply_id)
        .join(this, (this.head_id == other.head_id) & (other.position == this.position + 1))
        .where(this.reply_id == reply_id)
    )
    due = (
        update(Reply)
        .where(Reply.id.in_(following), Reply.state == ReplyState.HELD, Reply.due_at.is_(None))
        .values(due_at=func.now())
        .returning(Reply.id)
        .execution_options(synchronize_session=False)
    )
    await jobs.defer(session, jobs.SEND, "reply_id", list(await session.scalars(due)))


async def take_back_rest(session: AsyncSession, reply_id: int) -> str | None:
    """Drop the parts behind one that was just taken back, and return what was typed from that one on.

    None when it is one post. None of them can have left: each waits for the one before it.
    """
    this = await session.get(ReplyPart, reply_id)
    if this is None:
        return None
    rest = select(ReplyPart).where(ReplyPart.head_id == this.head_id, ReplyPart.position > this.position)
    later = (await session.scalars(rest.order_by(ReplyPart.position))).all()
    typed = "".join([this.source, *(one.source for one in later)])
    await session.execute(delete(Reply).where(Reply.id.in_([one.reply_id for one in later])))
    await session.execute(delete(ReplyPart).where(ReplyPart.reply_id == reply_id))
    return typed.strip()
