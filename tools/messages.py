"""The catalogues: what is extracted from the code, and what the translators made of it.

    python tools/messages.py                   write locale/careline.pot anew
    python tools/messages.py --check           only say whether it is current
    python tools/messages.py --update          bring the .po files to the .pot, and count what is left to do
    python tools/messages.py --todo de         print what is untranslated, as JSON, to be filled in
    python tools/messages.py --fill de FILE    take such a JSON, with its texts filled in, into the .po file

`locale/<language>/LC_MESSAGES/careline.po` is what the app reads; nothing is compiled. docs/translating.md says how.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
LOCALE = ROOT / "locale"
POT = LOCALE / "careline.pot"
LANGUAGES = ("ar", "de", "es", "ja")
ARABIC = (  # zero, one, two, few (3 to 10), many (11 to 99), other: in the order of CLDR, unlike Babel's own
    "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);"
)
STRICT = True  # whether a message that is not translated fails the check
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
NAMED = re.compile(r"(?<!%)%\((\w+)\)\d*[sd]")
PLACED = re.compile(r"(?<!%)%[0-9]*[sd]")
TAG = re.compile(r"</?[a-z]\w*[^<>]*>")
HEADER = """# Careline in {name}.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"

"""


def formulas() -> list[str]:
    """The docstrings of the measures: they are the help on screen (`app.queries.measures.formula`)."""
    body = ast.parse((ROOT / MEASURES).read_text(encoding="utf-8")).body
    told = {one.name: ast.get_docstring(one) or "" for one in body if isinstance(one, ast.FunctionDef)}
    table = next(one for one in body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "MEASURES")
    used = [one.id for one in ast.walk(table.value) if isinstance(one, ast.Name) and one.id in told]
    return [" ".join(told[name].split()) for name in used]


def template() -> Catalog:
    """All messages, with the files they stand in, no line numbers, no dates."""
    catalogue = Catalog(project="Careline", charset="utf-8", fuzzy=False)
    found = extract_from_dir(
        ROOT, METHODS, {"templates/**.html": JINJA}, keywords=KEYWORDS, comment_tags=("Translators:",)
    )
    for file, _line, message, comments, context in sorted(found, key=lambda one: (one[0], one[1])):
        catalogue.add(message, locations=[(Path(file).as_posix(), 0)], auto_comments=comments, context=context)
    for formula in formulas():
        catalogue.add(formula, locations=[(MEASURES, 0)])
    return catalogue


def extracted() -> bytes:
    """The catalogue's template as it should be."""
    out = BytesIO()
    write_po(out, template(), omit_header=True, include_lineno=False, sort_output=True, width=120)
    return out.getvalue()


def path_of(language: str) -> Path:
    """Where a language's catalogue lies."""
    return LOCALE / language / "LC_MESSAGES" / "careline.po"


def read(language: str) -> Catalog:
    """A language's catalogue; an empty one where there is none yet."""
    path = path_of(language)
    return read_po(BytesIO(path.read_bytes() if path.exists() else b""), locale=language)


def write(catalogue: Catalog) -> None:
    """Write a language's catalogue in the one form that makes small differences."""
    language, out = str(catalogue.locale), BytesIO()
    name = catalogue.locale.get_display_name("en") if catalogue.locale else ""
    plurals = ARABIC if language == "ar" else get_plural(language).plural_forms
    out.write(HEADER.format(name=name, language=language, plurals=plurals).encode())
    write_po(out, catalogue, omit_header=True, no_location=True, sort_output=True, ignore_obsolete=True, width=120)
    path_of(language).parent.mkdir(parents=True, exist_ok=True)
    path_of(language).write_bytes(out.getvalue())


def texts(message: Message) -> list[str]:
    """The translation, one text for each plural form."""
    return list(message.string) if isinstance(message.string, list | tuple) else [message.string or ""]


