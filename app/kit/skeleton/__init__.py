"""Skeleton for Careline."""
