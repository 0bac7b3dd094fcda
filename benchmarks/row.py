"""`python -m benchmarks.row NAME bide|limit`: one measurement in a process of its own, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.catalogue import ROWS


def main() -> None:
    _, name, side = sys.argv
    row = ROWS[name]
    program = row.bide if side == "bide" else row.limit
    print(json.dumps(asyncio.run(program())))


if __name__ == "__main__":
    main()
