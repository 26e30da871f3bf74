"""All admin pages behind one door: whoever comes in here is an admin."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from app.models.agent import Role
from app.web.admin import accounts, agents, connect, feeds, imports, listening, named, queues, rehearsal, rules
from app.web.admin.pages import to
from app.web.edge import at_least

router = APIRouter(dependencies=[Depends(at_least(Role.ADMIN))])


@router.get("/admin")
async def front() -> Response:
    """Set-up begins with the feeds."""
    return to("/admin/feeds")


for part in (feeds, imports, accounts, connect, rules, queues, named, agents, listening, rehearsal):
    router.include_router(part.router)
