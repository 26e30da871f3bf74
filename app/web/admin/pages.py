"""What all admin pages share: the numbers in their navigation, and where a form goes when it is done."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.queries import admin
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
    return render(
        request, f"admin/{template}", status=status, headers=headers, counts=await admin.counts(db), **context
    )


def to(path: str) -> Response:
    """Go on to a page once something was done, so that reloading does not do it again."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
