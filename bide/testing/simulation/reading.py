"""Reads a script from a file: TOML, JSON, or Python that names a `Script` as `script`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.load import import_file
from bide.testing.simulation.script import Script


def read_script(path: str | Path) -> Script:
    """The script in a file. `NotFoundError` without it, `UsageError` that says where it is wrong."""
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(f"there is no script {str(path)!r}: give a .toml, .json or .py file")
    if file.suffix == ".py":
        return _from_python(file)
    if file.suffix not in (".toml", ".json"):
        raise UsageError(f"the script {file.name!r} is of no kind known here: give a .toml, .json or .py")
    decode = msgspec.toml.decode if file.suffix == ".toml" else msgspec.json.decode
    try:
        return decode(file.read_bytes(), type=Script)
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(f"the script {file.name!r} cannot be read: {error}") from None


def _from_python(file: Path) -> Script:
    script = getattr(import_file(file), "script", None)
    if not isinstance(script, Script):
        raise UsageError(f"{file.name!r} names no script: write `script = Script(tasks={{...}})` in it")
    return script
