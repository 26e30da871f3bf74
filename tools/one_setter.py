"""Nothing but models/item.py (and, by the batch, models/offering.py) changes an item's state: no attribute, no UPDATE through SQLAlchemy, none in SQL."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SETTERS = {Path("app/models/item.py"), Path("app/models/offering.py")}
SQL = re.compile(r"\bUPDATE\s+item\b(?:(?!\bWHERE\b)[^;])*?\bstate\s*=", re.IGNORECASE)


def offences(root: Path) -> list[str]:
    """`file:line: what` for every place that goes around the setter."""
    files = sorted((root / "app").rglob("*.py"))
    return [
        f"{path.relative_to(root)}:{line}: {what}; use app.models.item.move"
        for path in files
        if path.relative_to(root) not in SETTERS
        for line, what in _in(ast.parse(path.read_text(encoding="utf-8")))
    ]


def _in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_item_state(node):
            yield node.lineno, "assigns an item's state"
        elif isinstance(node, ast.Call) and _is_update_of_items(node):
            yield node.lineno, "updates items through SQLAlchemy"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value):
            yield node.lineno, "updates items' states in SQL"


def _is_item_state(node: ast.Attribute) -> bool:
    """`item.state`, `old_item.state`, `row.item.state`: by the name, which the design fixes."""
    owner = node.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return node.attr == "state" and name.split("_")[-1] == "item"


def _is_update_of_items(node: ast.Call) -> bool:
    named = isinstance(node.func, ast.Name) and node.func.id == "update"
    return named and any(isinstance(argument, ast.Name) and argument.id == "Item" for argument in node.args)
