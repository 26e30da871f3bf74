"""Speaking to Telegram as a bot: calls, refusals, files.

Rules: core.telegram.org/bots/api ("Making requests", "ResponseParameters", "getFile", "Sending files"). The token stands in
every address, so no address of a call is ever shown, stored or followed elsewhere.
"""

import hashlib
import hmac
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.connectors.answers import object_or_none, one_line
from app.connectors.base import IncomingAuthor, Json, Link
from app.connectors.wire import reaching, read_bounded, refusal, retry_after
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_

_LONGEST_WAIT = 86_400.0  # seconds
_FILE_PATH = re.compile(r"[\w./-]{1,300}")


class Barred(Refused):
    """The bot was blocked, removed, or may not do this (403)."""


class Taken(ChannelDown):
    """The bot's messages go to somebody else: another program that fetches them, or a webhook (409)."""


class Bot:
    """One bot at one Bot API server."""

    def __init__(self, link: Link) -> None:
        """Take server, token, client and clock from the link."""
        self.link = link
        self._server: str = link.credentials.server
        self._token: str = link.credentials.token.get_secret_value()
        self.host = urlsplit(self._server).netloc

    @property
    def id(self) -> int:
        """The bot's own id, with which its token begins."""
        return int(self._token.partition(":")[0])

    @property
    def proof(self) -> str:
        """What deliveries carry in a header: made of the token, so that nobody has to think of one."""
        return hmac.new(self._token.encode(), b"careline deliveries", hashlib.sha256).hexdigest()

    async def call(self, method: str, body: Json | None = None, *, sending: bool = False) -> Any:
        """The result of a method. Raises ConnectorError."""
        return await self._call(method, sending=sending, json=body or {})

    async def upload(self, method: str, body: Json, files: Json) -> Any:
        """The result of a method that takes files, once. Raises ConnectorError, MaybeSent among them."""
        data = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
        return await self._call(method, sending=True, data=data, files=files)

    async def me(self) -> Json:
        """What Telegram says of the bot. Raises ConnectorError."""
        told = await self.call("getMe")
        if not isinstance(told, dict) or not isinstance(told.get("id"), int):
            raise self.odd()
        return told

    async def file(self, name: str, most: int) -> bytes:
        """A file by its id. Raises ConnectorError, Refused when it is larger than `most` bytes."""
        told = await self.call("getFile", {"file_id": name})
        path = told.get("file_path") if isinstance(told, dict) else None
        if not isinstance(path, str) or not _FILE_PATH.fullmatch(path) or ".." in path:
            raise Refused(N_("Telegram does not give this file."))
        with reaching(self.host):
            url = f"{self._server}/file/bot{self._token}/{path}"
            async with self.link.http.stream("GET", url, follow_redirects=False) as response:
                error = refusal(response, self.host, self.link.now)
                if error is not None:
                    raise error
                return await read_bounded(response, most, self.host)

    def odd(self) -> Malformed:
        """For an answer of another shape than the documents promise."""
        return Malformed(N_("%(host)s answered with something other than its API promises.") % {"host": self.host})

    async def _call(self, method: str, *, sending: bool, **request: Any) -> Any:
        with reaching(self.host, sending=sending):
            response = await self.link.http.post(
                f"{self._server}/bot{self._token}/{method}", follow_redirects=False, **request
            )
        answer = object_or_none(response.content)
        if answer is None or not isinstance(answer.get("ok"), bool):
            raise refusal(response, self.host, self.link.now) or self.odd()
        if not answer["ok"]:
            raise self._refusal(answer, response)
        return answer.get("result")

    def _refusal(self, answer: Json, response: httpx.Response) -> ConnectorError:
        code = answer.get("error_code", response.status_code)
        told = {"host": self.host, "said": one_line(answer.get("description") or code, 300)}
        match code:
            case httpx.codes.TOO_MANY_REQUESTS:
                wait = _wait(answer) or retry_after(response.headers, self.link.now)
                return RateLimited(N_("%(host)s asks us to slow down.") % told, wait)
            case httpx.codes.UNAUTHORIZED | httpx.codes.NOT_FOUND:
                return Unauthorized(N_("%(host)s refuses the bot's token. Copy it from @BotFather again.") % told)
            case httpx.codes.FORBIDDEN:
                return Barred(N_("Telegram does not let the bot do this: %(said)s") % told)
            case httpx.codes.CONFLICT:
                return Taken(N_("The bot's messages go elsewhere: %(said)s") % told)
        if isinstance(code, int) and code >= httpx.codes.INTERNAL_SERVER_ERROR:
            return ChannelDown(N_("Telegram has trouble of its own: %(said)s") % told)
        return Refused(N_("Telegram will not take this: %(said)s") % told)


def bot_author(me: Json) -> IncomingAuthor:
    """The bot as a post's author."""
    handle = str(me.get("username") or me["id"])
    return IncomingAuthor(str(me["id"]), handle, str(me.get("first_name") or ""), f"https://t.me/{handle}")


def _wait(answer: Json) -> timedelta | None:
    told = answer.get("parameters")
    seconds = told.get("retry_after") if isinstance(told, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return timedelta(seconds=min(max(float(seconds), 1.0), _LONGEST_WAIT))
