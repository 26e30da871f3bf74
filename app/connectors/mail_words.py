"""What mail servers say when they refuse, told as the error tree, word for word."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from app.connectors.text import storable
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized, Unreachable
from app.i18n import N_

UNASKED_WAIT = timedelta(minutes=5)  # mail servers limit without saying for how long
LONGEST = 500  # characters of what a server says

_CODE = re.compile(r"^\[([A-Z0-9-]+)[^\]]*\] *")
_CREDENTIALS = {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN"}  # RFC 5530
_BUSY = {"LIMIT", "INUSE", "THROTTLED"}  # RFC 5530 and 7377; Gmail's and Yahoo's own
_DOWN = {"UNAVAILABLE", "SERVERBUG", "CORRUPTION"}
_TOO_MUCH = re.compile(r"too many|rate.?limit|throttl|try again later|slow down|exceeded", re.IGNORECASE)


def said(words: str) -> str:
    """What a server said, fit to be stored and shown."""
    return storable(" ".join(words.split()))[:LONGEST]


def refusal(host: str, status: str, text: str, *, signing_in: bool = False) -> ConnectorError:
    """The error that a NO, BAD or BYE of an IMAP server means."""
    code = match[1] if (match := _CODE.match(text)) else ""
    told = {"host": host, "words": said(text)}
    if code in _BUSY or (code not in _CREDENTIALS and _TOO_MUCH.search(text)):
        return RateLimited(N_("%(host)s asks us to slow down: %(words)s") % told, UNASKED_WAIT)
    if code in _DOWN or (status == "BYE" and code not in _CREDENTIALS):
        return ChannelDown(N_("%(host)s has trouble of its own: %(words)s") % told)
    if signing_in or code in _CREDENTIALS:
        return Unauthorized(N_("%(host)s does not let us in: %(words)s. Check user name and password.") % told)
    if status == "BAD":
        return Malformed(N_("%(host)s does not understand us: %(words)s") % told)
    return Refused(N_("%(host)s refuses what we ask: %(words)s") % told)


@contextmanager
def retold_ends(host: str) -> Iterator[None]:
    """Tell a connection that breaks, is not trusted or says nothing as Unreachable or Malformed."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Unauthorized(
            N_("The certificate of %(host)s is not trusted (%(error)s). Check its name, or give its authority.")
            % {"host": host, "error": error.verify_message}
        ) from error
    except ssl.SSLError as error:
        raise Malformed(
            N_("%(host)s does not speak TLS as asked (%(error)s). Check the port and how it is protected.")
            % {"host": host, "error": error.reason or error}
        ) from error
    except TimeoutError as error:
        raise Unreachable(N_("%(host)s did not answer in time. It is tried again later.") % {"host": host}) from error
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Unreachable(
            N_("The connection to %(host)s broke off (%(error)s). It is tried again later.")
            % {"host": host, "error": error}
        ) from error
