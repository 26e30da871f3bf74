"""Where an item stands in its queue: until when it is to be answered, and its rank."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.models.queue import Order, Queue
from app.routing.hours import OpenHours


@dataclass(frozen=True, slots=True)
class Place:
    """When an item is due, and the rank by which it is served: ascending."""

    due_at: datetime
    rank: datetime


def place(queue: Queue, ready_at: datetime, priority: int, raised: float = 0) -> Place:
    """The place of an item that is ready from `ready_at` (aware). `raised` is what signals are worth, in minutes.

    The target counts open hours only. The rank is ready_at less what the priority is worth, or the due time where the
    queue is served by it.
    """
    due_at = OpenHours(queue.timezone, queue.hours, queue.holidays).add(ready_at, queue.target)
    base = due_at if queue.served_by == Order.DUE else ready_at - timedelta(minutes=queue.boosts[priority - 1])
    return Place(due_at, base - timedelta(minutes=raised))
