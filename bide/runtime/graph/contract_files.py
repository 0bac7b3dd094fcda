"""Files of contracts beside DAG files: `contracts/*.toml`, each told and left as it was when it is broken.

A file says what it says from its reading on; one that is gone says nothing. One contract an edge over
all files that are read together.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bide.runtime.assets.declarations import Said, Sources, declared, put
from bide.runtime.assets.toml import read
from bide.runtime.errors import GraphError

FOLDER: Final = "contracts"


def contract_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files of contracts that belong to DAG files and folders: those in a `contracts` folder in or beside
    a folder, or beside a file; a `.toml` that is named, and all of a folder that is itself named `contracts`.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        place = path.resolve()
        if place.is_dir():
            folders = [place] if place.name == FOLDER else [place / FOLDER, place.parent / FOLDER]
        elif place.suffix == ".toml":
            found[place] = None
            continue
        else:
            folders = [place.parent / FOLDER]
        for folder in folders:
            if folder.is_dir():
                found.update(dict.fromkeys(sorted(each for each in folder.glob("*.toml") if each.is_file())))
    return list(found)


def read_contracts(paths: Iterable[str | Path]) -> dict[str, str]:
    """Take what the files of contracts say now; file -> sentence of those that cannot be taken.

    Those of folders that were read before and are gone say nothing any more.
    """
    files = contract_files(paths)
    errors: dict[str, str] = {}
    said: Sources = {}
    for file in files:
        try:
            said[str(file)] = stated(file)
        except GraphError as error:
            errors[str(file)] = str(error)
    folders = {file.parent for file in files} | {Path(path).resolve() / FOLDER for path in paths}
    for source in [each for each in declared() if each.endswith(".toml")]:
        if Path(source).parent in folders and not Path(source).exists():
            said[source] = Said()
    errors.update(_twice(said, _near(paths)))
    for source, each in said.items():
        if source not in errors:
            put(source, each)
    return errors


def stated(file: Path) -> Said:
    """What one file says; `GraphError` with the place of what is wrong."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(f"{file}: it cannot be read: {error}") from None
    return read(text, str(file))


def _near(paths: Iterable[str | Path]) -> Sources:
    """What modules in and below the folders that are read have declared."""
    folders = [path if path.is_dir() else path.parent for path in (Path(each).resolve() for each in paths)]
    return {
        source: said
        for source, said in declared().items()
        if source.endswith(".py") and any(Path(source).is_relative_to(folder) for folder in folders)
    }


def _twice(said: Sources, modules: Sources) -> dict[str, str]:
    """The files whose contract of an edge is the second one."""
    first: dict[tuple[str, str], str] = {}
    for source, each in modules.items():
        for edge in each.contracts:
            first.setdefault(edge, source)
    errors: dict[str, str] = {}
    for source, each in said.items():
        for edge in each.contracts:
            other = first.setdefault(edge, source)
            if other != source and source not in errors:
                errors[source] = (
                    f"{source}: there is a contract of {edge[0]!r} on {edge[1]!r} in {other} as well: one "
                    "contract an edge, so put what both require into one; the other is kept"
                )
    return errors
