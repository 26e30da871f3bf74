"""The tables in docs/ that are drawn from the code: `python -m tools.docs` writes them, tests/test_docs.py compares.

A page holds a table between `<!-- table: NAME -->` and `<!-- end of table -->`; what stands there is replaced.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from app import telemetry
from app.connectors import registry
from app.connectors.base import Capabilities, Length, Pictures
from app.connectors.testing import FakeChannel, Gives, given
from app.models.item import TRANSITIONS, State, Verb
from app.settings import Settings
from tests.connectors.fakes import Make, variants

DOCS = Path(__file__).resolve().parent.parent / "docs"
TABLE = re.compile(r"(<!-- table: (?P<name>\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
COUNTED = {
    Length.CHARACTERS: "code points",
    Length.GRAPHEMES: "graphemes",
    Length.MASTODON: "as Mastodon counts",
    Length.X: "as X weighs",
    Length.THREADS: "code points, bytes of emoji",
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def settings() -> str:
    """Every variable of the environment, from the settings' model."""
    rows = [(f"`{variable(n, f)}`", _default(f), f.description or "") for n, f in Settings.model_fields.items()]
    return table(("variable", "when not set", "meaning"), rows)


def variable(name: str, field: FieldInfo) -> str:
    """The name of a setting in the environment; the first one where there are several."""
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])
    return f"CARELINE_{name.upper()}"


def _default(field: FieldInfo) -> str:
    return (
        ""
        if field.default in {None, ""}
        else f"`{str(field.default).lower()}`"
        if isinstance(field.default, bool)
        else f"`{field.default}`"
    )


def metrics() -> str:
    """What `/metrics` tells besides the process's own figures."""
    found = [one for one in vars(telemetry).values() if isinstance(one, MetricWrapperBase)]
    return table(("metric", "kind", "labels", "meaning"), map(_metric, found))


def _metric(one: MetricWrapperBase) -> tuple[str, str, str, str]:
    told = next(iter(one.describe()))
    name = f"{told.name}_total" if isinstance(one, Counter) else told.name
    labels = ", ".join(f"`{label}`" for label in one._labelnames)  # noqa: SLF001 - the library tells them no other way
    return f"`{name}`", told.type, labels, told.documentation


def transitions() -> str:
    """What can be done to an item in each state, and where it goes."""
    rows = [
        (f"**{state}**", f"{verb}", " or ".join(sorted(str(one) for one in to)))
        for state in State
        for verb, to in sorted(TRANSITIONS[state].items(), key=lambda pair: list(Verb).index(pair[0]))
    ]
    return table(("from", "verb", "to"), rows)


def capabilities() -> str:
    """What each built-in channel can do."""
    rows = [
        (
            f"{(connector := registry.get(name)).title}",
            "account" if connector.Credentials else "none",
            _way_in(connector.capabilities),
            *map(_yes, _abilities(connector.capabilities)),
            ", ".join(connector.capabilities.visibilities) or "-",
            _length(connector.capabilities),
            _pictures(connector.capabilities.pictures),
        )
        for name in sorted(registry.BUILT_IN)
    ]
    head = (
        "channel",
        "sign-in",
        "posts are",
        "reply",
        "direct",
        "threads",
        "repeat is safe",
        "can look",
        "edits a reply",
        "deletes a reply",
        "thread above",
        "hides a post",
        "who reads a reply",
        "length",
        "pictures",
    )
    return table(head, rows)


def _pictures(rules: Pictures | None) -> str:
    if rules is None:
        return "-"
    size = f"{rules.most} of {rules.bytes // 1_000_000} MB"
    return f"{size}, {rules.alt} characters of description each" if rules.alt else size


def _abilities(can: Capabilities) -> tuple[bool, ...]:
    return (
        can.reply,
        can.direct,
        can.threads,
        can.idempotent,
        can.find_sent,
        can.edit,
        can.delete,
        can.parents,
        can.hide,
    )


def _way_in(can: Capabilities) -> str:
    if can.push:
        return "pushed"
    ways = {"polled": True, "streamed": can.streams, "pushed": can.hooks}
    *first, last = [way for way, has in ways.items() if has]
    return f"{', '.join(first)} and {last}" if first else last


def _yes(can: bool) -> str:
    return "yes" if can else "-"


def _length(can: Capabilities) -> str:
    if can.length_limit is None:
        return "no limit known" if can.reply else "-"
    size = f"{can.length_limit} {COUNTED[can.length_counts]}"
    return f"{size}, {can.byte_limit} bytes" if can.byte_limit else size


def gives() -> str:
    """What the conformance suite proves of each built-in channel."""
    rows = [
        (f"{registry.get(name).title}", *(_given(one, variants(name).values()) for one in Gives))
        for name in sorted(registry.BUILT_IN)
    ]
    return table(("channel", *Gives), rows)


def _given(one: Gives, makers: Iterable[Make]) -> str:
    proved = {one in given(fake) for fake in _worlds(makers)}
    return "some" if len(proved) > 1 else _yes(True in proved)


def _worlds(makers: Iterable[Make]) -> Iterator[FakeChannel]:
    for make in makers:
        with closing(make()) as fake:
            yield fake


def reasons() -> str:
    """Why a channel cannot give what it cannot give, as its fake server declares."""
    rows = [row for name in sorted(registry.BUILT_IN) for row in _declared(name)]
    return table(("channel", "cannot give", "because"), rows)


def _declared(name: str) -> Iterator[tuple[str, str, str]]:
    found: dict[str, dict[Gives, list[str]]] = {}
    for variant, make in variants(name).items():
        for fake in _worlds([make]):
            for one, reason in fake.cannot_give.items():
                found.setdefault(reason, {}).setdefault(one, []).append(variant)
    for reason, lacking in found.items():
        where = sorted({variant for some in lacking.values() for variant in some})
        some = f" ({', '.join(where)})" if len(where) < len(variants(name)) else ""
        yield f"{registry.get(name).title}{some}", ", ".join(one for one in Gives if one in lacking), reason


def promises() -> str:
    """What each thing is that the suite asks of a channel."""
    return table(("", "means"), ((one, one.meaning) for one in Gives))


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "metrics": metrics,
    "transitions": transitions,
    "capabilities": capabilities,
    "promises": promises,
    "gives": gives,
    "reasons": reasons,
}


def current(page: str) -> str:
    """The page with its tables as the code has them. Raises KeyError for a table that nobody draws."""
    return TABLE.sub(lambda found: found[1] + TABLES[found["name"]]() + found[3], page)


def pages() -> list[Path]:
    """All pages of docs/."""
    return sorted(DOCS.rglob("*.md"))


def main() -> None:
    """Write the tables anew where they have changed."""
    for path in pages():
        before = path.read_text(encoding="utf-8")
        after = current(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(DOCS.parent)} was brought up to date.")


if __name__ == "__main__":
    main()
