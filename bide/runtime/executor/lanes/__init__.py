"""Where a body runs: the loop, a thread of the runtime's own, an isolated process, a shell."""
