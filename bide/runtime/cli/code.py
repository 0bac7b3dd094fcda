"""`bide dags code`: the text that a DAG was loaded with, which one a run ran with, and what differs between two."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from bide.runtime.cli.asking import Dag, Db, Json, asked, dag_name
from bide.runtime.cli.output import clean, coloured, note, print_json, print_table, stamp, write
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.code_shapes import CodeLine, CodeShown
from bide.runtime.service.doors import Doors


def code(
    dag: Dag,
    /,
    *,
    version: Annotated[
        str | None,
        Parameter(help="As it was last as this version of the graph; `bide dags versions` lists them."),
    ] = None,
    code: Annotated[str | None, Parameter(help="The code of this number; --list lists them.")] = None,
    run: Annotated[str | None, Parameter(name="--of-run", help="What this run ran with.")] = None,
    diff: Annotated[
        tuple[str, str] | None, Parameter(help="What differs from the first of two codes to the second.")
    ] = None,
    listed: Annotated[
        bool,
        Parameter(name="--list", negative="", help="What it was loaded with, and when, the newest first."),
    ] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Print the text of the file that a DAG was declared in, as it was loaded: the newest, or another."""
    if sum(each is not None for each in (version, code, run, diff)) + listed > 1:
        raise UsageError("--version, --code, --of-run, --diff, --list: one of them at a time")
    name = dag_name(dag)
    if listed:
        return _listed(asked(db, lambda ops: ops.dag_views.codes(name, limit=1_000)), name, json)
    if diff is not None:
        return _differ(*asked(db, lambda ops: _two(ops, name, *diff)), json)
    found = asked(db, lambda ops: _one(ops, name, version, code, run))
    if json:
        print_json(found)
        return 0
    if found.text is None:
        raise NotFoundError(f"the text of {_said(found)} is not kept: {found.missing}")
    note(_said(found))
    print(_shown(found.text), end="")
    return 0


async def _one(ops: Doors, dag: str, version: str | None, code: str | None, run: str | None) -> CodeShown:
    if code is not None:
        return await ops.dag_views.code(dag, code)
    if run is None:
        lines: Sequence[CodeLine] = await ops.dag_views.codes(dag, version, 1)
    else:
        lines = await ops.dag_views.run_code(run)
        if len(lines) > 1:
            note(f"run {run} ran with the codes {', '.join(each.code for each in lines)}: this is the last")
    if not lines:
        what = f"run {run}" if run is not None else dag if version is None else f"version {version} of {dag}"
        raise NotFoundError(
            f"no code of {what} is kept: what a program gave, and what was loaded before bide kept texts, has none"
        )
    return await ops.dag_views.code(dag, lines[-1].code)


async def _two(ops: Doors, dag: str, was: str, now: str) -> tuple[CodeShown, CodeShown]:
    return await ops.dag_views.code(dag, was), await ops.dag_views.code(dag, now)


def _listed(found: Sequence[CodeLine], dag: str, json: bool) -> int:
    if json:
        print_json(found)
        return 0
    rows = [
        (
            each.code,
            stamp(each.loaded_at),
            each.version,
            each.hash[:12],
            (each.source or "-")[:12],
            each.file or "-",
            "now" if each.current else each.missing,
        )
        for each in found
    ]
    heads = ("code", "loaded at", "version", "graph", "text", "file", "")
    print_table(heads, rows, f"no code of {dag} is kept")
    return 0


def _differ(was: CodeShown, now: CodeShown, json: bool) -> int:
    import difflib

    for each in (was, now):
        if each.text is None:
            raise NotFoundError(f"the text of {_said(each)} is not kept: {each.missing}")
    lines = list(
        difflib.unified_diff(
            (was.text or "").splitlines(), (now.text or "").splitlines(), _said(was), _said(now), lineterm=""
        )
    )
    if json:
        print_json({"was": was.code, "now": now.code, "diff": lines})
    elif not lines:
        note(f"the texts of {_said(was)} and of {_said(now)} are the same")
    else:
        colour = coloured()
        for line in lines:
            write(_painted(_shown(line), colour))
    return 0


_COLOURS = {"-": "31", "+": "32", "@": "36"}


def _painted(line: str, colour: bool) -> str:
    style = _COLOURS.get(line[:1])
    return f"\x1b[{style}m{line}\x1b[0m" if colour and style else line


def _shown(text: str) -> str:
    """A text as it is; on a terminal without what would drive it."""
    if not sys.stdout.isatty():
        return text
    return "".join(each if each in "\n\t" or each.isprintable() else " " for each in text)


def _said(of: CodeShown) -> str:
    return clean(
        f"code {of.code} of {of.dag}, version {of.version}, {of.file or 'no file'}, loaded {stamp(of.loaded_at)}"
    )
