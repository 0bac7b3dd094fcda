"""`@dag`: a function's body becomes a graph, at once, when its module is imported."""

from __future__ import annotations

import hashlib
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import msgspec

from bide.runtime.errors import BideError, GraphError
from bide.runtime.graph.building import Body, in_body
from bide.runtime.graph.code import Code
from bide.runtime.graph.handlers import CALLBACKS
from bide.runtime.graph.picture import flowchart
from bide.runtime.graph.policy import policy_fields
from bide.runtime.graph.source import Source
from bide.runtime.graph.spec import DagSpec, Role
from bide.runtime.graph.teardowns import settle
from bide.runtime.graph.validate import check_graph, check_name
from bide.runtime.schedules import Manual, Schedule, Within
from bide.runtime.schedules.promise import Promise


class DagOptions(TypedDict, total=False):
    """The options of `@dag`."""

    name: str
    schedule: Schedule
    start: datetime | str | None  # no firing before; naive: in the DAG's zone
    end: datetime | str | None  # no firing from here on
    tz: str | None  # the DAG's zone; else its schedule's, else UTC
    catchup: str | Within  # missed firings: "latest", "all", "none", within(timedelta)
    catchup_cap: int | None  # of "all" and within: so many at most, the newest
    max_active_runs: int
    max_active_tasks: int | None
    max_active_backfill_runs: int | None  # of all its backfills together; live runs are counted apart
    overlap: str | None  # due while others run: "queue_all", "queue_one", "skip", "cancel_running"
    backfill_window: timedelta | None  # how far back catchup reaches
    deadline: timedelta | None  # of a run, from its creation
    deadline_alert: (
        Promise | timedelta | None
    )  # a run is late by then: by("05:45"), or a span from its creation
    on_pause: str  # its waits: "freeze" their deadlines, or let them "run"
    on_all_failed: object  # a task or a call, once, when all has ended and something failed
    on_success: object  # likewise, when nothing failed
    owner: str
    tags: Iterable[str]
    params: Mapping[str, Any]  # defaults of the run's parameters, JSON
    doc: str
    shadow: bool  # its runs compute, stage and check, and publish nothing


