"""What can go wrong, as a small tree.

CarelineError
├── Misuse                 the request cannot be done as asked (4xx on the web)
│   ├── Invalid            a value is not acceptable; says which field and why
│   ├── NotFound           there is no such thing, or this person may not see it
│   ├── Forbidden          the person may see it, but not do this
│   ├── Conflict           someone else was first, or the state has moved on
│   └── Throttled          too many tries; says how long to wait
├── ConfigurationError     the operator has to change something before this can run
│   └── SealError          a sealed credential cannot be opened with the keys at hand
└── ConnectorError         a channel did not do what we asked
    ├── Unreachable        no connection, nothing was delivered; try again later
    ├── ChannelDown        the channel answered with an error of its own (5xx); try again later
    ├── RateLimited        the channel asks us to wait; says how long
    ├── Unauthorized       the credentials are refused or have expired; a person must reconnect
    ├── Refused            the channel will never accept this (deleted post, too long, blocked)
    ├── Malformed          the answer is not what the channel's documents promise (HTML for JSON ...)
    ├── Blocked            our own transport will not go to that address
    └── MaybeSent          a send whose outcome cannot be known: the reply becomes `unknown`

Every message says what happened, to what, and what the person can do about it.
"""

from datetime import timedelta


class CarelineError(Exception):
    """The root: anything Careline raises on purpose."""

    def __init__(self, message: str) -> None:
        """Keep one plain sentence (or two) that may be shown to a person."""
        super().__init__(message)
        self.message = message


class Misuse(CarelineError):
    """The request cannot be done as asked; the person can change it."""

    status = 400


class Invalid(Misuse):
    """A value is not acceptable. `field` names the form field, when there is one."""

    status = 422

    def __init__(self, message: str, field: str | None = None) -> None:
        """Say what is wrong with which field."""
        super().__init__(message)
        self.field = field


class NotFound(Misuse):
    """There is no such thing, or this person may not see it (the two look alike on purpose)."""

    status = 404


class Forbidden(Misuse):
    """The person may see the thing, but not do this to it."""

    status = 403


class Conflict(Misuse):
    """Someone else was first, or the state has moved on since the page was drawn."""

    status = 409


class Throttled(Misuse):
    """Too many tries. `retry_after` says how long to wait."""

    status = 429

    def __init__(self, message: str, retry_after: timedelta) -> None:
        """Keep the wait, for the `Retry-After` header."""
        super().__init__(message)
        self.retry_after = retry_after


class ConfigurationError(CarelineError):
    """The operator has to change something before this can run."""


class SealError(ConfigurationError):
    """A sealed credential cannot be opened with the keys at hand."""


class ConnectorError(CarelineError):
    """A channel did not do what we asked.

    `permanent` says that trying the same again is pointless. `delivered` is False when the channel
    certainly did not take what we sent; a send that fails with `delivered` None is `unknown`.
    """

    permanent = False
    delivered: bool | None = False


class Unreachable(ConnectorError):
    """No connection was made, so nothing was delivered."""


class ChannelDown(ConnectorError):
    """The channel answered with an error of its own (HTTP 5xx). A send may have happened."""

    delivered = None


class RateLimited(ConnectorError):
    """The channel asks us to wait `retry_after` before the next call with this credential.

    `allowance` names the one of several that is used up; the others may go on.
    """

    def __init__(self, message: str, retry_after: timedelta, allowance: str = "") -> None:
        """Keep the channel's own waiting time; it wins over our back-off."""
        super().__init__(message)
        self.retry_after = retry_after
        self.allowance = allowance


class Unauthorized(ConnectorError):
    """The credentials are refused or have expired; a person must reconnect the account."""

    permanent = True


class Refused(ConnectorError):
    """The channel will never accept this: the post is gone, the text too long, we are blocked."""

    permanent = True


class Malformed(ConnectorError):
    """The answer is not what the channel's documents promise. A send may have happened."""

    delivered = None


class Blocked(ConnectorError):
    """Our own transport will not go to that address (private network, bad scheme, too many redirects)."""

    permanent = True


class MaybeSent(ConnectorError):
    """A send timed out or broke off after the request left: nobody can tell yet whether it stands."""

    delivered = None
