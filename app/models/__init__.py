"""Nouns: the tables, their invariants, and the one transition table."""
