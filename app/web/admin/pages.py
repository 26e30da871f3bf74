"""What all admin pages share: the numbers in their navigation, and where a form goes when it is done."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.queries import admin
from app.queries.desk import offers
from app.web.templating import render


async def page(
    request: Request,
    db: AsyncSession,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """Draw an admin page."""
    offered = await offers(db, request.state.visitor.agent.id)
    counts = await admin.counts(db)
    return render(
        request, f"admin/{template}", status=status, headers=headers, counts=counts, offers=offered, **context
    )


def to(path: str) -> Response:
    """Go on to a page once something was done, so that reloading does not do it again."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
