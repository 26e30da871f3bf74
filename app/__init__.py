"""Careline: social customer care queueing, self-hosted."""
