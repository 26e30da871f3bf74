"""Measures: each figure defined once, with its formula in the docstring, which is also the help on screen.

All of them are about the items that arrived since a moment (the reader's midnight, for "today"). Backlog that a first
sync imported silently and what a rule discarded on arrival never asked for an answer, so they do not count. Figures
come from events, so that each can be traced to the rows behind it. In a queue that has open hours, only these are time:
see `app.queries.open_time`.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.i18n import N_
from app.queries import open_time

_TODAY = text(
    """
    SELECT i.queue_id,
           count(*) AS arrived,
           count(*) FILTER (WHERE i.answered_at IS NOT NULL) AS answered,
           count(*) FILTER (WHERE i.answered_at <= e.due_at) AS in_time,
           count(*) FILTER (WHERE i.answered_at IS NULL AND e.due_at < now()
                                  AND i.state NOT IN ('closed', 'discarded')) AS overdue,
           count(e.taken_at) AS taken,
           coalesce(extract(epoch FROM sum(e.taken_at - i.opened_at)), 0)::float AS wait,
           extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY i.answered_at - p.posted_at))::float AS frt
    FROM item i
    JOIN LATERAL (
        SELECT min(at) FILTER (WHERE verb IN ('accept', 'claim', 'assign')) AS taken_at,
               min((changes->>'due_at')::timestamptz) FILTER (WHERE verb = 'open') AS due_at,
               bool_or(verb = 'open' AND changes->>'state' <> 'queued') AS silent
        FROM event WHERE item_id = i.id
    ) e ON NOT e.silent
    LEFT JOIN LATERAL (
        SELECT posted_at FROM post
        WHERE i.answered_at IS NOT NULL AND conversation_id = i.conversation_id AND received_at >= i.opened_at AND NOT own
        ORDER BY posted_at LIMIT 1
    ) p ON true
    WHERE i.queue_id = ANY(:queues) AND i.opened_at >= :since
    GROUP BY i.queue_id
    """
)

_CLOSED = text(
    """
    SELECT i.queue_id, count(*) AS closed
    FROM event e JOIN item i ON i.id = e.item_id
    WHERE e.verb = 'close' AND e.at >= :since AND i.queue_id = ANY(:queues)
    GROUP BY i.queue_id
    """
)

_MEDIAN = text(
    """
    SELECT extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY i.answered_at - p.posted_at))::float
    FROM item i
    JOIN LATERAL (
        SELECT posted_at FROM post
        WHERE conversation_id = i.conversation_id AND received_at >= i.opened_at AND NOT own
        ORDER BY posted_at LIMIT 1
    ) p ON true
    WHERE i.queue_id = ANY(:queues) AND i.opened_at >= :since AND i.answered_at IS NOT NULL
    """
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened to the items that arrived since the moment asked for; `wait` is a sum in seconds."""

    arrived: int = 0
    answered: int = 0
    in_time: int = 0
    overdue: int = 0
    taken: int = 0
    wait: float = 0
    frt: float | None = None  # median of this queue; medians do not add up, so a sum has none
    closed: int = 0

    def __add__(self, other: Self) -> "Figures":
        """The figures of two queues together."""
        both = {name: getattr(self, name) + getattr(other, name) for name in _SUMS}
        return Figures(**both)


_SUMS = ("arrived", "answered", "in_time", "overdue", "taken", "wait", "closed")


def service_level(figures: Figures) -> float | None:
    """Answered in time ÷ (answered + overdue without an answer), of the items that arrived today.

    'In time' compares our first reply on the channel with the time set on arrival, which counts a queue's open hours
    only. Items that still have time, and those closed without an answer, do not count. In per cent; None while there
    is nothing to divide by.
    """
    asked = figures.answered + figures.overdue
    return 100 * figures.in_time / asked if asked else None


def average_speed_of_answer(figures: Figures) -> timedelta | None:
    """Mean time from an item's arrival here until an agent first took it (accepted, claimed, or was given), of today's items (ASA).

    Only a queue's open hours are counted. Items that nobody took yet do not count. None while nobody took one.
    """
    return timedelta(seconds=figures.wait / figures.taken) if figures.taken else None


def first_response_time(figures: Figures) -> timedelta | None:
    """Median time from the customer's own post until our first reply stood on the channel, of today's items (FRT).

    Counted from the channel's time of the post, so our polling is part of it; only a queue's open hours are counted.
    None while nothing was answered.
    """
    return timedelta(seconds=figures.frt) if figures.frt is not None else None


def oldest_wait(ready: Iterable[datetime], now: datetime) -> timedelta | None:
    """Time since the longest waiting item became ready to be taken. Offered items count as waiting no longer."""
    first = min(ready, default=None)
    return None if first is None else max(now - first, timedelta())


MEASURES = {
    "service_level": (N_("Service level"), service_level),
    "asa": (N_("ASA"), average_speed_of_answer),
    "frt": (N_("FRT"), first_response_time),
    "oldest": (N_("Oldest wait"), oldest_wait),
}


def formula(name: str) -> str:
    """The help on screen: a measure's docstring, in one line, as the catalogue has it."""
    return " ".join((inspect.getdoc(MEASURES[name][1]) or "").split())


async def figures(session: AsyncSession, queues: Iterable[int], since: datetime) -> dict[int, Figures]:
    """The figures of each queue since a moment."""
    bound = {"queues": list(queues), "since": since}
    closed = {row.queue_id: row.closed for row in await session.execute(_CLOSED, bound)}
    found = {row.queue_id: row for row in await session.execute(_TODAY, bound)}
    counted = {
        queue_id: _figures(found.get(queue_id), closed.get(queue_id, 0)) for queue_id in found.keys() | closed.keys()
    }
    for queue_id, times in (await open_time.times(session, found.keys(), since)).items():
        counted[queue_id] = replace(counted[queue_id], wait=times.wait, frt=times.median)
    return counted


def _figures(row: Any, closed: int) -> Figures:
    if row is None:
        return Figures(closed=closed)
    return Figures(row.arrived, row.answered, row.in_time, row.overdue, row.taken, row.wait, row.frt, closed)


async def median_response(session: AsyncSession, queues: Iterable[int], since: datetime) -> timedelta | None:
    """FRT over several queues together: a median of all their items, since medians of queues do not add up."""
    wanted = list(queues)
    if await open_time.hours_of(session, wanted):
        return await open_time.median_response(session, wanted, since)
    seconds = await session.scalar(_MEDIAN, {"queues": wanted, "since": since})
    return None if seconds is None else timedelta(seconds=seconds)
