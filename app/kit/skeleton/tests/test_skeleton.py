"""Skeleton against its fake server: all that Careline asks of every connector, and what is this channel's own."""

from collections.abc import Callable
from contextlib import closing

import pytest

from app.connectors.testing import Check, FakeChannel, checks_for, is_true, unexplained
from app.connectors.testing.steps import asked
from app.kit.skeleton.tests.fake_skeleton import VARIANTS, FakeSkeleton

CASES = [
    pytest.param(make, run, id=f"{variant}-{run.__name__}")
    for variant, make in VARIANTS.items()
    for run in checks_for(make())
]


@pytest.mark.parametrize(("make", "run"), CASES)
async def test_conformance(make: Callable[[], FakeChannel], run: Check) -> None:
    with closing(make()) as fake:
        await run(fake)


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
async def test_what_cannot_be_given_is_declared_and_true(make: Callable[[], FakeChannel]) -> None:
    assert not unexplained(make())
    for declared in make().cannot_give:
        assert await is_true(make, declared), f"take '{declared}' out of cannot_give: its checks pass"


async def test_a_customer_is_shown_by_their_handle() -> None:
    post = await asked(FakeSkeleton(), text="Where is my order?")
    assert post.author.handle == "ada"
