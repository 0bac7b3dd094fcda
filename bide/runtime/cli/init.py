"""`bide init`: a project that runs, with a test that passes; nothing that is there is touched."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from bide.runtime.cli.output import write
from bide.runtime.errors import RefusedError, UsageError

_FIRST: Final = {
    "bide.toml": "bide.toml",
    "dags/hello.py": "hello.py.txt",
    "tests/__init__.py": "",
    "tests/test_hello.py": "test_hello.py.txt",
    ".gitignore": "gitignore",
}
_EXAMPLE: Final = {
    "dags/arrivals.py": "arrivals.py.txt",
    "tests/test_arrivals.py": "test_arrivals.py.txt",
    "inbox/.gitkeep": "",
}
_MAY_BE_THERE: Final = {"tests/__init__.py", ".gitignore", "inbox/.gitkeep"}
"""These stay as they are, and hinder nothing."""


def init(
    folder: Annotated[str, Parameter(help="Where; it is made when it is not there.")] = ".",
    /,
    *,
    example: Annotated[
        bool,
        Parameter(
            negative="", help="And a DAG that waits for a file, checks it and keeps a table's versions."
        ),
    ] = False,
) -> int:
    """Write a project that runs: configuration, a DAG, its test."""
    root = Path(folder)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{folder!r} is a file: name a folder, `bide init jobs`")
    wanted = {**_FIRST, **(_EXAMPLE if example else {})}
    there = sorted(name for name in wanted if name not in _MAY_BE_THERE and (root / name).exists())
    if there:
        raise RefusedError(
            f"nothing is written: {', '.join(there)} {'is' if len(there) == 1 else 'are'} there already; "
            "name another folder (`bide init jobs`), or move what is there away"
        )
    made = [name for name, source in wanted.items() if _write(root / name, source)]
    for line in _told(root, made, example):
        write(line)
    return 0


def _write(path: Path, source: str) -> bool:
    """Whether it was not there and is now."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    starter = resources.files("bide.runtime.cli").joinpath("starter")
    path.write_bytes(starter.joinpath(source).read_bytes() if source else b"")
    return True


def _told(root: Path, made: list[str], example: bool) -> list[str]:
    """What was written, and what to type next."""
    here = root.resolve() == Path.cwd()
    lines = [f"wrote {root / name}" for name in made]
    lines += ["", "next:"]
    steps = [
        ("" if here else f"cd {root}", ""),
        ("bide run dags/hello.py", "one run, to its end, with a picture of its graph"),
        ("bide dev", "serve the DAGs of dags/, read again when a file changes"),
        ("pytest", "the tests: days pass in milliseconds"),
        (f"bide schedule dags/{'arrivals' if example else 'hello'}.py", "when it runs, in words"),
    ]
    return lines + [f"  {typed:<32}{why}".rstrip() for typed, why in steps if typed]
