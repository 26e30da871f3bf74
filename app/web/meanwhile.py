"""What happened to an item while somebody had an older page of it before them: for the message that refuses what they asked."""

import re
from datetime import UTC, datetime

from fastapi import Request
from sqlalchemy import or_, select

from app.errors import NotFound
from app.flow.visibility import visible_item
from app.i18n import moment
from app.models.agent import Agent
from app.models.event import Event
from app.models.item import Verb
from app.web import words

_ITEM = re.compile(r"/items/(\d{1,18})/")
MOST = 3  # things that are told
_SILENT = {Verb.RAISE, Verb.ANSWER}


async def meanwhile(request: Request) -> tuple[str, ...]:
    """What others did to the request's item, newest first, each with its time; empty where nobody else did anything."""
    visitor = getattr(request.state, "visitor", None)
    named = _ITEM.match(request.url.path)
    if visitor is None or named is None:
        return ()
    me = visitor.agent.id
    async with request.app.state.sessions.begin() as session:
        agent = await session.get_one(Agent, me)
        try:
            item = await visible_item(session, agent, int(named[1]))
        except NotFound:
            return ()
        others = or_(Event.agent_id.is_(None), Event.agent_id != me)
        newest = select(Event).where(Event.item_id == item.id, others, Event.verb.not_in(_SILENT))
        found = (await session.scalars(newest.order_by(Event.id.desc()).limit(MOST))).all()
        events = [event for event in found if event.verb != Verb.OPEN]
        ids = {one for event in events for one in (event.agent_id, event.changes.get("agent_id"))} - {None}
        names = dict(list(await session.execute(select(Agent.id, Agent.name).where(Agent.id.in_(ids)))))
    now = datetime.now(UTC)
    return tuple(f"{moment(event.at, now)}: {words.event(event, names, me, now)}" for event in events)
