"""`careline connector new`: what it writes works at once, is offered once it is installed, and destroys nothing."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from app.connectors import registry
from app.errors import CarelineError, Conflict, Invalid
from app.kit import new_connector
from tests.web.conftest import Browser

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = (ROOT / "docs/connectors.md").read_text(encoding="utf-8")

Install = Callable[[Path], None]
SignIn = Callable[[str], Awaitable[Browser]]


def run(*words: object) -> str:
    """What a command in the checkout says; it must be content."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def its_tests(package: Path) -> str:
    return run("-m", "pytest", "-q", "-p", "no:cacheprovider", package)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """As pip does it: the package on the path, its entry points beside it."""

    def put(package: Path) -> None:
        told = tomllib.loads((package / "pyproject.toml").read_text())
        info = package / f"{told['tool']['setuptools']['packages'][0]}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {told['project']['name']}\nVersion: 0.1.0\n")
        points = [f"{name} = {to}" for name, to in told["project"]["entry-points"][registry.GROUP].items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{registry.GROUP}]", *points]) + "\n")
        monkeypatch.syspath_prepend(str(package))
        registry.forget()

    yield put
    registry.forget()
    for name in [name for name in sys.modules if name.startswith("careline_")]:
        del sys.modules[name]


def test_what_is_written_passes_its_own_tests_at_once(tmp_path: Path) -> None:
    run("-m", "app.cli", "connector", "new", "carrier_pigeon", "--in", tmp_path)
    said = its_tests(tmp_path / "careline-carrier-pigeon")
    assert int(re.findall(r"(\d+) passed", said)[0]) > 40


async def test_what_is_written_is_offered_once_it_is_installed(
    tmp_path: Path, install: Install, sign_in: SignIn
) -> None:
    install(new_connector("carrier_pigeon", tmp_path))
    browser = await sign_in("admin")
    assert "Carrier pigeon" in (await browser.get("/admin/feeds/new")).text
    assert "Address of the server" in (await browser.get("/admin/feeds/new?channel=carrier_pigeon")).text
    assert "Access token" in (await browser.get("/admin/accounts/new?channel=carrier_pigeon")).text
    assert not registry.broken()


async def test_one_that_was_broken_since_is_told_with_its_reason_where_feeds_are_added(
    tmp_path: Path, install: Install, sign_in: SignIn
) -> None:
    package = new_connector("carrier_pigeon", tmp_path)
    (package / "careline_carrier_pigeon/connector.py").write_text("import a_module_that_is_not_there")
    install(package)
    shown = (await (await sign_in("admin")).get("/admin/feeds/new")).text
    assert "careline-carrier-pigeon" in shown
    assert "a_module_that_is_not_there" in shown


def test_nothing_of_the_pattern_is_left_in_what_is_written(tmp_path: Path) -> None:
    package = new_connector("carrier_pigeon", tmp_path)
    for path in package.rglob("*"):
        assert "skeleton" not in (path.name + (path.read_text() if path.is_file() else "")).lower(), path


def test_what_is_there_already_is_never_overwritten(tmp_path: Path) -> None:
    package = new_connector("pigeon", tmp_path)
    (package / "README.md").write_text("My own words.")
    with pytest.raises(Conflict, match="is there already"):
        new_connector("pigeon", tmp_path)
    assert (package / "README.md").read_text() == "My own words."


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("Pigeon", Invalid, "small letters"),
        ("carrier-pigeon", Invalid, "small letters"),
        ("../pigeon", Invalid, "small letters"),
        ("p", Invalid, "2 to 30"),
        ("9lives", Invalid, "begins with a letter"),
        ("carrier__pigeon", Invalid, "single underscores"),
        ("täube", Invalid, "small letters"),
        ("rss", Conflict, "a connector 'rss' already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_plain_words(
    tmp_path: Path, name: str, kind: type[CarelineError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        new_connector(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file or directory"):
        new_connector("pigeon", tmp_path / "nowhere")


def test_the_channel_in_the_book_is_made_as_it_says_and_passes(tmp_path: Path) -> None:
    (command,) = re.findall(r"^    careline (connector new \w+ --in) \.\.$", DOCS, re.MULTILINE)
    run("-m", "app.cli", *command.split(), tmp_path)
    package = tmp_path / "careline-hackernews"
    for name in ("careline_hackernews/connector.py", "tests/fake_hackernews.py"):
        (code,) = re.findall(rf"`{name}`:\n\n```python\n(.*?)```", DOCS, re.DOTALL)
        assert (package / name).exists()
        (package / name).write_text(code)
    assert "passed" in its_tests(package)
    run("-m", "ruff", "check", "-q", "--isolated", "--select", "F,B,UP,SIM", "--target-version", "py311", package)
