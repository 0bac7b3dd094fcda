"""`python -m examples.enforcement_lifecycle`: plays it. Exit code 0 only if all claims hold.

--json         print the claims as JSON, and nothing else
--keep FOLDER  leave the database, the plan and the bundle there, to look at with `bide --db FOLDER/bide.db`
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from examples.enforcement_lifecycle.claims import claims
from examples.enforcement_lifecycle.picture import picture, told
from examples.enforcement_lifecycle.play import Play


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="examples.enforcement_lifecycle", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    args = parser.parse_args(argv)
    console = Console(highlight=False)
    if args.keep is not None and args.keep.exists() and any(args.keep.iterdir()):
        console.print(f"{args.keep} is not empty: name a new folder")
        return 2
    place = args.keep or Path(tempfile.mkdtemp(prefix="enforcement-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        play = Play(place, lambda line: None if args.json else console.print(line, markup=False))
        asyncio.run(play.run())
        found = claims(play)
    finally:
        if args.keep is None:
            shutil.rmtree(place)
    if args.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        console.print(picture(play.seen))
        console.print(told(found))
    return 0 if all(each.holds for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
