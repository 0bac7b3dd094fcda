"""DAGs on the terminal: the list of them; of one what it is, what a run of it takes, its tasks by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from bide.runtime.cli.output import clean, stamp
from bide.runtime.service.shapes import DagLine, DagShown, DagTask


def dag_table(found: Sequence[DagLine]) -> tuple[Sequence[str], list[Sequence[str | None]]]:
    """The heads and rows of `bide dags`; a column tells of code that is not loaded, where there is such."""
    heads = ["dag", "schedule", "paused", "next fires at", "last state"]
    rows: list[list[str | None]] = [
        [d.dag, d.schedule, "paused" if d.paused else None, stamp(d.next_fires_at), d.last_state]
        for d in found
    ]
    if any(d.code_error for d in found):
        heads.append("code")
        for row, d in zip(rows, found, strict=True):
            row.append("not loaded" if d.code_error else None)
    return heads, [tuple(row) for row in rows]


def unloaded_lines(found: Sequence[DagLine]) -> Iterator[str]:
    """Why the code of these is not loaded, and what that holds up."""
    for d in found:
        if d.code_error:
            yield clean(f"{d.dag}: {_unloaded(d.code_error)}")


def _unloaded(why: str) -> str:
    return f"its code is not loaded, and what fires waits for it: {why}"


def dag_lines(dag: DagShown) -> Iterator[str]:
    """The lines of `bide dags DAG`."""
    yield f"{dag.dag}: {dag.schedule}, {dag.tz}" + (", paused" if dag.paused else "")
    if dag.doc:
        yield f"  {dag.doc.splitlines()[0]}"
    if dag.code_error:
        yield f"  {_unloaded(dag.code_error)}"
    properties: Mapping[str, Any] = dag.params.get("properties", {})
    for name, schema in properties.items():
        yield f"  param {name}: {param_words(schema)}"
    yield from _tasks(dag.tasks)


def param_words(schema: Mapping[str, Any]) -> str:
    """A parameter in words.

    >>> param_words({"type": "integer", "minimum": 1, "default": 3, "description": "how many"})
    'integer, 1 or more, default 3 (how many)'
    """
    kinds = schema.get("type", "any value")
    words = [" or ".join(kinds) if isinstance(kinds, list) else str(kinds)]
    if "enum" in schema:
        words.append("one of " + ", ".join(_json(each) for each in schema["enum"]))
    for key, text in _BOUNDS:
        if key in schema:
            words.append(text.format(schema[key]))
    words.append(f"default {_json(schema['default'])}" if "default" in schema else "required")
    doc = f" ({schema['description']})" if schema.get("description") else ""
    return ", ".join(words) + doc


_BOUNDS = (
    ("minimum", "{} or more"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "{} or less"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "{} characters or more"),
    ("maxLength", "{} characters or fewer"),
    ("minItems", "{} items or more"),
    ("maxItems", "{} items or fewer"),
    ("pattern", "matching {}"),
)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _tasks(tasks: tuple[DagTask, ...]) -> Iterator[str]:
    """A line a task, indented within its groups."""
    around: list[str] = []
    for task in tasks:
        path = task.group.split(".") if task.group else []
        same = 0
        while same < min(len(path), len(around)) and path[same] == around[same]:
            same += 1
        for depth in range(same, len(path)):
            yield f"  {'  ' * depth}[{'.'.join(path[: depth + 1])}]"
        around = path
        kind = "" if task.does == "task" else f" ({task.does})"
        after = f" after {', '.join(task.upstream)}" if task.upstream else ""
        fails = f" if {', '.join(task.handles)} fails" if task.handles else ""
        yield f"  {'  ' * len(path)}{task.task}{kind}{after}{fails}"
