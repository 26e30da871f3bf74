"""The guarded way to servers that do not speak HTTP, as a connector is given it."""

import socket
from typing import Protocol

from app.errors import Blocked
from app.i18n import N_


class Dial(Protocol):
    """Opens a guarded connection."""

    patience: float  # seconds that an answer may take

    async def __call__(self, host: str, port: int) -> socket.socket:
        """A connected socket, not blocking. Raises Blocked and Unreachable."""


class Nowhere:
    """Where there is no way out."""

    patience = 0.0

    async def __call__(self, host: str, port: int) -> socket.socket:
        """Raises Blocked."""
        raise Blocked(N_("There is no way to %(host)s from here.") % {"host": host})
