"""Makes an output again and again in a child, kills it with SIGKILL at a random moment, and looks.

`python -m tests.outputs.killer KIND TARGET KILLS SEED [OPTIONS]`: one JSON line of what was seen. What is
published tells by itself whether it is whole: it begins with its own digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bide import outputs
from bide.outputs import local as _local  # noqa: F401 - here, and not in each child
from tests.outputs.stand_in import StandIn


def content(seed: int, size: int) -> bytes:
    body = random.Random(seed).randbytes(size)
    return hashlib.sha256(body).hexdigest().encode() + body


def is_whole(data: bytes) -> bool:
    return hashlib.sha256(data[64:]).hexdigest().encode() == data[:64]


def make(kind: str, target: str, seed: int, options: dict[str, str]) -> None:
    """One version: a file, a folder of files that all name it, or an object."""
    one = StandIn(Path("/"), attempt=seed)
    data = content(seed, 40_000)
    if kind == "folder":
        with outputs.open(one.ctx, target, folder=True) as out:
            for n in range(5):
                (out.path / str(n)).write_bytes(data)
        return
    with outputs.open(one.ctx, target, options=options or None) as out:
        with out.path.open("wb") as file:
            for at in range(0, len(data), 4096):
                file.write(data[at : at + 4096])
                file.flush()
        out.validate(lambda path: is_whole(path.read_bytes()))


def child(kind: str, target: str, seed: int, options: dict[str, str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        for n in range(100_000):
            make(kind, target, seed * 1000 + n, options)
    finally:
        os._exit(1)


def seen(kind: str, target: Path) -> str:
    if not os.path.lexists(target):
        return "nothing"
    if kind != "folder":
        data = target.read_bytes()
        return hashlib.sha256(data).hexdigest() if is_whole(data) else f"torn: {len(data)} bytes"
    parts = {(target / str(n)).read_bytes() for n in range(5)}
    whole = len(parts) == 1 and len(list(target.iterdir())) == 5 and is_whole(min(parts))
    return hashlib.sha256(min(parts)).hexdigest() if whole else "torn"


def main() -> None:
    kind, target, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    options = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
    shown = Path(options.pop("shown", target))
    dice = random.Random(seed)
    told: dict[str, Any] = {"versions": set(), "torn": [], "stale": 0}
    for n in range(1, kills + 1):
        pid = child(kind, target, n, options)
        time.sleep(dice.uniform(0.002, 0.08) if not options else dice.uniform(0.05, 0.25))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, "it ended before it was killed"
        found = seen(kind, shown)
        (told["torn"].append(found) if found.startswith("torn") else told["versions"].add(found))
        told["stale"] += any(path.name.endswith(".bide-tmp") for path in shown.parent.iterdir())
    make(kind, target, 10**9, options)
    told["left"] = sorted(
        path.name for path in shown.parent.rglob("*") if path != shown and shown not in path.parents
    )
    print(json.dumps({**told, "versions": len(told["versions"])}))


if __name__ == "__main__":
    main()
