"""Another name for `app.connectors.testing.fake`."""

from app.connectors.testing.fake import FOREVER, START, Delivery, FakeChannel, Standing, Trouble, Wire, replaced

__all__ = ["FOREVER", "START", "Delivery", "FakeChannel", "Standing", "Trouble", "Wire", "replaced"]