def problems(language: str, wanted: Catalog, *, strict: bool) -> Iterator[str]:
    """What is wrong with a catalogue; `strict` adds what is missing or not in use any more."""
    catalogue = read(language)
    for message in catalogue:
        if message.id and (strict or all(texts(message))):
            yield from (
                f"{language}: {message.id!r}: {one}" for one in wrong(message, get_plural(language).num_plurals)
            )
    if strict:
        keys = {(one.id, one.context) for one in catalogue}
        yield from (f"{language}: {one.id!r} is missing" for one in wanted if (one.id, one.context) not in keys)
        known = {(one.id, one.context) for one in wanted}
        yield from (f"{language}: {one.id!r} is not in use" for one in catalogue if (one.id, one.context) not in known)


def wrong(message: Message, plurals: int) -> Iterator[str]:
    """What a translation must not do, whatever it says."""
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    found = texts(message)
    if not all(found):
        yield "it is not translated"
        return
    if message.fuzzy:
        yield "it is marked as fuzzy"
    if len(ids) > 1 and len(found) != plurals:
        yield f"it has {len(found)} plural forms, not {plurals}"
    for text in found:
        yield from _unlike(ids, text)


def _unlike(ids: list[str], text: str) -> Iterator[str]:
    named = [set(NAMED.findall(one)) for one in ids]
    if set(NAMED.findall(text)) != named[-1] if len(ids) == 1 else not set(NAMED.findall(text)) <= named[-1] | named[0]:
        yield f"the names in {text!r} are not those of the message"
    if PLACED.findall(text) != PLACED.findall(ids[-1]):
        yield f"the places in {text!r} are not those of the message"
    if sorted(TAG.findall(text)) != sorted(TAG.findall(ids[-1])):
        yield f"the markup in {text!r} is not that of the message"
    if text[:1].isspace() != ids[-1][:1].isspace() or text[-1:].isspace() != ids[-1][-1:].isspace():
        yield f"{text!r} begins or ends with a space where the message does not, or the other way round"


def update() -> None:
    """Bring each language's catalogue to the code's messages; what is not in use any more goes."""
    wanted = template()
    for language in LANGUAGES:
        catalogue = read(language)
        catalogue.update(wanted, no_fuzzy_matching=True)
        write(catalogue)
        left = sum(1 for one in catalogue if one.id and not all(texts(one)))
        print(f"{language}: {len(catalogue)} messages, {left} to translate")


def todo(language: str) -> list[dict[str, Any]]:
    """What is untranslated: `text` is to be filled in, a list where there are plural forms."""
    wanted, forms = template(), get_plural(language).num_plurals
    known = {(one.id, one.context) for one in read(language) if one.id and all(texts(one))}
    return [
        {
            "id": one.id,
            "context": one.context,
            "where": sorted({file for file, _line in one.locations}),
            "text": "" if isinstance(one.id, str) else [""] * forms,
        }
        for one in wanted
        if one.id and (one.id, one.context) not in known
    ]


def fill(language: str, done: list[dict[str, Any]]) -> list[str]:
    """Take translations into a catalogue; those that are wrong stay out and are told."""
    catalogue, refused = read(language), []
    catalogue.update(template(), no_fuzzy_matching=True)
    for one in done:
        key = one["id"] if isinstance(one["id"], str) else tuple(one["id"])
        message = catalogue.get(key, one.get("context"))
        if message is None or not all(one["text"]):
            continue
        trial = Message(key, one["text"] if isinstance(one["text"], str) else tuple(one["text"]))
        trouble = list(wrong(trial, get_plural(language).num_plurals))
        refused += [f"{language}: {key!r}: {said}" for said in trouble]
        message.string = message.string if trouble else trial.string
    write(catalogue)
    return refused


def main(arguments: list[str]) -> int:
    """Do what the command line asks for."""
    match arguments:
        case ["--update"]:
            update()
        case ["--todo", language]:
            print(json.dumps(todo(language), ensure_ascii=False, indent=1))
        case ["--fill", language, file]:
            refused = fill(language, json.loads(Path(file).read_text(encoding="utf-8")))
            print("\n".join(refused))
            return 1 if refused else 0
        case ["--check"]:
            current = POT.exists() and POT.read_bytes() == extracted()
            sys.stderr.write("" if current else "locale/careline.pot is not current. Run: python tools/messages.py\n")
            return 0 if current else 1
        case _:
            POT.parent.mkdir(exist_ok=True)
            POT.write_bytes(extracted())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
