"""The filtered stream: posts as they are written, for plans that have it. One connection for all rules of an app.

Rules: docs.x.com, "Filtered stream", "Build a rule", "Consuming streaming data" (a line each, an empty one at least
every 20 seconds). What it brings leaves the cursor alone: the next poll looks whether something was missed, and what
was read today costs nothing again.
"""

import json
from collections.abc import AsyncGenerator

import httpx
from pydantic import ValidationError

from app.connectors.base import Batch, IncomingAuthor, Json, Spent
from app.connectors.text import storable_json
from app.connectors.wire import STREAM, lines, reaching
from app.connectors.x_api import BASE, HOST, READS, Api, entries, problem, read_object
from app.connectors.x_posts import FIELDS, Included, read_post, rejected
from app.errors import Malformed, Unreachable
from app.i18n import N_

QUIET = 60.0  # seconds without so much as an empty line: the connection is dead
_RULES = "/2/tweets/search/stream/rules"


async def listen(api: Api, token: str, me: IncomingAuthor, rule: str, cursor: Json) -> AsyncGenerator[Batch, None]:
    """The posts of a rule, one batch each, until X ends the connection. Raises ConnectorError."""
    wanted = await _rule(api, token, rule)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    timeout = httpx.Timeout(30.0, read=QUIET)
    with reaching(HOST):
        stream = api.link.http.stream(
            "GET", f"{BASE}/2/tweets/search/stream", params=FIELDS, headers=headers, timeout=timeout, extensions=STREAM
        )
        async with stream as response:
            if not response.is_success:
                await response.aread()
                raise problem(response, "stream", api.link.now) or Malformed(N_("X did not open the stream."))
            yield Batch(cursor=cursor)
            async for line in lines(response):
                if not line.strip():
                    continue
                told = _read(line)
                if _concerns(told, wanted):
                    yield await _batch(api, told, me, cursor)


async def _rule(api: Api, token: str, rule: str) -> str:
    """The id of our rule in the app's list, put there if need be."""
    known = read_object(await api.call("GET", _RULES, "stream", token))
    for one in entries(known | {"meta": {}}):
        if isinstance(one, dict) and one.get("value") == rule and one.get("id"):
            return str(one["id"])
    added = read_object(
        await api.call("POST", _RULES, "stream", token, json={"add": [{"value": rule, "tag": "careline"}]})
    )
    for one in entries(added | {"data": added.get("data") or []}):
        if isinstance(one, dict) and one.get("id"):
            return str(one["id"])
    raise Malformed(N_("X did not take the rule of this feed: %(rule)s") % {"rule": rule})


def _read(line: str) -> Json:
    try:
        told = storable_json(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise Malformed(N_("X streamed something that is not JSON.")) from error
    if not isinstance(told, dict):
        raise Malformed(N_("X streamed something that is not a post."))
    if "data" not in told:
        raise Unreachable(N_("X ended the stream: %(said)s") % {"said": str(told.get("errors") or told)[:300]})
    return told


def _concerns(told: Json, wanted: str) -> bool:
    rules = told.get("matching_rules")
    return isinstance(rules, list) and any(isinstance(one, dict) and str(one.get("id")) == wanted for one in rules)


async def _batch(api: Api, told: Json, me: IncomingAuthor, cursor: Json) -> Batch:
    raw = told["data"]
    if isinstance(raw, dict) and raw.get("id"):
        await api.link.note(Spent(READS, 1, once=(str(raw["id"]),)))
    try:
        return Batch((read_post(raw, Included(told), me),), cursor=cursor)
    except ValidationError as error:
        return Batch(cursor=cursor, rejected=(rejected(raw, error),))
