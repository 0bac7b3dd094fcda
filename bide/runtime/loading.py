"""Modules that are loaded when they are first needed, in a thread: a large one takes longer than a loop may be held."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module

from bide.runtime.aside import aside


def missing(names: Iterable[str]) -> list[str]:
    """Those that are not loaded; one that another thread is just loading is not."""
    return [name for name in names if not _whole(name)]


def load(names: Iterable[str]) -> None:
    """Load them, here. One that is not installed is for whoever uses it to speak of."""
    for name in names:
        try:
            import_module(name)
        except ImportError:
            continue


async def loaded(*names: str) -> None:
    """Return when they are loaded. The thread that loads them ends with it."""
    if found := missing(names):
        await aside(load, found)


def _whole(name: str) -> bool:
    module = sys.modules.get(name)
    return module is not None and not getattr(module.__spec__, "_initializing", False)
