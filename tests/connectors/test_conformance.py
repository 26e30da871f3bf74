"""Every connector against its fake server, variant by variant."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from app.connectors import registry
from app.connectors.testing import Check, FakeChannel, Gives, checks_for, is_true, unexplained
from tests.connectors.fakes import Make, variants


def _all() -> Iterator[tuple[str, Make]]:
    for name in registry.BUILT_IN:
        yield from variants(name).items()


def _cases() -> Iterator[object]:
    for variant, make in _all():
        with closing(make()) as fake:
            checks = checks_for(fake)
        for run in checks:
            yield pytest.param(make, run, id=f"{variant}-{run.__name__}")


def _declared() -> Iterator[object]:
    for variant, make in _all():
        with closing(make()) as fake:
            for declared, reason in fake.cannot_give.items():
                yield pytest.param(make, declared, reason, id=f"{variant}-{declared.name}")


@pytest.mark.parametrize(("make", "run"), list(_cases()))
async def test_conformance(make: Make, run: Check) -> None:
    with closing(make()) as fake:
        await run(fake)


@pytest.mark.parametrize(("make", "declared", "reason"), list(_declared()))
async def test_what_a_channel_is_said_not_to_give_it_does_not(make: Make, declared: Gives, reason: str) -> None:
    assert await is_true(make, declared), f"its checks pass: take '{declared}' out of cannot_give"
    pytest.skip(reason)


@pytest.mark.parametrize(("variant", "make"), list(_all()))
def test_a_channel_gives_each_thing_or_says_why_not(variant: str, make: Make) -> None:
    with closing(make()) as fake:
        missing = sorted(f"Gives.{one.name}" for one in unexplained(fake))
    assert not missing, f"no check applies: give the fake server of '{variant}' a reason for each in cannot_give"


@pytest.mark.parametrize("name", list(registry.BUILT_IN))
def test_every_connector_has_a_fake_server(name: str) -> None:
    assert variants(name)
    for make in variants(name).values():
        with closing(make()) as fake:
            assert isinstance(fake, FakeChannel)
            assert fake.connector is registry.get(name)
