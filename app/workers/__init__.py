"""Processes: poll, send, router, sweep."""
