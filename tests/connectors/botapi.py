"""Requests and answers held against Telegram's own description of its Bot API: methods, fields, types."""

import json
from email.parser import BytesParser
from typing import Any

import httpx

from tests.connectors.openapi import description

Json = dict[str, Any]
_PLAIN: dict[str, tuple[type, ...]] = {
    "Integer": (int,),
    "String": (str,),
    "Boolean": (bool,),
    "True": (bool,),
    "Float": (int, float),
}


class BotApi:
    """The description."""

    def __init__(self) -> None:
        self.spec = description("telegram.botapi.json")

    def check_request(self, request: httpx.Request) -> str:
        """The method's name, once everything about the request is as described. Fails by assertion."""
        name = request.url.path.rpartition("/")[2]
        method = self.spec["methods"][name]
        body, files = _body(request)
        known = {field["name"]: field for field in method.get("fields", ())}
        attached = {f"attach://{one}" for one in files if one not in known}
        assert body.keys() | (files - {one.removeprefix("attach://") for one in attached}) <= known.keys(), name
        assert {one["name"] for one in known.values() if one["required"]} <= body.keys() | files, name
        for field, value in body.items():
            self.check(value, known[field]["types"], f"{field} of {name}")
        assert all(one in json.dumps(body) for one in attached), name
        return name

    def check_answer(self, request: httpx.Request, response: httpx.Response) -> None:
        """The result has the type that is described for the method."""
        name = request.url.path.rpartition("/")[2]
        self.check(response.json()["result"], self.spec["methods"][name]["returns"], f"the answer of {name}")

    def check(self, value: Any, types: list[str], what: str) -> None:
        """The value is of one of these types."""
        assert any(self._is(value, one) for one in types), f"{what} is no {' or '.join(types)}: {value!r}"

    def _is(self, value: Any, kind: str) -> bool:
        if kind in _PLAIN:
            return isinstance(value, _PLAIN[kind]) and (kind in {"Boolean", "True"} or not isinstance(value, bool))
        if kind.startswith("Array of "):
            return isinstance(value, list) and all(self._is(one, kind.removeprefix("Array of ")) for one in value)
        found = self.spec["types"].get(kind)
        if found is None or not isinstance(value, dict):
            return False
        if found.get("subtypes"):
            return any(self._is(value, one) for one in found["subtypes"])
        known = {field["name"]: field for field in found.get("fields", ())}
        needed = {field["name"] for field in known.values() if field["required"]}
        fits = value.keys() <= known.keys() and needed <= value.keys()
        return fits and all(any(self._is(v, one) for one in known[k]["types"]) for k, v in value.items())


def _body(request: httpx.Request) -> tuple[Json, set[str]]:
    """The fields of a request, and the names of its files."""
    kind = request.headers["content-type"]
    if kind == "application/json":
        return json.loads(request.content), set()
    message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.content)
    parts = message.get_payload()
    assert isinstance(parts, list)
    told: Json = {}
    files = set()
    for part in parts:
        name = str(part.get_param("name", header="content-disposition"))  # type: ignore[union-attr]
        if part.get_filename():  # type: ignore[union-attr]
            files.add(name)
            continue
        text = part.get_payload(decode=True).decode()  # type: ignore[union-attr]
        told[name] = text if name in {"caption", "business_connection_id"} else json.loads(text)
    return told, files
