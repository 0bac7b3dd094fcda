"""Holds waits: thousands of them, without a slot."""
