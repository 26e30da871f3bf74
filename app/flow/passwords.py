"""Passwords: argon2id (RFC 9106, the library's recommended cost), off the event loop."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import Invalid
from app.i18n import _

SHORTEST = 8  # OWASP ASVS 5, 6.2.1
NONE = "!"  # the hash that no password has
LONGEST = 200  # a bound on the work that a stranger can ask for

_hasher = PasswordHasher()


async def hashed(password: str) -> str:
    """The argon2id hash of a new password. Raises Invalid when it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(
            _("A password has %(shortest)s to %(longest)s characters; this one has %(n)s.")
            % {"shortest": SHORTEST, "longest": LONGEST, "n": len(password)},
            "password",
        )
    return await asyncio.to_thread(_hasher.hash, password)


async def matches(password_hash: str, password: str) -> bool:
    """Whether the password is the one that was hashed; takes about as long either way."""
    try:
        return await asyncio.to_thread(_hasher.verify, password_hash, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
