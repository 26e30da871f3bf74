"""What is left of the allowances of a credential, as far as the channel told or Careline counted."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LOW, SHORT = 0.25, 0.1  # of an allowance


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One allowance. The title is in the catalogue's English; empty for the credential's own."""

    title: str
    remaining: int
    allowance: int | None
    resets_at: datetime | None  # None: that is not known, or it is full again

    @property
    def state(self) -> str:
        """The status shape: ok, risk or over."""
        if self.allowance is None:
            return "ok"
        share = self.remaining / max(self.allowance, 1)
        return "over" if share <= SHORT else "risk" if share <= LOW else "ok"


# One row for each allowance of each credential; one whose time has passed is full again.
BUDGETS = """
    SELECT key, '' AS title, allowance, resets_at AS ends, wait_until,
           CASE WHEN resets_at <= now() THEN allowance ELSE remaining END AS remaining
    FROM budget
    UNION ALL
    SELECT key, title, allowance, resets_at, wait_until,
           CASE WHEN resets_at <= now() THEN allowance
                ELSE greatest(coalesce(remaining, allowance - spent), 0) END
    FROM named_budget
"""

_OF = text(
    f"""
    SELECT title, remaining, allowance, CASE WHEN ends > now() THEN ends END AS resets_at
    FROM ({BUDGETS}) b
    WHERE key = :key AND remaining IS NOT NULL
    ORDER BY title, allowance
    """  # noqa: S608 - a constant of this module
)


async def budgets(session: AsyncSession, key: str) -> list[BudgetLine]:
    """The allowances of a credential (`account:17`, or `feed:3` where a channel needs none), by title."""
    return [BudgetLine(*row) for row in await session.execute(_OF, {"key": key})]
