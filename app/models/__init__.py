"""Nouns: the tables, their invariants, and the one transition table."""

from app.models import (
    account,
    agent,
    assignment,
    change,
    event,
    feed,
    item,
    person,
    post,
    queue,
    rehearsal,
    reply,
    rule,
    saved,
    search,
    together,
)

__all__ = [
    "account",
    "agent",
    "assignment",
    "change",
    "event",
    "feed",
    "item",
    "person",
    "post",
    "queue",
    "rehearsal",
    "reply",
    "rule",
    "saved",
    "search",
    "together",
]
