"""Files that could not be read: what is said of each, and of the DAGs that are not loaded for it."""

from __future__ import annotations

from collections.abc import Container, Mapping

from bide.runtime.store.facts import dag_files
from bide.runtime.store.writer import StorePort


def told(file: str, why: str) -> str:
    """What is wrong with a file, its name in front, once.

    >>> told("a.py", "a.py:3: this is not Python"), told("a.py", "two DAGs are named 'x'")
    ('a.py:3: this is not Python', "a.py: two DAGs are named 'x'")
    """
    return why if why.startswith(file) else f"{file}: {why}"


def hiding(errors: Mapping[str, str]) -> dict[str, str]:
    """The broken files in which a DAG may stand: not those of contracts."""
    return {file: why for file, why in errors.items() if not file.endswith(".toml")}


async def unread(store: StorePort, loaded: Container[str], errors: Mapping[str, str]) -> dict[str, str]:
    """DAG -> why it is not loaded, of those that the database knows and a broken file may hide."""
    if not errors:
        return {}
    found = await store.read(dag_files)
    return {name: _why(file, errors) for name, file in found.items() if name not in loaded}


def _why(file: str, errors: Mapping[str, str]) -> str:
    if file in errors:
        return told(file, errors[file])
    first = told(*next(iter(errors.items())))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    here = f"{file} did not bring it, and it" if file else "it"
    return f"{here} may stand in a file that could not be read: {first}{more}"
