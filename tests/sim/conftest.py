"""The plugin's fixture, whether or not the package is installed."""

from bide.testing.plugin import sim_runtime

__all__ = ["sim_runtime"]
