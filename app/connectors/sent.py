"""Finding a reply again among what we wrote, where its answer was lost."""

from datetime import datetime

from app.connectors.base import OutgoingReply
from app.connectors.text import essence
from app.connectors.wire import CLOCKS_APART


def may_stand_since(reply: OutgoingReply) -> datetime:
    """What was written before cannot be this reply: shortly before the first try."""
    return (reply.attempted_at or reply.created_at) - CLOCKS_APART


def same(one: str, other: str) -> bool:
    """Whether two texts say the same, whatever became of white space and invisible marks on the way."""
    return essence(one) == essence(other)
