"""Reading the configuration file: YAML with line numbers in every error, nothing twice, nothing unknown."""

from collections.abc import Hashable
from typing import Any

import yaml
from pydantic import ValidationError

from app.connectors import forms
from app.errors import Invalid
from app.flow.config_schema import Document
from app.i18n import _

LARGEST = 2_000_000  # characters


class _Loader(yaml.SafeLoader):
    """Plain data only; a key that stands twice and an alias (which may expand without end) are refused."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # a gap in types-PyYAML
            raise Invalid(
                _("Line %(line)s: write the value out; '*' references are not read here.") % {"line": mark.line + 1}
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _node in node.value:
            if key.value in seen:
                raise Invalid(
                    _("Line %(line)s: '%(value)s' stands here twice. Keep one of them.")
                    % {"line": key.start_mark.line + 1, "value": key.value}
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(text: str) -> Document:
    """The document in a YAML text. Raises Invalid, with all that is wrong, each with its line and its path."""
    if len(text) > LARGEST:
        raise Invalid(
            _("The file has %(n)s characters; %(largest)s are read at most.") % {"n": len(text), "largest": LARGEST}
        )
    try:
        root = yaml.compose(text, _Loader)
        given = yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context
        if error.problem_mark is None:
            raise Invalid(_("This is not YAML: %(error)s.") % {"error": problem}) from None
        told = {"line": error.problem_mark.line + 1, "error": problem}
        raise Invalid(_("Line %(line)s: this is not YAML: %(error)s.") % told) from None
    except yaml.YAMLError as error:
        raise Invalid(_("This is not YAML: %(error)s.") % {"error": error}) from None
    try:
        return Document.model_validate(given if given is not None else {})
    except ValidationError as error:
        raise Invalid("\n".join(_told(root, one) for one in error.errors(include_url=False))) from None


def _told(root: yaml.Node | None, error: Any) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    said = _("there is no such setting") if error["type"] == "extra_forbidden" else forms.problem(error)
    return _("Line %(line)s, %(path)s: %(said)s") % {
        "line": _line(root, error["loc"]),
        "path": path or _("the file"),
        "said": said,
    }


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """The line of the deepest part of the path that stands in the file."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in path:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, found = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return line


def write(document: Document) -> str:
    """The document as YAML, in the order of the schema, so that it reads well and compares well."""
    return yaml.safe_dump(
        document.model_dump(mode="json", exclude_none=True) | _short_rules(document),
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def _short_rules(document: Document) -> dict[str, Any]:
    if document.rules is None:
        return {}
    return {"rules": [rule.model_dump(mode="json", exclude_defaults=True) for rule in document.rules]}
