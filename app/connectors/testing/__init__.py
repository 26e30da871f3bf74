"""The conformance suite and what a fake server is made of, for our connectors and those of others.

Each check is a function named as a sentence; it gets a fresh `FakeChannel` and fails by assertion. `checks_for(fake)`
gives those that apply to a variant. docs/connectors.md says how a connector is put to them.

Needs pytest, and is imported by tests alone.
"""

import pytest

_ASSERTING = ("crashing", "delivering", "doubting", "failing", "fetching", "keeping", "picturing", "replying", "steps")
pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in (*_ASSERTING, "upward", "walking"))
)  # a failed check tells what it compared

from app.connectors.testing import (  # noqa: E402 - after the line above
    crashing,
    delivering,
    doubting,
    failing,
    fetching,
    keeping,
    picturing,
    replying,
    upward,
    walking,
)
from app.connectors.testing.checks import Check, abilities, check, checks_for, given, is_true, unexplained  # noqa: E402
from app.connectors.testing.fake import (  # noqa: E402
    FOREVER,
    START,
    Delivery,
    FakeChannel,
    Standing,
    Surface,
    Trouble,
    Wire,
    replaced,
)
from app.connectors.testing.gives import Gives  # noqa: E402

__all__ = [
    "FOREVER",
    "START",
    "Check",
    "Delivery",
    "FakeChannel",
    "Gives",
    "Standing",
    "Surface",
    "Trouble",
    "Wire",
    "abilities",
    "check",
    "checks_for",
    "crashing",
    "delivering",
    "doubting",
    "failing",
    "fetching",
    "given",
    "is_true",
    "keeping",
    "picturing",
    "replaced",
    "replying",
    "unexplained",
    "upward",
    "walking",
]
