"""Watch: an agent is told what becomes of an item, until they stop watching.

What happened is read from the item's events, after the fact: nobody who works an item waits for its watchers. An item's
events are written under its lock, so the newest that a look finds is the last of all that are committed.
"""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.flow.notices import HEARD, excerpt
from app.flow.visibility import readable_item
from app.models.agent import Agent
from app.models.event import Event
from app.models.item import Item, Verb
from app.models.together import Notice, NoticeKind, Watch

MOST = 500  # watches looked at in one transaction
# What a watcher wants to know; offers come and go.
TOLD = (
    Verb.JOIN, Verb.CLAIM, Verb.ACCEPT, Verb.ASSIGN, Verb.TRANSFER, Verb.RELEASE, Verb.PARK, Verb.WAKE, Verb.CLOSE,
    Verb.DISCARD, Verb.REOPEN,
)  # fmt: skip
NOTE, REPLY = "note", "reply"  # what has no event, and is told at once

_NEWS = text(
    """
    WITH fresh AS (
        SELECT w.item_id, w.agent_id, w.event_id, last.id AS last_id
        FROM watch w
        CROSS JOIN LATERAL (SELECT e.id FROM event e WHERE e.item_id = w.item_id ORDER BY e.id DESC LIMIT 1) last
        WHERE last.id > w.event_id
        LIMIT :most
        FOR UPDATE OF w SKIP LOCKED
    ), moved AS (
        UPDATE watch w SET event_id = f.last_id FROM fresh f WHERE w.item_id = f.item_id AND w.agent_id = f.agent_id
    )
    SELECT DISTINCT ON (f.item_id, f.agent_id) f.agent_id, f.item_id, e.agent_id AS actor_id, e.verb
    FROM fresh f
    JOIN event e ON e.item_id = f.item_id AND e.id > f.event_id AND e.id <= f.last_id
    WHERE e.verb = ANY(:verbs) AND e.agent_id IS DISTINCT FROM f.agent_id
    ORDER BY f.item_id, f.agent_id, e.id DESC
    """
)


async def watch(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """Watch an item from now on. Raises NotFound: not for their eyes."""
    await readable_item(session, agent, item_id)
    await begin(session, item_id, [agent.id])


async def begin(session: AsyncSession, item_id: int, agent_ids: Iterable[int]) -> None:
    """Let agents watch an item whom the caller knows to be concerned with it."""
    now_at = select(func.coalesce(func.max(Event.id), 0)).where(Event.item_id == item_id).scalar_subquery()
    rows = [{"item_id": item_id, "agent_id": agent_id, "event_id": now_at} for agent_id in sorted(set(agent_ids))]
    if rows:
        await session.execute(insert(Watch).values(rows).on_conflict_do_nothing())


async def unwatch(session: AsyncSession, agent: Agent, item_id: int) -> None:
    """Watch it no longer. Nothing happens when they did not."""
    gone = delete(Watch).where(Watch.item_id == item_id, Watch.agent_id == agent.id)
    await session.execute(gone.execution_options(synchronize_session=False))


async def tell_watchers(session: AsyncSession, item_id: int, what: str, *, by: int | None, said: str = "") -> None:
    """Tell those who watch an item of something that is no event: a note, a reply."""
    watching = await session.scalars(select(Watch.agent_id).where(Watch.item_id == item_id))
    await _tell(session, [(one, item_id, by, what, said) for one in watching if one != by])


async def tell_news(session: AsyncSession) -> int:
    """Tell watchers of the events since the last look; returns how many were told. Called every second."""
    found = await session.execute(_NEWS, {"most": MOST, "verbs": list(TOLD)})
    news = [(row.agent_id, row.item_id, row.actor_id, row.verb, "") for row in found]
    await _tell(session, news)
    return len(news)


async def _tell(session: AsyncSession, news: list[tuple[int, int, int | None, str, str]]) -> None:
    """One unread notice a watched item: the newest news replaces what was not read yet."""
    rows = [
        {
            "agent_id": agent_id,
            "kind": NoticeKind.WATCHED,
            "item_id": item_id,
            "actor_id": actor_id,
            "why": {"what": what, **({"said": excerpt(said)} if said else {})},
        }
        for agent_id, item_id, actor_id, what, said in sorted(news, key=lambda one: one[:2])
    ]
    if not rows:
        return
    made = insert(Notice).values(rows)
    newest = {"at": func.now(), "actor_id": made.excluded.actor_id, "why": made.excluded.why}
    unread = text("kind = 'watched' AND read_at IS NULL")
    await session.execute(
        made.on_conflict_do_update(index_elements=["agent_id", "item_id"], index_where=unread, set_=newest)
    )
    announce(session, HEARD, [one[0] for one in news])


async def drop_over(session: AsyncSession) -> None:
    """A week after its item ended a watch is over."""
    long_ago = func.now() - timedelta(days=7)
    ended = select(Item.id).where(Item.id == Watch.item_id, Item.ended_at < long_ago).exists()
    await session.execute(delete(Watch).where(ended).execution_options(synchronize_session=False))
