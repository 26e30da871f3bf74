"""README.md and docs/ say what is: their commands exist, their links lead somewhere, their tables are the code's."""

import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app import errors
from app.cli import cli
from app.connectors import registry
from app.connectors.base import Connector
from app.connectors.registry import GROUP
from app.errors import ConnectorError
from app.flow import outbox
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.reply import reply
from app.models.feed import Health
from app.models.reply import Reply, ReplyState
from app.northwind import company as northwind
from app.settings import Settings
from tests.company import items, make_company, post
from tools import docs

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *docs.pages()]
OPERATORS = (ROOT / "docs/operators.md").read_text(encoding="utf-8")
CONNECTORS = (ROOT / "docs/connectors.md").read_text(encoding="utf-8")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code(page: str) -> str:
    """What stands in fences, indented, and between backticks: there, a command is meant to be typed."""
    fenced = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
    rest = fenced.sub("", page)
    indented = re.findall(r"^ {4}(.*)$", rest, re.MULTILINE)
    return "\n".join([*fenced.findall(page), *indented, *re.findall(r"`([^`]+)`", rest)])


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(app: typer.Typer, before: str = "") -> Iterator[str]:
    """Every command with its groups: `key rotate`."""
    group = typer.main.get_command(app)
    for name, command in getattr(group, "commands", {}).items():
        inner = getattr(command, "commands", None)
        yield from (f"{name} {one}" for one in inner) if inner else (name,)


@pages
def test_every_make_target_named_exists(page: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)", code(page.read_text())))
    assert named <= targets()


@pages
def test_every_careline_command_named_exists(page: Path) -> None:
    known = set(commands(cli))
    words = re.sub(r"\s+", " ", code(page.read_text()))
    for first, second in re.findall(r"\bcareline (?!work/)([a-z]+)(?: ([a-z]+))?", words):
        assert first in known or f"{first} {second}" in known, f"careline {first} {second}"


@pages
def test_every_link_within_the_project_leads_to_a_file(page: Path) -> None:
    linked = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", page.read_text())
    for link in (one or other for one, other in linked):
        path = unquote(link.partition("#")[0])
        if path and "://" not in link:
            assert (page.parent / path).exists(), link


@pages
def test_every_table_is_what_the_code_says(page: Path) -> None:
    said = page.read_text(encoding="utf-8")
    assert docs.current(said) == said, "Run: make docs"


@pages
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|root|work|Users|tmp)/", page.read_text())


@pages
def test_variables_of_the_environment_that_are_named_are_read(page: Path) -> None:
    known = {docs.variable(name, field) for name, field in Settings.model_fields.items()}
    assert set(re.findall(r"\bCARELINE_[A-Z_]+\b", page.read_text())) <= known


def test_each_table_stands_somewhere() -> None:
    found = [name for page in docs.pages() for name in re.findall(r"<!-- table: (\w+) -->", page.read_text())]
    assert sorted(found) == sorted(docs.TABLES)


def test_pictures_are_sound_and_have_words() -> None:
    for picture in (ROOT / "docs").glob("*.svg"):
        tree = ET.parse(picture)
        names = {element.tag.rpartition("}")[2] for element in tree.iter()}
        assert {"title", "desc"} <= names


def test_buttons_that_the_operators_are_told_to_press_are_there() -> None:
    shown = "\n".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    shown += (ROOT / "app/flow/configure_feed.py").read_text()
    for words in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", OPERATORS):
        assert words in shown, words


def test_every_health_of_a_feed_is_explained() -> None:
    assert all(f"| `{health}` |" in OPERATORS for health in Health)


async def test_the_outbox_is_held_after_a_restore_by_the_statement_in_the_book(session: AsyncSession) -> None:
    (statement,) = re.findall(r"```sql\n(.*?)```", OPERATORS, re.DOTALL)
    house = await make_company(session)
    await ingest(session, house.feed, [post(1)])
    [item] = await items(session)
    await claim(session, house.ayumi, item.id)
    held = await reply(session, house.ayumi, item.id, "A new tent is on its way.", "public")
    await session.execute(text(statement))
    after = await session.get_one(Reply, held.id, populate_existing=True)
    assert (after.state, after.due_at) == (ReplyState.UNKNOWN, None)
    assert await outbox.errand(session, held.id) is None


def test_every_error_of_a_connector_is_in_the_table_as_it_is() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ConnectorError)]
    said = {True: "yes", False: "no", None: "unknown"}
    for kind in kinds[1:]:
        (row,) = re.findall(rf"^\| `{kind.__name__}` \|(.*)\|$", CONNECTORS, re.MULTILINE)
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[1:3] == [said[kind.permanent], said[kind.delivered]], kind.__name__


def test_every_method_of_a_connector_is_in_the_table() -> None:
    methods = [name for name, value in vars(Connector).items() if callable(value) and not name.startswith("_")]
    for name in {*methods} - {"Settings"}:
        assert f"| `{name}` |" in CONNECTORS


def test_the_entry_point_in_the_book_is_the_one_that_is_read() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", CONNECTORS, re.DOTALL)
    assert list(tomllib.loads(example)["project"]["entry-points"]) == [GROUP]


def test_the_connectors_that_the_readme_names_are_those_we_have() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in {*registry.BUILT_IN} - {"demo"}:
        assert registry.get(name).title.split(" ")[0] in readme


def test_the_readme_gives_the_sign_ins_that_the_demo_has() -> None:
    readme = (ROOT / "README.md").read_text()
    assert northwind.PASSWORD in readme
    assert all(email in readme for email in northwind.SIGN_INS.values())


def test_decisions_are_numbered_short_and_all_listed() -> None:
    decisions = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    listed = (ROOT / "docs/architecture.md").read_text()
    for path in decisions:
        said = path.read_text()
        assert said.startswith(f"# {int(path.name[:4])}. ")
        assert re.search(r"^\d{4}-\d\d-\d\d, (accepted|replaced by \d{4})\.$", said, re.MULTILINE)
        assert re.findall(r"^## (.*)$", said, re.MULTILINE) == ["Context", "Decision", "Consequences"]
        assert len(said.split()) <= 260
        assert f"adr/{path.name}" in listed
