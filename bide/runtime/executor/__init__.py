"""Runs attempts, bounded by slots."""
