"""`bide db`: keep a database safe and small: backup, restore, check, prune."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Database, Db, Json, asked, place
from bide.runtime.cli.output import clean, note, print_json, print_table, stamp, write
from bide.runtime.clock import SystemClock
from bide.runtime.errors import UsageError
from bide.runtime.service.places import database, settings

if TYPE_CHECKING:
    from bide.runtime.service.doors import Doors
    from bide.runtime.store.backup import Progress

app = App(name="db", help="The database itself: backup, restore, check, prune.")


@app.command
def backup(
    to: Annotated[
        str | None,
        Parameter(help="A file, or a folder for one with a dated name; backups/ beside the database."),
    ] = None,
    /,
    *,
    fast: Annotated[
        bool, Parameter(negative="", help="Prove the copy's structure, not the whole of its journal.")
    ] = False,
    db: Database = None,
    json: Json = False,
) -> int:
    """Copy the database while it is in use, prove the copy good, and only then give it its name."""
    from bide.runtime.service import keeping

    target = None
    if to is not None:
        target = Path(to + ("/" if to.endswith("/") else "")).expanduser()
        if to.endswith("/"):
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with shown("copying") as progress:
        made = keeping.backup(database(settings(db=db)), target, SystemClock(), fast=fast, progress=progress)
    if json:
        print_json(made)
        return 1 if made.wrong else 0
    write(
        f"{made.file}: {_size(made.bytes)}, {made.runs} runs, as of {stamp(made.taken_at)}, proved ({made.proved})"
    )
    for one in made.wrong[:20]:
        note(clean(f"the database does not hold, and neither does its copy: {one}"))
    return 1 if made.wrong else 0


@app.command
def restore(
    backup: Annotated[str, Parameter(help="The backup: a file that `bide db backup` made.")],
    /,
    *,
    anyway: Annotated[
        bool,
        Parameter(negative="", help="Though an invariant does not hold in it; never one that is damaged."),
    ] = False,
    db: Database = None,
    json: Json = False,
) -> int:
    """Put a backup in the place of the database; refused while a service runs. The old one stays beside it.

    Runs that were going when the backup was taken are taken up again by the next start; what happened
    since is gone, and said.
    """
    from bide.runtime.service import keeping

    with shown("copying") as progress:
        done = keeping.restore(
            database(settings(db=db)),
            Path(backup).expanduser(),
            SystemClock(),
            anyway=anyway,
            progress=progress,
        )
    if json:
        print_json(done)
        return 0
    write(
        f"{done.db} is as it was at {stamp(done.taken_at)}: {done.runs} runs, {done.unfinished} of them unfinished"
    )
    from bide.runtime.engine.explain import span_words

    write(f"lost: what happened in the {span_words(int(done.lost_s * 1e6))} since then{_since(done.since)}")
    if done.kept is not None:
        write(f"kept: the database that stood there is {done.kept}")
    if done.unfinished:
        write("the next start takes up what was going")
    return 0


@app.command
def check(
    *,
    full: Annotated[
        bool, Parameter(negative="", help="Read every index too, replay the whole journal, compare the logs.")
    ] = False,
    db: Database = None,
    json: Json = False,
) -> int:
    """Check the database, its invariants and its files; exit 1 when something is wrong. Changes nothing."""
    from bide.runtime.service import keeping

    found = keeping.check(database(settings(db=db)), full=full)
    if json:
        print_json(found)
        return 0 if found.ok else 1
    for one in found.wrong[:50]:
        write(clean(f"BAD  {one.what}: {one.found}"))
        write(clean(f"     {one.advice}"))
    if len(found.wrong) > 50:
        note(f"and {len(found.wrong) - 50} more: --json has them all")
    if found.ok:
        write(
            f"ok   {found.db}: schema {found.schema}, {found.runs} runs, {_size(found.bytes)}, all holds ({found.how})"
        )
    return 0 if found.ok else 1


@app.command
def prune(
    *,
    keep: Annotated[
        str | None, Parameter(help="Runs that ended longer ago go: 90d. Without it what is configured.")
    ] = None,
    last: Annotated[int | None, Parameter(help="But the newest so many of each DAG.")] = None,
    audit_older_than: Annotated[
        str | None,
        Parameter(help="Lines of the audit log that are older go: 400d. Without it what is configured."),
    ] = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Do it on a copy beside the database, and say what went.")
    ] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Remove runs that ended long ago with all that is theirs, and what else is as old. Never what still lives.

    A service may run: it goes on meanwhile, the work is done in slices. `[tool.bide.retention]` says what is
    kept, of each DAG too.
    """
    import msgspec

    from bide.runtime.service.retaining import on_a_copy, to_the_end
    from bide.runtime.service.retaining_doors import Pruned
    from bide.runtime.service.session import doors

    config = place(db)
    kept = config.retention
    audit = audit_older_than or kept.audit
    span, newest = keep or kept.keep, kept.last if last is None else last
    dags = {} if keep or last is not None else msgspec.to_builtins(kept.dags)
    if dry_run and config.url is not None:
        raise UsageError("a dry run is done on a copy, beside the database: ask there, with --db")

    async def go(ops: Doors, said: Callable[[str], None]) -> Pruned:
        async def ask(cursor: str) -> Pruned:
            if cursor:
                return await ops.retaining.prune(cursor=cursor)
            return await ops.retaining.prune(span, newest, dags, audit=audit)

        return await to_the_end(
            ask, lambda so_far: said(f"{so_far.runs} runs, {sum(so_far.removed.values())} rows")
        )

    async def on_copy(said: Callable[[str], None]) -> Pruned:
        with shown("copying") as progress:
            async with (
                on_a_copy(database(config), progress) as copy,
                doors(copy, SystemClock()) as ops,
            ):
                return await go(ops, said)

    with counted("pruning") as said:
        found = asyncio.run(on_copy(said)) if dry_run else asked(db, lambda ops: go(ops, said))
    if json:
        print_json({"dry_run": dry_run, **msgspec.to_builtins(found)})
        return 0
    print_table(
        ("table", "rows"),
        [(table, str(rows)) for table, rows in sorted(found.removed.items())],
        "nothing is that old",
    )
    went = "would go" if dry_run else "went"
    logs = "" if dry_run else f", {found.logs} logs"
    write(
        f"{found.runs} runs {went} (kept: {span}, the newest {newest} of each DAG, audit log {audit}{logs})"
    )
    return 0


@contextmanager
def counted(what: str) -> Iterator[Callable[[str], None]]:
    """How far it is, on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        yield lambda said: status.update(f"{what}: {said}")


@contextmanager
def shown(what: str) -> Iterator[Progress | None]:
    """Progress on stderr when that is a terminal; nothing is shown, and nothing imported, otherwise."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda left, total: bars.update(bar, total=total, completed=total - left)


def _since(since: object) -> str:
    from bide.runtime.store.putting_back import Since

    if not isinstance(since, Since):
        return ""
    return (
        f": {since.runs} runs begun, {since.ended} ended, {since.attempts} attempts, "
        f"{since.delivered} deliveries to the outside"
    )


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
