"""A process that forks once a case imports beforehand what each fork would import for itself."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module


def rehearsed(play: Callable[[], object]) -> None:
    """Play it in a fork, then have here what it had imported by its end. One thread and no loop stay what this process has."""
    heard, says = os.pipe()
    if not (pid := os.fork()):
        code = 1
        try:
            play()
            with os.fdopen(says, "w") as out:
                out.write("\n".join(sys.modules))
            code = 0
        finally:
            os._exit(code)
    os.close(says)
    with os.fdopen(heard) as lines:
        names = lines.read().split()
    assert os.waitpid(pid, 0)[1] == 0, "the rehearsal did not come to its end"
    imported(names)


def imported(names: Iterable[str]) -> None:
    """Have these, where they are modules of the path, and let no collection of garbage in a fork touch (and so copy) them."""
    for name in names:
        with contextlib.suppress(ImportError):  # that of a DAG file, which each fork reads for itself
            import_module(name)
    gc.collect()
    gc.freeze()
