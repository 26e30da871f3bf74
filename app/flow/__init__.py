"""Verbs: one file each. They take a session and never commit."""
