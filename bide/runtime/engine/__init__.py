"""Decide, commit, act."""
