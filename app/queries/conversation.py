"""One conversation as the desk shows it: everything said so far, what happened to it, and who it is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, AgentSkill
from app.models.assignment import Offer
from app.models.item import OPEN_STATES, Item, Verb
from app.models.post import Post
from app.models.queue import Queue
from app.models.rule import Rule
from app.queries import said, together
from app.queries.context import above
from app.queries.desk import knew, skill_names
from app.queries.hidings import with_hidings
from app.queries.shield import OPEN, with_shield


@dataclass(frozen=True, slots=True)
class Need:
    """A skill that the item asks for, and how well the reader has it."""

    skill: str
    level: int
    mine: int | None


@dataclass(frozen=True, slots=True)
class Thread:
    """The conversation around an item."""

    item: Item
    queue: str
    holder: str | None
    author: said.Who
    authors: tuple[said.Who, ...]
    entries: tuple[said.Said | together.Asked | said.Happened, ...]
    window: said.Window
    rule: str | None
    needs: tuple[Need, ...]
    why: Mapping[str, Any] | None  # of the newest offer to the reader
    knew: datetime | None  # when the reader last answered this customer, if that decided
    names: Mapping[int, str]  # of agents who appear in events
    asked_at: datetime | None  # when the customer wrote last

    @property
    def open(self) -> bool:
        """Whether something is still to be done."""
        return self.item.state in OPEN_STATES

    @property
    def editable_id(self) -> int | None:
        """The newest reply of the reader that they may edit on the channel."""
        mine = (one.id for one in reversed(self.entries) if isinstance(one, said.Said) and one.editable and one.mine)
        return next(mine, None)

    @property
    def plea_id(self) -> int | None:
        """The newest post with personal data that everybody can read."""
        posts = (one for one in reversed(self.entries) if isinstance(one, said.Said) and one.kind == "post")
        return next((one.id for one in posts if one.personal and one.visibility in OPEN and not one.deleted_at), None)

    @property
    def answered(self) -> bool:
        """Whether our first answer is newer than the customer's newest post."""
        return self.item.answered_at is not None and (self.asked_at is None or self.asked_at <= self.item.answered_at)


async def thread(
    session: AsyncSession, reader: Agent, item: Item, until: said.Place | None = None, language: str = ""
) -> Thread:
    """Load the conversation of an item that the reader may see: its newest part, or the one just before a post.

    Posts come with their translations into `language` (a primary tag) where there are some.
    """
    written, authors, window = await said.posts(session, item, until)
    replies, sent = await said.replies(session, item, reader)
    besides = [one for one in replies + await said.notes(session, item, reader.id) if window.holds(one.at)]
    shown = [one for one, external in written if external not in sent]
    shown = await with_hidings(session, reader, item, shown)
    shown = [*await said.with_translations(session, shown, language), *await above(session, item, window)]
    told: list[said.Said | together.Asked] = [*await with_shield(session, reader, item, shown), *besides]
    told += [one for one in await together.questions(session, item.conversation_id) if window.holds(one.at)]
    events = await said.events(session, item, window)
    agents = {e.agent_id for e in events} | {e.changes.get("agent_id") for e in events} | {item.agent_id}
    agents |= {e.why.get("from") for e in events if e.verb in {Verb.TRANSFER, Verb.ASSIGN}}
    names = await _names(session, agents)
    newest = (
        select(Offer).where(Offer.item_id == item.id, Offer.agent_id == reader.id).order_by(Offer.id.desc()).limit(1)
    )
    offer = await session.scalar(newest)
    opener = authors.get(item.author_id) or await said.author(session, item.author_id)
    return Thread(
        item=item,
        queue=str(await session.scalar(select(Queue.name).where(Queue.id == item.queue_id))),
        holder=names.get(item.agent_id or 0),
        author=opener,
        authors=tuple({opener.id: opener, **authors}.values()),
        entries=said.woven(told, events),
        window=window,
        rule=await session.scalar(select(Rule.name).where(Rule.id == item.rule_id)) if item.rule_id else None,
        needs=await _needs(session, item, reader.id),
        why=offer.why if offer else None,
        knew=await knew(session, reader.id, offer) if offer else None,
        names=names,
        asked_at=await session.scalar(
            select(func.max(Post.posted_at)).where(Post.conversation_id == item.conversation_id, ~Post.own)
        ),
    )


async def _names(session: AsyncSession, ids: Iterable[int | None]) -> dict[int, str]:
    wanted = {i for i in ids if i is not None}
    return {row[0]: row[1] for row in await session.execute(select(Agent.id, Agent.name).where(Agent.id.in_(wanted)))}


async def _needs(session: AsyncSession, item: Item, reader_id: int) -> tuple[Need, ...]:
    asked = {int(skill): level for skill, level in item.requirements.items()}
    names = await skill_names(session, asked)
    mine = select(AgentSkill.skill_id, AgentSkill.level).where(AgentSkill.agent_id == reader_id)
    levels = {row[0]: row[1] for row in await session.execute(mine)} if asked else {}
    return tuple(Need(names.get(s, str(s)), level, levels.get(s)) for s, level in sorted(asked.items()))
