"""bide as a guest of a FastAPI application: one loop, one process, the host's lifespan, routes and signals."""
