"""The translator that the operator has set: any server that speaks LibreTranslate's `POST /translate`.

https://github.com/LibreTranslate/LibreTranslate: `q`, `source`, `target`, `format` and `api_key` go there as JSON,
`translatedText` comes back, with `detectedLanguage` when the source was `auto`; refusals are `{"error": words}`.
"""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx

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
from app.i18n import _
from app.settings import Settings
from app.transport import guarded_client

SECONDS = 20.0
MOST_BYTES = 1_000_000  # of an answer
MOST_SAID = 200  # characters of the server's own words that are passed on
USUAL_WAIT = timedelta(minutes=1)
GUESS = "auto"


@dataclass(frozen=True, slots=True)
class Translated:
    """What a machine made of a text. `source` is the language it was in; empty when nobody knows."""

    text: str
    source: str


async def translate(settings: Settings, text: str, source: str | None, target: str) -> Translated:
    """Translate a text; languages are primary tags (`de`). Nothing of ours waits in a transaction meanwhile.

    Raises:
        ConnectorError: the translator cannot be reached, refuses, or answers with something else; says which.
    """
    base = httpx.URL(settings.translator_url.rstrip("/") + "/")
    asked: dict[str, Any] = {"q": text, "source": source or GUESS, "target": target, "format": "text"}
    if settings.translator_key is not None:
        asked["api_key"] = settings.translator_key.get_secret_value()
    also = frozenset({base.host})
    try:
        async with guarded_client(settings, timeout=SECONDS, max_bytes=MOST_BYTES, also=also) as client:
            answer = await client.post(base.join("translate"), json=asked)
    except (Unreachable, ChannelDown, MaybeSent) as error:
        raise _away(base.host) from error
    if not answer.is_success:
        raise _refusal(base.host, answer)
    return _read(base.host, answer, source)


def _away(host: str) -> ConnectorError:
    told = _("The translator at %(host)s does not answer now. Try again in a minute; if that lasts, tell your admin.")
    return Unreachable(told % {"host": host})


def _refusal(host: str, answer: httpx.Response) -> ConnectorError:
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        told = _("The translator at %(host)s refuses our key. Tell your admin: it is set in CARELINE_TRANSLATOR_KEY.")
        return Unauthorized(told % {"host": host})
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        told = _("The translator at %(host)s is asked too often. Try again in a minute.")
        return RateLimited(told % {"host": host}, USUAL_WAIT)
    if answer.is_server_error:
        return _away(host)
    told = _("The translator at %(host)s does not translate this: %(said)s")
    return Refused(told % {"host": host, "said": _said(answer) or HTTPStatus(answer.status_code).phrase})


def _said(answer: httpx.Response) -> str:
    """The server's own words of a refusal."""
    found = _json(answer).get("error")
    return found[:MOST_SAID] if isinstance(found, str) else ""


def _read(host: str, answer: httpx.Response, source: str | None) -> Translated:
    told = _json(answer)
    text, guessed = told.get("translatedText"), told.get("detectedLanguage")
    if not isinstance(text, str) or not text.strip():
        raise Malformed(
            _("The translator at %(host)s answers with something that is no translation. Tell your admin.")
            % {"host": host}
        )
    found = guessed.get("language") if isinstance(guessed, dict) else None
    return Translated(text, source or (found if isinstance(found, str) else ""))


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
