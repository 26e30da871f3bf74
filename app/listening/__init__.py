"""Text in, signals out: pure functions."""
