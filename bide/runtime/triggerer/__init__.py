"""Holds waits: registrations with shared sources, poll scheduling, limits."""
