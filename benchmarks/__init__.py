"""Every figure bide claims, beside its physical limit measured in the same run."""
