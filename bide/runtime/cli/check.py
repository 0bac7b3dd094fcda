"""`bide check`: says what is wrong with DAG files, and what will be regretted. No database is opened."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bide.runtime.cli.asking import Json
from bide.runtime.cli.output import clean, note, print_json, write
from bide.runtime.clock import SystemClock
from bide.runtime.errors import UsageError
from bide.runtime.service.places import settings
from bide.runtime.service.shapes import Finding


def check(
    *paths: Annotated[str, Parameter(help="DAG files, and folders whose *.py files declare DAGs.")],
    json: Json = False,
) -> int:
    """Check DAG files (without any, the `paths` of the configuration): 0 with nothing but warnings, 2 when one cannot be loaded or would be refused."""
    from bide.runtime.service.checking import check as checked

    places = list(paths) or settings().paths
    if not places:
        raise UsageError("check what? name DAG files or folders: `bide check dags/`")
    loaded, found = checked(places, SystemClock().now())
    if json:
        print_json(found)
    else:
        for one in found:
            write(_line(one))
        count = len(loaded.dags)
        wrong = sum(one.level == "error" for one in found)
        note(
            f"{count} DAG{'' if count == 1 else 's'}: {_many(wrong, 'error')}, {_many(len(found) - wrong, 'warning')}"
        )
    return 2 if any(one.level == "error" for one in found) else 0


def _line(one: Finding) -> str:
    where = ".".join(name for name in (one.dag, one.task) if name)
    place = "" if one.file is None or one.file in one.message else f"{one.file}: "
    return clean(f"{one.level}: {place}{f'{where}: ' if where else ''}{one.message} [{one.code}]")


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
