"""What the commands share: their options, and how a question is put to whoever holds the database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast

from cyclopts import Parameter

from bide.runtime.cli.output import note, print_json, write
from bide.runtime.clock import SystemClock
from bide.runtime.config import Config
from bide.runtime.service.doors import Doors
from bide.runtime.service.places import database, meant
from bide.runtime.service.wire import token_of

if TYPE_CHECKING:
    from bide.runtime.service.client import Client

T = TypeVar("T")
Database = Annotated[
    str | None, Parameter(help="The database; without it BIDE_DB, else the project's .bide/bide.db.")
]


@dataclass(frozen=True)
class Where:
    """Whom a command asks: whoever holds a database, or the service at an address."""

    db: Database = None
    url: Annotated[
        str | None,
        Parameter(help="A service elsewhere, http://host:port, in place of a database; or BIDE_URL."),
    ] = None
    token_file: Annotated[
        str | None, Parameter(help="The file with the token for --url; without it BIDE_TOKEN has the token.")
    ] = None


Db = Annotated[Where | None, Parameter(name="*")]
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
Most = Annotated[int, Parameter(help="At most so many.")]
Slots = Annotated[int | None, Parameter(help="How many tasks may run at once.")]


def dag_name(text: str) -> str:
    """A DAG's name as it is, or the name of the one DAG of a TARGET."""
    if ":" not in text and not text.endswith(".py"):
        return text
    from bide.runtime.cli.targets import one_dag

    return one_dag(text).name


def place(db: Where | None) -> Config:
    """The configuration of what is asked: its `url` is None where that is a database."""
    at = db or Where()
    return meant(db=at.db, url=at.url, token_file=at.token_file)


def service_at(config: Config) -> Client | None:
    """The service at the address that is meant; None: a database is."""
    from bide.runtime.service.session import elsewhere

    return elsewhere(config.url, token_of(os.environ, config.token_file)) if config.url is not None else None


def asked(db: Where | None, question: Callable[[Doors], Awaitable[T]]) -> T:
    """Open the door to the database, or to the service at an address; ask, close it."""
    from bide.runtime.service.session import doors

    config = place(db)

    async def ask() -> T:
        far = service_at(config)
        if far is not None:
            return await question(cast("Doors", far))
        async with doors(database(config), SystemClock()) as open_doors:
            return await question(open_doors)

    return asyncio.run(ask())


ASLEEP: Final = (
    "no runtime holds this database, so nothing of it moves yet: start `bide serve`, or `bide run` the DAG"
)


def done(db: Where | None, json: bool, act: Callable[[Doors], Awaitable[Any]], starts: bool = False) -> int:
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
