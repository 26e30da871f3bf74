"""What was heard in an item's posts, all of them together: the gravest stands, not only what came last."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.listening.urgent import CLASSES
from app.models.item import Item
from app.models.post import Author, Post
from app.models.signal import Signal

LOOKED_AT = 50  # posts of an item
COUNTED = 1_000  # alike posts are counted up to this


@dataclass(frozen=True, slots=True)
class Copies:
    """Posts that say nearly the same, this one among them: how many, and how many people follow their authors."""

    count: int
    reach: int


@dataclass(frozen=True, slots=True)
class Signals:
    """What was heard. `because` are the words that told, by signal."""

    language: str | None
    also: str
    confidence: int  # per cent
    intent: str  # of the newest post that shows one
    upset: int  # at worst, 0 to 3
    mood: int  # of the newest post
    urgent: tuple[str, ...]
    noise: str
    personal: tuple[str, ...]
    because: dict[str, tuple[str, ...]]
    copies: Copies | None


async def signals_of(session: AsyncSession, item: Item) -> Signals | None:
    """What was heard in the posts that came since the item was opened; None where nobody has listened yet."""
    newest = (
        select(Signal)
        .where(
            Signal.conversation_id == item.conversation_id,
            or_(Signal.at >= item.opened_at, Signal.post_id == item.post_id),
        )
        .order_by(Signal.at.desc(), Signal.post_id.desc())
        .limit(LOOKED_AT)
        .execution_options(populate_existing=True)
    )
    found = (await session.scalars(newest)).all()
    return _together(found, await _copies(session, found[0])) if found else None


def _together(found: Sequence[Signal], copies: Copies | None) -> Signals:
    last = found[0]
    wants = next((one for one in found if one.intent), last)
    worst = max(found, key=lambda one: one.upset)
    kinds = {kind for one in found for kind in one.urgent}
    told = {
        "intent": _told([wants], "intent"),
        "mood": _told([worst], "mood"),
        "urgent": _told([one for one in found if one.urgent], "urgent"),
        "noise": _told([last], "noise"),
    }
    return Signals(
        language=last.language,
        also=last.also,
        confidence=last.confidence,
        intent=wants.intent,
        upset=worst.upset,
        mood=last.mood,
        urgent=tuple(kind for kind in CLASSES if kind in kinds),
        noise=last.noise,
        personal=tuple(dict.fromkeys(kind for one in found for kind in one.personal)),
        because={name: words for name, words in told.items() if words},
        copies=copies,
    )


def _told(found: Iterable[Signal], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for one in found for word in one.because.get(name, ())))[:3]


async def _copies(session: AsyncSession, signal: Signal) -> Copies | None:
    """How often nearly the same was posted; None when it was once."""
    first = signal.copy_of or signal.post_id
    alike = (
        select(Signal.post_id).where(or_(Signal.copy_of == first, Signal.post_id == first)).limit(COUNTED).subquery()
    )
    writers = select(Post.author_id).join(alike, alike.c.post_id == Post.id).distinct().subquery()
    count = await session.scalar(select(func.count()).select_from(alike)) or 0
    if count < 2:  # noqa: PLR2004 - itself
        return None
    reach = select(func.coalesce(func.sum(Author.followers), 0)).where(Author.id.in_(select(writers.c.author_id)))
    return Copies(count, int(await session.scalar(reach) or 0))
