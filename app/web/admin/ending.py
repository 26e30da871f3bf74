"""When credentials end, in words, before it bites."""

from dataclasses import dataclass
from datetime import datetime

from app import i18n
from app.i18n import _
from app.models.account import SOON


@dataclass(frozen=True, slots=True)
class Ending:
    """That credentials end soon, or have ended."""

    words: str
    over: bool


def ending(ends_at: datetime | None, now: datetime) -> Ending | None:
    """What to say of credentials that end then; None while there is time."""
    if ends_at is None or ends_at - now > SOON:
        return None
    at = {"when": i18n.full(ends_at)}
    if ends_at <= now:
        return Ending(_("The credentials ended: %(when)s. Connect the account again.") % at, over=True)
    return Ending(_("The credentials end soon: %(when)s. Connect the account again before.") % at, over=False)
