"""One call to a channel that changes something there: whatever goes wrong becomes a `ConnectorError` to be kept."""

import asyncio
from collections.abc import Awaitable

import structlog

from app.errors import ConnectorError, MaybeSent, Refused
from app.i18n import N_
from app.workers.send import BROKEN, CALL_SECONDS

log = structlog.get_logger(__name__)


async def called(call: Awaitable[None], deadline: float, **named: int) -> ConnectorError | None:
    """Carry the call out until `deadline` (by the loop's clock). None: it was done; `named` tells the log of what."""
    try:
        async with asyncio.timeout_at(deadline):
            await call
    except TimeoutError:
        return MaybeSent(N_("The channel did not answer within %(call_seconds)s s.") % {"call_seconds": CALL_SECONDS})
    except ConnectorError as refused:
        return refused
    except Exception as bug:
        log.exception("call_broke", **named)
        return Refused(BROKEN % {"error": type(bug).__name__})
    return None
