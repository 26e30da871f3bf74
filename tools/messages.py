"""Extract every visible string into locale/careline.pot; `--check` only says whether the file is current.

A translator copies it to locale/<language>/LC_MESSAGES/careline.po; `pybabel compile -d locale -D careline` makes the
catalogue that the app reads.
"""

import ast
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

ROOT = Path(__file__).parent.parent
POT = ROOT / "locale" / "careline.pot"
MEASURES = "app/queries/measures.py"
METHODS = [("app/**.py", "python"), ("templates/**.html", "jinja2")]
JINJA = {
    "extensions": "jinja2.ext.i18n,jinja2.ext.do",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
    "silent": "false",
}
KEYWORDS = {
    "_": None,
    "N_": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "gettext": None,
}


def formulas() -> list[str]:
    """The docstrings of the measures: they are the help on screen (`app.queries.measures.formula`)."""
    body = ast.parse((ROOT / MEASURES).read_text(encoding="utf-8")).body
    told = {one.name: ast.get_docstring(one) or "" for one in body if isinstance(one, ast.FunctionDef)}
    table = next(one for one in body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "MEASURES")
    used = [one.id for one in ast.walk(table.value) if isinstance(one, ast.Name) and one.id in told]
    return [" ".join(told[name].split()) for name in used]


def extracted() -> bytes:
    """The catalogue's template as it should be: messages with the files they stand in, no line numbers, no dates."""
    catalogue = Catalog(project="Careline", charset="utf-8", fuzzy=False)
    found = extract_from_dir(
        ROOT, METHODS, {"templates/**.html": JINJA}, keywords=KEYWORDS, comment_tags=("Translators:",)
    )
    for file, _line, message, comments, context in sorted(found, key=lambda one: (one[0], one[1])):
        catalogue.add(message, locations=[(Path(file).as_posix(), 0)], auto_comments=comments, context=context)
    for formula in formulas():
        catalogue.add(formula, locations=[(MEASURES, 0)])
    out = BytesIO()
    write_po(out, catalogue, omit_header=True, include_lineno=False, sort_output=True, width=120)
    return out.getvalue()


def main() -> int:
    """Write the file, or compare."""
    now = extracted()
    if "--check" in sys.argv[1:]:
        current = POT.exists() and POT.read_bytes() == now
        sys.stderr.write("" if current else "locale/careline.pot is not current. Run: python tools/messages.py\n")
        return 0 if current else 1
    POT.parent.mkdir(exist_ok=True)
    POT.write_bytes(now)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
