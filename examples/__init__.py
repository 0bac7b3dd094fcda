"""Runnable examples: small DAG files, one for each thing bide does, and the waiting room (`make demo`)."""
