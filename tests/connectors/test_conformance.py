"""Every connector against its fake server, variant by variant."""

from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec

import pytest

from app.connectors import registry
from tests.connectors import conformance
from tests.connectors.fakes.base import FakeChannel

Make = Callable[[], FakeChannel]


def _variants(name: str) -> dict[str, Make]:
    if find_spec(f"tests.connectors.fakes.{name}") is None:
        return {}
    variants: dict[str, Make] = import_module(f"tests.connectors.fakes.{name}").VARIANTS
    return variants


def _cases() -> Iterator[object]:
    for name in registry.BUILT_IN:
        for variant, make in _variants(name).items():
            with closing(make()) as fake:
                checks = conformance.checks_for(fake)
            for run in checks:
                yield pytest.param(make, run, id=f"{variant}-{run.__name__}")


@pytest.mark.parametrize(("make", "run"), list(_cases()))
async def test_conformance(make: Make, run: conformance.Check) -> None:
    with closing(make()) as fake:
        await run(fake)


@pytest.mark.parametrize("name", list(registry.BUILT_IN))
def test_every_connector_has_a_fake_server(name: str) -> None:
    assert _variants(name)
    for make in _variants(name).values():
        with closing(make()) as fake:
            assert fake.connector is registry.get(name)
