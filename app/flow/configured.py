"""What the verbs of administration share: a stale form is refused, and a broken constraint names the form's field."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from psycopg import Error as PostgresError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Conflict, Invalid
from app.i18n import _

UPDATE_LOCK: dict[str, Any] = {"key_share": True}  # rows that point here may still be written meanwhile


def fingerprint(settings: SettingsModel) -> str:
    """What a form carries to say which version of the settings its reader has seen."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def must_be_fresh(settings: SettingsModel, seen: str | None, thing: str) -> None:
    """Refuse to overwrite what somebody else saved meanwhile; `seen` None (a program, the YAML) overwrites.

    Raises:
        Conflict: the stored settings are no longer those that were seen.
    """
    if seen is not None and seen != fingerprint(settings):
        raise Conflict(
            _("Somebody else changed %(thing)s while you were editing. Look at it again, then save your change.")
            % {"thing": thing}
        )


@asynccontextmanager
async def naming(session: AsyncSession, refusals: Mapping[str, tuple[str, str]]) -> AsyncIterator[None]:
    """Write inside; a constraint (by name) that fails becomes Invalid with its (field, message).

    The statements run in a savepoint, so that the transaction goes on after a refusal.
    """
    try:
        async with session.begin_nested():
            yield
    except IntegrityError as error:
        constraint = error.orig.diag.constraint_name if isinstance(error.orig, PostgresError) else None
        if constraint is None or constraint not in refusals:
            raise
        field, message = refusals[constraint]
        raise Invalid(message, field) from None
