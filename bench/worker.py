"""`careline work` on a machine whose name server is silent for some hosts: `python -m bench.worker`.

Nothing else is changed: the lookup blocks its thread, as the system's resolver does, and then knows of nobody.
"""

import socket
import time
from typing import Any

from app.cli import main
from bench.misbehaving import SLOW_NAMES

SILENCE = 20.0  # seconds

_asked = socket.getaddrinfo


def getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
    """As the system does it, but for the hosts of the silent name server."""
    if str(host).endswith(SLOW_NAMES):
        time.sleep(SILENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")
    return _asked(host, *more, **named)


if __name__ == "__main__":
    socket.getaddrinfo = getaddrinfo
    main()
