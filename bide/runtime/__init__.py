"""The house: rooms that decide, and the few that act."""
