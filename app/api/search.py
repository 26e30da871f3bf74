"""/search: what was said, as the search box finds it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from app.api.door import Db, Reader
from app.api.schemas import FoundGiven, HitGiven, PersonGiven, SearchAsked
from app.errors import Invalid
from app.i18n import _
from app.queries.asked import parse
from app.queries.search import Place, search

router = APIRouter(prefix="/search", tags=["search"])
LARGEST_ID = 2**63


@router.get("")
async def found(db: Db, me: Reader, asked: Annotated[SearchAsked, Query()]) -> FoundGiven:
    """Posts, replies, notes and people that the token's agent may see, newest first."""
    page = await search(db, me, parse(asked.q), _place(asked.after), most=asked.limit)
    return FoundGiven(
        data=[HitGiven.model_validate(hit) for hit in page.hits],
        people=[PersonGiven.model_validate(person) for person in page.people],
        next=f"{page.after[0].isoformat()}~{page.after[1]}" if page.after else None,
        looked_to=page.looked_to,
    )


def _place(named: str) -> Place | None:
    moment, _mark, entry = named.partition("~")
    try:
        at = (datetime.fromisoformat(moment), int(entry)) if named else None
    except ValueError:
        at = None
    if named and (at is None or at[0].tzinfo is None or abs(at[1]) >= LARGEST_ID):
        raise Invalid(_("That page does not exist. Go back to the beginning."), "after")
    return at
