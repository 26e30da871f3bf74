"""Offices of every make of channel."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests import parcels
from tests.connectors.fakes.mastodon import FakeMastodon
from tests.connectors.fakes.webhook import FakeSender
from tests.parcels import FakeParcels
from tests.postoffice import Office, post_office


@pytest.fixture
def _parcels(monkeypatch: pytest.MonkeyPatch) -> None:
    parcels.register(monkeypatch)


@pytest.fixture
async def keyed(engine: AsyncEngine, _parcels: None) -> AsyncIterator[Office]:
    """A channel that drops repeats by their key."""
    async with post_office(engine, FakeParcels("parcels-keyed"), "parcels-keyed") as office:
        yield office


@pytest.fixture
async def listed(engine: AsyncEngine, _parcels: None) -> AsyncIterator[Office]:
    """A channel whose ledger can be read."""
    async with post_office(engine, FakeParcels("parcels-listed"), "parcels-listed") as office:
        yield office


@pytest.fixture
async def blind(engine: AsyncEngine, _parcels: None) -> AsyncIterator[Office]:
    """A channel that can neither."""
    async with post_office(engine, FakeParcels("parcels-blind"), "parcels-blind") as office:
        yield office


@pytest.fixture
async def mastodon(engine: AsyncEngine) -> AsyncIterator[Office]:
    """Mastodon's mentions."""
    async with post_office(engine, FakeMastodon(), "mastodon") as office:
        yield office


@pytest.fixture
async def webhook(engine: AsyncEngine) -> AsyncIterator[Office]:
    """A program that takes replies at an address."""
    async with post_office(engine, FakeSender(), "webhook") as office:
        yield office
