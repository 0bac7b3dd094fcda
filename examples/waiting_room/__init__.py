"""The waiting room: 1,004 waits at once in no slot, a kill -9 in the middle, and nothing lost."""
