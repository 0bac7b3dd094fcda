"""Runs attempts, bounded by what the engine admits: lanes, the author's context, logs, the watchdog."""
