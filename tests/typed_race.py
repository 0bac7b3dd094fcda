"""Two threads read one type for the first time at once, type after type. Run as a process: it may die of it.

python -m tests.typed_race ROUNDS bide|msgspec
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import msgspec

from bide.runtime import typed

DATA = b'{"x": [{"a": 1, "b": {"k": [1]}}], "y": {"q": {"a": 3}}, "z": [{"c": ["s"]}]}'
SOURCE = """
from __future__ import annotations
import msgspec

class Inner(msgspec.Struct, frozen=True):
    a: int = 1
    b: dict[str, list[int]] | None = None
    c: tuple[str, ...] = ()

class Outer(msgspec.Struct, frozen=True):
    x: tuple[Inner, ...] = ()
    y: dict[str, Inner] | None = None
    z: list[Inner] | None = None
"""
PROGRAM = compile(SOURCE, "fresh", "exec")


def fresh() -> types.ModuleType:
    """A module with types that nobody has looked at."""
    module = sys.modules["fresh"] = types.ModuleType("fresh")
    exec(PROGRAM, module.__dict__)
    return module


def main() -> None:
    rounds = int(sys.argv[1])
    reads: dict[str, Callable[[Any], Any]] = {
        "bide": lambda kind: typed.decode(DATA, kind),
        "msgspec": lambda kind: msgspec.json.decode(DATA, type=kind),
    }
    read = reads[sys.argv[2]]
    sys.setswitchinterval(1e-6)
    for _ in range(rounds):
        module = fresh()
        found: list[Any] = []
        both = threading.Barrier(2)

        def first(
            module: types.ModuleType = module, both: threading.Barrier = both, found: list[Any] = found
        ) -> None:
            both.wait()
            found.append(read(module.Outer))

        threads = [threading.Thread(target=first) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [(one.x[0].a, one.z[0].c) for one in found] == [(1, ("s",))] * 2


if __name__ == "__main__":
    main()
