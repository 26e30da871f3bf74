"""Which connectors are at hand, and what a broken third-party package does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.connectors import registry
from app.errors import NotFound

Install = Callable[[str, str, dict[str, str]], None]

PIGEON = """
from app.connectors.base import Connector
class Pigeon(Connector):
    name = "pigeon"
    title = "Carrier pigeon"
class Impostor(Connector):
    name = "rss"
    title = "Not RSS"
class Odd:
    pass
class Untitled(Connector):
    name = "untitled"
class Unset(Connector):
    name = "unset"
    title = "Unset"
    Settings = dict
class Unable(Connector):
    name = "unable"
    title = "Unable"
    capabilities = {"reply": True}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package: its name, its one module's source, its entry points."""

    def put(package: str, source: str, points: dict[str, str]) -> None:
        (tmp_path / f"{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{registry.GROUP}]", *lines]) + "\n")

    monkeypatch.syspath_prepend(str(tmp_path))
    registry.forget()
    yield put
    registry.forget()


def test_a_third_party_connector_is_found_by_its_name(install: Install) -> None:
    install("birds", PIGEON, {"pigeon": "birds:Pigeon"})
    assert registry.get("pigeon").title == "Carrier pigeon"
    assert "pigeon" in registry.all()
    assert not registry.broken()


def test_a_broken_package_is_reported_and_breaks_nothing_else(install: Install) -> None:
    points = {"odd": "flock:Odd", "misnamed": "flock:Pigeon", "rss": "flock:Impostor", "pigeon": "flock:Pigeon"}
    install("wrecked", "import a_module_that_is_not_there", {"wreck": "wrecked:Anything"})
    install("hasty", "raise SystemError('no wings')", {"hasty": "hasty:Anything"})
    install("flock", PIGEON, points)
    assert "pigeon" in registry.all()
    assert "rss" in registry.all()
    assert {(one.name, one.package) for one in registry.broken()} == {
        ("wreck", "wrecked"),
        ("hasty", "hasty"),
        ("odd", "flock"),
        ("misnamed", "flock"),
        ("rss", "flock"),
    }
    assert registry.get("rss").title != "Not RSS"
    with pytest.raises(NotFound, match="a_module_that_is_not_there"):
        registry.get("wreck")


def test_a_package_that_ends_the_process_as_it_is_imported_is_reported_and_does_not(install: Install) -> None:
    install("leaving", "import sys; sys.exit('no licence')", {"leaving": "leaving:Anything"})
    assert "rss" in registry.all()
    (broken,) = registry.broken()
    assert broken.reason == "SystemExit: no licence"


@pytest.mark.parametrize(
    ("name", "reason"), [("untitled", "title"), ("unset", "SettingsModel"), ("unable", "Capabilities")]
)
def test_a_connector_without_what_every_page_draws_is_reported_and_not_used(
    install: Install, name: str, reason: str
) -> None:
    install("flock", PIGEON, {name: f"flock:{name.title()}", "pigeon": "flock:Pigeon"})
    assert "pigeon" in registry.all()
    assert name not in registry.all()
    (broken,) = registry.broken()
    assert reason in broken.reason


def test_an_unknown_connector_is_not_found(install: Install) -> None:
    with pytest.raises(NotFound, match="smoke"):
        registry.get("smoke")


def test_built_in_connectors_have_the_name_they_are_registered_under() -> None:
    for name in registry.BUILT_IN:
        assert registry.get(name).name == name
        assert registry.get(name).title
