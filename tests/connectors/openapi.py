"""Requests and answers held against a channel's own OpenAPI description: paths, parameters, bodies, enumerations."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from jsonschema import Draft202012Validator

SPECS = Path(__file__).parents[3] / "shared" / "specs"  # beside the project; reference data that is not part of it


def description(name: str) -> dict[str, Any]:
    """The description with this file name. Skips the test where it is not at hand."""
    if not (SPECS / name).exists():
        pytest.skip(f"{name} is not beside the project (../shared/specs)")
    found: dict[str, Any] = json.loads((SPECS / name).read_text())
    return found


class Description:
    """A description that knows which operation a request is."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.paths = {re.compile(re.sub(r"\{[^/]+\}", "[^/]+", path) + r"\Z"): path for path in spec["paths"]}

    def check_request(self, request: httpx.Request) -> str:
        """The operation's id, once everything about the request is as described. Fails by assertion."""
        operation, path = self._operation(request)
        known = [self._resolved(one) for one in operation.get("parameters", [])]
        self._path(request, path, [one for one in known if one["in"] == "path"])
        self._query(request, [one for one in known if one["in"] == "query"])
        self._body(request, operation.get("requestBody"))
        return str(operation["operationId"])

    def check_answer(self, request: httpx.Request, response: httpx.Response) -> None:
        """The answer has the shape that is described for its status."""
        operation, _ = self._operation(request)
        content = self._resolved(operation["responses"].get(str(response.status_code), {})).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        assert schema is not None, f"{response.status_code} is not described for {operation['operationId']}"
        self._valid(response.json(), schema, f"the answer of {operation['operationId']}")

    def _operation(self, request: httpx.Request) -> tuple[dict[str, Any], str]:
        fits = [path for pattern, path in self.paths.items() if pattern.match(request.url.path)]
        plain = sorted(fits, key=lambda path: path.count("{"))
        for path in plain:
            found = self.spec["paths"][path].get(request.method.lower())
            if found:
                return found, path
        raise AssertionError(f"{request.method} {request.url.path} is not described")

    def _path(self, request: httpx.Request, path: str, known: list[dict[str, Any]]) -> None:
        names = re.findall(r"\{([^/]+)\}", path)
        values = re.match(re.sub(r"\{[^/]+\}", "([^/]+)", path) + r"\Z", request.url.path)
        assert values is not None
        schemas = {one["name"]: one["schema"] for one in known}
        for name, value in zip(names, values.groups(), strict=True):
            self._valid(_typed(value, schemas[name]), schemas[name], f"{name} in {path}")

    def _query(self, request: httpx.Request, known: list[dict[str, Any]]) -> None:
        given = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        by_name = {one["name"]: one for one in known}
        for name, value in given:
            assert name in by_name, f"{request.url.path} has no parameter {name}"
            schema = self._resolved(by_name[name]["schema"])
            self._valid(_typed(value, schema), schema, f"{name} of {request.url.path}")
        missing = {one["name"] for one in known if one.get("required")} - {name for name, _ in given}
        assert not missing, f"{request.url.path} needs {missing}"

    def _body(self, request: httpx.Request, described: dict[str, Any] | None) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0]
        if not request.content:
            assert not (described or {}).get("required"), f"{request.url.path} needs a body"
            return
        assert described is not None, f"{request.url.path} takes no body"
        assert kind in described["content"], f"{request.url.path} takes no {kind}"
        schema = described["content"][kind]["schema"]
        if kind == "application/json":
            self._valid(json.loads(request.content), schema, f"the body of {request.url.path}")
        else:
            self._form(request, self._resolved(schema))

    def _form(self, request: httpx.Request, schema: dict[str, Any]) -> None:
        """Fields of a multipart form: their names, and that none is missing."""
        names = set(re.findall(rb'; name="([^"]+)"', request.content))
        one = self._resolved(schema["anyOf"][0]) if "anyOf" in schema else schema
        described = {name.encode() for name in one["properties"]}
        assert names <= described, f"{request.url.path} has no field {names - described}"
        assert {name.encode() for name in one.get("required", ())} <= names

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self.spec
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value

    def _valid(self, value: Any, schema: dict[str, Any], what: str) -> None:
        whole = {"components": self.spec["components"], "allOf": [schema]}
        wrong = sorted(Draft202012Validator(whole).iter_errors(value), key=str)
        assert not wrong, f"{what}: {wrong[0].message} at {wrong[0].json_path}"


def _typed(value: str, schema: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "integer":
            return int(value)
        case "array":
            return value.split(",")
        case "boolean":
            return value == "true"
        case _:
            return value
