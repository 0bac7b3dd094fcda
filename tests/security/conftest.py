"""The terminal, as the tests of it have it."""

from tests.cli.conftest import bide

__all__ = ["bide"]
