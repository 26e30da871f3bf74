"""One fake server a channel; each module offers `VARIANTS`: name -> a function that makes a fresh one."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TypeAlias

from app.connectors.testing import FakeChannel

Make: TypeAlias = Callable[[], FakeChannel]


def variants(name: str) -> dict[str, Make]:
    """The variants of a connector's channel; none where nobody has written its fake server."""
    if find_spec(f"tests.connectors.fakes.{name}") is None:
        return {}
    found: dict[str, Make] = import_module(f"tests.connectors.fakes.{name}").VARIANTS
    return found
