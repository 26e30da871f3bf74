"""Reading JSON that strangers wrote: what is not of the shape that was promised is as if it were not there."""

from datetime import UTC, datetime
from typing import Any

from app.connectors.base import Json


def parse_time(value: object) -> datetime | None:
    """An ISO 8601 time with its zone, None for anything else."""
    try:
        when = datetime.fromisoformat(str(value))
        return when.astimezone(UTC) if when.tzinfo else None
    except (ValueError, OverflowError):
        return None


def as_dict(value: Any) -> Json:
    """The object itself, or an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The list itself, or an empty one where something else stands."""
    return value if isinstance(value, list) else []
