"""Assets in the engine: versions recorded with successes, consumers that make runs of them."""
