"""Notices: who is told of an alert, over which route, at least once (B66)."""
