"""Connectors: one file a channel. They get and give dataclasses, never rows."""
