"""What the commands share: their options, and how a question is put to whoever holds the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar

from cyclopts import Parameter

from bide.runtime.cli.output import note, print_json, write
from bide.runtime.clock import SystemClock
from bide.runtime.service.doors import Doors
from bide.runtime.service.places import database, settings

T = TypeVar("T")
Db = Annotated[
    str | None, Parameter(help="The database; without it BIDE_DB, else the project's .bide/bide.db.")
]
Json = Annotated[bool, Parameter(negative="", help="JSON on stdout, with stable keys.")]
Params = Annotated[
    list[str] | None, Parameter(name="--param", negative="", help="A parameter, k=v; repeatable.")
]
Date = Annotated[str | None, Parameter(help="The logical date, such as 2026-06-15; read in the DAG's zone.")]
Run = Annotated[str, Parameter(help="The run: its number; `bide runs` lists them.")]
RunOrTask = Annotated[str, Parameter(help="The run, 3; or one task of it, 3/load.")]
Task = Annotated[str | None, Parameter(help="The task, where RUN names none; load[2] when it is mapped.")]
MapIndex = Annotated[
    int | None, Parameter(help="One instance of a mapped task, counted from 0: TASK[INDEX].")
]
Dag = Annotated[str, Parameter(help="The DAG: its name, or a TARGET such as pipeline.py:orders.")]
Wait = Annotated[str, Parameter(help="The wait: its number; `bide waits` lists them.")]
Slots = Annotated[int | None, Parameter(help="How many tasks may run at once.")]


def dag_name(text: str) -> str:
    """A DAG's name as it is, or the name of the one DAG of a TARGET."""
    if ":" not in text and not text.endswith(".py"):
        return text
    from bide.runtime.cli.targets import one_dag

    return one_dag(text).name


def asked(db: str | None, question: Callable[[Doors], Awaitable[T]]) -> T:
    """Open the door to the database, ask, close it."""
    from bide.runtime.service.session import doors

    async def ask() -> T:
        async with doors(database(settings(db=db)), SystemClock()) as open_doors:
            return await question(open_doors)

    return asyncio.run(ask())


ASLEEP: Final = (
    "no runtime holds this database, so nothing of it moves yet: start `bide serve`, or `bide run` the DAG"
)


def done(db: str | None, json: bool, act: Callable[[Doors], Awaitable[Any]], starts: bool = False) -> int:
    """Carry out a command and say so. `starts`: it wants something to run, so nobody to run it is said."""

    async def carry_out(ops: Doors) -> tuple[Any, bool]:
        return await act(ops), ops.held

    came, held = asked(db, carry_out)
    if json:
        print_json(came)
    else:
        write(came.done)
        if starts and not held:
            note(ASLEEP)
    return 0
