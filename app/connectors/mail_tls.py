"""How a mail server is reached: over the guarded way, under TLS, with its certificate checked.

Rules: RFC 8314 (implicit TLS preferred), RFC 3207 and RFC 3501 6.2.1 (STARTTLS). In the open only on this machine.
"""

import re
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from textwrap import wrap

from app.connectors.dial import Dial
from app.errors import Blocked
from app.i18n import N_, _

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_CERTIFICATE = re.compile(f"{_BEGIN}(.{{1,20000}}?){_END}", re.DOTALL)


class Security(StrEnum):
    """What protects the connection."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"

    @property
    def words(self) -> str:
        """As the form says it."""
        return {
            Security.TLS: _("TLS from the start"),
            Security.STARTTLS: _("STARTTLS"),
            Security.NONE: _("None (only on this machine)"),
        }[self]


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server; `authority` is the PEM of one that the system does not know."""

    host: str
    port: int
    security: Security
    authority: str = ""

    @property
    def tls(self) -> ssl.SSLContext:
        """What its certificate is checked with."""
        return _context(self.authority)


def _is_sound(pem: str) -> bool:
    try:
        _context(pem)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _wrapped(block: str) -> str:
    return "\n".join(wrap(block, 64))


@lru_cache(maxsize=64)
def _context(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority or None)


def check_authority(pem: str) -> str:
    """The certificates in it, a line each 64 letters: fields of one line put spaces in place of line breaks.

    Raises ValueError, in words, when it holds none.
    """
    if not pem.strip():
        return ""
    blocks = ["".join(block.split()) for block in _CERTIFICATE.findall(pem)]
    whole = "".join(f"{_BEGIN}\n{_wrapped(block)}\n{_END}\n" for block in blocks)
    if not blocks or not _is_sound(whole):
        raise ValueError(_("This is no certificate in PEM form."))
    return whole


async def dialled(dial: Dial, server: Server) -> socket.socket:
    """A connection to the server. Raises Unreachable, and Blocked when it would be an open one across a network."""
    line = await dial(server.host, server.port)
    if server.security is Security.NONE and not _here(line):
        line.close()
        raise Blocked(
            N_("%(host)s is not on this machine, so the connection has to be under TLS. Choose how.")
            % {"host": server.host}
        )
    return line


def _here(line: socket.socket) -> bool:
    """Whether the other end is this machine."""
    if line.family not in {socket.AF_INET, socket.AF_INET6}:
        return True
    return ip_address(str(line.getpeername()[0]).partition("%")[0]).is_loopback
