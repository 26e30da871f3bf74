"""What a server answered or delivered, as JSON that can be stored."""

import json
from typing import Any

import httpx

from app.connectors.base import Json
from app.connectors.text import storable, storable_json
from app.errors import Malformed
from app.i18n import N_


def json_object(response: httpx.Response, host: str) -> Json:
    """The JSON object that was answered. Raises Malformed for anything else."""
    try:
        value = storable_json(json.loads(response.content))
    except (ValueError, RecursionError) as error:
        raise Malformed(
            N_("%(host)s answered with something that is not JSON. Does a proxy answer in its place?") % {"host": host}
        ) from error
    if not isinstance(value, dict):
        raise Malformed(N_("%(host)s answered with JSON of another shape than its API promises.") % {"host": host})
    return value


def object_or_none(content: bytes | str) -> Json | None:
    """The JSON object, None for anything else: where an answer is a refusal already, and only its words are looked for."""
    try:
        value = storable_json(json.loads(content))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def delivered(body: bytes) -> Any:
    """The JSON of a delivery. Raises Malformed."""
    try:
        return storable_json(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise Malformed(N_("The delivery's body is not JSON.")) from error


def one_line(words: Any, most: int) -> str:
    """What a server said, on one line of so many characters at most."""
    return " ".join(storable(str(words)).split())[:most]
