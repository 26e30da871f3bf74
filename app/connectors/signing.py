"""Standard Webhooks signatures (github.com/standard-webhooks/standard-webhooks, spec 1.0): made and verified."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from app.errors import Unauthorized
from app.i18n import N_, _

TOLERANCE = timedelta(minutes=5)
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # what the specification allows


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes of a `whsec_...` secret. Raises ValueError, in words, when it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(_("A signing secret is `whsec_` followed by base64.")) from error
    if len(key) not in _KEY_BYTES:
        raise ValueError(_("A signing secret holds 24 to 64 bytes (32 to 88 characters of base64)."))
    return key


def sign(secret: str, event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers that go with this body."""
    stamp = str(int(at.timestamp()))
    signature = base64.b64encode(_mac(key_of(secret), event_id, stamp, body)).decode()
    return {"webhook-id": event_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def verified_id(accepted: list[str], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The delivery's id, once signature and time are right. Raises Unauthorized, saying which was not.

    Any of several signatures (`v1,<base64>` separated by spaces) may fit any accepted secret: that is how secrets rotate.
    """
    given = {name.lower(): value for name, value in headers.items()}
    event_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not (event_id and stamp and given.get("webhook-signature")):
        raise Unauthorized(N_("The delivery lacks webhook-id, webhook-timestamp or webhook-signature. Sign it."))
    expected = [_mac(key_of(secret), event_id, stamp, body) for secret in accepted]
    offered = list(_signatures(given["webhook-signature"]))
    fits = [hmac.compare_digest(mine, theirs) for mine in expected for theirs in offered]
    if not any(fits):
        raise Unauthorized(N_("The delivery's signature does not fit. Check that both sides sign with the same key."))
    _check_time(stamp, now)
    return event_id


def _mac(key: bytes, event_id: str, stamp: str, body: bytes) -> bytes:
    return hmac.digest(key, f"{event_id}.{stamp}.".encode("utf-8", "surrogatepass") + body, hashlib.sha256)


def _signatures(header: str) -> list[bytes]:
    found = []
    for part in header.split(" ")[:20]:
        version, _, value = part.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(value, validate=True))
            except ValueError:  # not base64 or not ASCII: a signature that fits nothing
                continue
    return found


def _check_time(stamp: str, now: datetime) -> None:
    try:
        off = abs(datetime.fromtimestamp(int(stamp), UTC) - now)
    except (ValueError, OverflowError, OSError) as error:
        raise Unauthorized(N_("The delivery's webhook-timestamp is no Unix time in seconds.")) from error
    if off > TOLERANCE:
        raise Unauthorized(
            N_(
                "The delivery was signed %(off)s s away from now, more than %(most)s s. It is a repeat, or the sender's clock is wrong."
            )
            % {"off": format(off.total_seconds(), ".0f"), "most": format(TOLERANCE.total_seconds(), ".0f")}
        )