class Dag:
    """A declared graph: its plain data and its code.

    Made by `@dag`, or by `Dag(spec, code=...)`. Calling it returns itself.
    """

    def __init__(
        self,
        spec: DagSpec,
        *,
        code: Mapping[str, Code],
        schedule: Schedule | None = None,
        options: Mapping[str, Any] | None = None,
        file: Path | None = None,
    ) -> None:
        check_graph(spec)
        self.name = spec.name
        self.spec = spec
        self.code: dict[str, Code] = dict(code)
        self.schedule: Schedule = schedule if schedule is not None else Manual()
        self.options: dict[str, Any] = dict(options or {})
        """What the scheduler keeps to, plain JSON: see `policy.py` for the keys."""
        self.tz = spec.tz
        self.file = file
        """Where it was written, None when that is not a file."""
        self.folder: Path | None = None if file is None else file.parent
        """What relative paths are relative to."""
        self.source: Source | None = None
        """The text that it was read from; None where bide did not read its file."""

    @property
    def encoded(self) -> bytes:
        """The spec as canonical JSON: the same declaration gives the same bytes."""
        return msgspec.json.encode(self.spec, order="sorted")

    @cached_property
    def hash(self) -> str:
        """The version: SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.encoded).hexdigest()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks of the main graph, in the order of their declaration."""
        return tuple([task.name for task in self.spec.tasks if task.role is Role.TASK])

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """(upstream, downstream) by name."""
        return tuple([(up, task.name) for task in self.spec.tasks for up in task.upstream])

    @property
    def failure_edges(self) -> tuple[tuple[str, str], ...]:
        """(task, its failure handler) by name."""
        return tuple([(name, task.name) for task in self.spec.tasks for name in task.handles])

    @property
    def callbacks(self) -> dict[str, str]:
        """The callbacks of the whole graph: `on_all_failed`, `on_success` -> the name of its task."""
        return {task.role.value: task.name for task in self.spec.tasks if task.role in CALLBACKS}

    def __call__(self) -> Dag:
        return self

    def __repr__(self) -> str:
        count = len(self.tasks)
        return f"<dag {self.name!r}: {count} task{'' if count == 1 else 's'}, {self.schedule.describe()}>"

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart, a subgraph for each group."""
        return flowchart(self.spec.tasks)

    def _repr_html_(self) -> str:
        return f'<pre class="mermaid">{self.mermaid()}</pre>'


@overload
def dag(body: Callable[[], object], /) -> Dag: ...
@overload
def dag(**options: Unpack[DagOptions]) -> Callable[[Callable[[], object]], Dag]: ...
def dag(body: Any = None, /, **options: Any) -> Any:
    """Make a DAG of a function's body, bare or with options; the decorated name is a `Dag`.

    The body runs once, at once: calls of tasks in it make nodes. Raises `GraphError`, with file and
    line, for a body that raises, a cycle, a wrong option.
    """
    if body is not None:
        return _build(body, options)
    return lambda wrapped: _build(wrapped, options)


def _build(fn: Callable[[], object], options: Mapping[str, Any]) -> Dag:
    if not inspect.isfunction(fn):
        raise GraphError(f"@dag is for functions, not for {fn!r}")
    name = options.get("name") or fn.__name__
    try:
        check_name(name, "DAG")
        needed = [p.name for p in inspect.signature(fn).parameters.values() if p.default is p.empty]
        if needed:
            raise GraphError(
                f"the body of the DAG {name!r} takes {', '.join(needed)}, and is called with nothing: "
                "give @dag(params=...) and read them in tasks, or give defaults"
            )
        fields, schedule, policy = policy_fields(f"the DAG {name!r}", options)
    except BideError as error:
        raise type(error)(f"{fn.__code__.co_filename}:{fn.__code__.co_firstlineno}: {error}") from error
    body = Body(name)
    _run_body(fn, body, options)
    if not body.nodes:
        raise GraphError(
            f"{fn.__code__.co_filename}:{fn.__code__.co_firstlineno}: the DAG {name!r} has no tasks: "
            "call at least one task in its body"
        )
    file = Path(fn.__code__.co_filename)
    if "doc" not in options:
        fields["doc"] = inspect.getdoc(fn) or ""
    try:
        return _whole(body, fields, schedule, policy, file)
    except GraphError as error:
        raise GraphError(f"{file}:{fn.__code__.co_firstlineno}: {error}") from error


def made_of(body: Body, fill: Callable[[Body], None], options: Mapping[str, Any], file: Path) -> Dag:
    """The DAG of what `fill` declares in a body. `options` are those of `@dag`, without its name."""
    check_name(body.name, "DAG")
    fields, schedule, policy = policy_fields(f"the DAG {body.name!r}", options)
    with in_body(body):
        fill(body)
        _call_back(body, options)
    return _whole(body, fields, schedule, policy, file)


def _call_back(body: Body, options: Mapping[str, Any]) -> None:
    for role in (Role.ON_ALL_FAILED, Role.ON_SUCCESS):
        callback = options.get(role.value)
        if callback is None:
            continue
        if not hasattr(callback, "handler_in"):
            raise GraphError(
                f"the DAG {body.name!r}: {role.value} is {callback!r}, and must be a task or a call of one: "
                f"{role.value}=clean_up, {role.value}=call(clean_up, ...)"
            )
        body.call_back(role, callback)


def _whole(
    body: Body, fields: Mapping[str, Any], schedule: Schedule, policy: Mapping[str, Any], file: Path
) -> Dag:
    settle(body)
    nodes = list(body.nodes.values())
    spec = DagSpec(name=body.name, tasks=tuple([node.spec() for node in nodes]), **fields)
    code = {node.name: node.code for node in nodes}
    for node in nodes:
        node.forget()
    return Dag(
        spec,
        code=code,
        schedule=schedule.in_folder(file.parent) if file.is_absolute() else schedule,
        options=policy,
        file=file if file.is_absolute() and file.suffix == ".py" else None,
    )


def _run_body(fn: Callable[[], object], body: Body, options: Mapping[str, Any]) -> None:
    """Run the body; whatever it raises becomes a `GraphError` with the line it came from."""
    try:
        with in_body(body):
            result = fn()
            if body.nodes:
                _call_back(body, options)
    except Exception as error:
        where = _place(error, fn.__code__.co_filename)
        if isinstance(error, BideError):
            raise GraphError(f"{where}: {error}") from error
        raise GraphError(
            f"{where}: the body of the DAG {body.name!r} raised {type(error).__name__}: {error}"
        ) from error
    if inspect.iscoroutine(result):
        result.close()
        raise GraphError(f"the body of the DAG {body.name!r} is an `async def`: write a plain `def`")


def _place(error: BaseException, filename: str) -> str:
    """`file:line` of the innermost frame of `error` in the author's file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    return f"{filename}:{frames[-1].lineno}" if frames else filename
