"""Handing a mail to the submission server (RFC 5321, 6409), by aiosmtplib over the guarded way.

Until the last dot was sent nothing is delivered; from there on only the server's answer tells.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import cast

import aiosmtplib

from app.connectors.dial import Dial
from app.connectors.mail_tls import Security, Server, dialled
from app.connectors.mail_words import UNASKED_WAIT, retold_ends, said
from app.errors import (
    ChannelDown,
    ConnectorError,
    Malformed,
    MaybeSent,
    RateLimited,
    Refused,
    Unauthorized,
    Unreachable,
)
from app.i18n import N_

_PERMANENT = 500
_CREDENTIALS = {530, 534, 535, 538}  # RFC 4954, 6
_BUSY = {421, 450, 451, 452}
_LIMITS = re.compile(r"4\.7\.|4\.3\.2|4\.4\.5|too many|\brate\b|slow down|throttl|exceeded", re.IGNORECASE)  # RFC 3463
_GREY = re.compile(r"gr[ea]y-?list", re.IGNORECASE)  # means one recipient, who is told again a little later


@asynccontextmanager
async def submission(dial: Dial, server: Server, user: str, password: str, name: str) -> AsyncIterator[aiosmtplib.SMTP]:
    """A signed-in connection; `name` is how we greet. What fails on the way there was not delivered."""
    line = await dialled(dial, server)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        sock=line,
        timeout=dial.patience,
        use_tls=server.security is Security.TLS,
        start_tls=server.security is Security.STARTTLS,
        tls_context=None if server.security is Security.NONE else server.tls,
        local_hostname=name,
    )
    try:
        with retold_ends(server.host), _told(server.host):
            await client.connect()
            if user:
                await client.login(user, password)
        yield client
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(1):
                await client.quit()
    finally:
        transport = client.transport  # it owns the socket from `connect` on
        if transport is not None:
            cast("asyncio.WriteTransport", transport).abort()
        client.close()


async def hand_over(client: aiosmtplib.SMTP, host: str, sender: str, to: str, message: bytes) -> None:
    """Send one mail. Raises with the server's own words; MaybeSent when the end of it stays unknown."""
    with retold_ends(host), _told(host):
        await client.mail(sender, options=[f"SIZE={len(message)}"] if client.supports_extension("size") else [])
        await client.rcpt(to)
    try:
        await client.data(message)
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError) as error:
        raise MaybeSent(
            N_("%(host)s broke off (%(error)s) before it had answered; it may have taken the mail.")
            % {"host": host, "error": said(str(error))}
        ) from error
    except aiosmtplib.SMTPResponseException as error:
        raise _refused(host, error) from error


@contextmanager
def _told(host: str) -> Iterator[None]:
    """Before the mail itself: whatever happens, it was not delivered."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        raise _undelivered(_refused(host, error)) from error
    except aiosmtplib.SMTPTimeoutError as error:
        raise Unreachable(N_("%(host)s did not answer in time. It is tried again later.") % {"host": host}) from error
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPConnectError) as error:
        raise Unreachable(
            N_("The connection to %(host)s broke off (%(error)s). It is tried again later.")
            % {"host": host, "error": said(str(error))}
        ) from error
    except aiosmtplib.SMTPException as error:
        raise Refused(
            N_("%(host)s cannot do what we ask: %(words)s") % {"host": host, "words": said(str(error))}
        ) from error


def _undelivered(error: ConnectorError) -> ConnectorError:
    error.delivered = False
    return error


def _refused(host: str, error: aiosmtplib.SMTPResponseException) -> ConnectorError:
    """What an answer other than yes means; the server's words are told as they are."""
    words = {"host": host, "words": f"{error.code} {said(error.message)}"}
    if error.code < 0:
        return Malformed(
            N_("%(host)s does not answer as an SMTP server does (%(words)s). Check its name and port.") % words
        )
    if error.code in _CREDENTIALS:
        return Unauthorized(N_("%(host)s does not let us in: %(words)s. Check user name and password.") % words)
    if error.code >= _PERMANENT:
        return Refused(N_("%(host)s does not take the mail: %(words)s") % words)
    if error.code in _BUSY and _LIMITS.search(words["words"]) and not _GREY.search(words["words"]):
        return RateLimited(N_("%(host)s asks us to slow down: %(words)s") % words, UNASKED_WAIT)
    if error.code in _BUSY:
        return _undelivered(ChannelDown(N_("%(host)s does not take the mail now: %(words)s") % words))
    return Malformed(N_("%(host)s answers otherwise than it should: %(words)s") % words)
