"""Waits across DAGs: whether what an `ExternalTaskSensor` waits for is there, and can ever come true.

Looked at when DAGs are loaded, all of them together. What only a run knows (a template, a callable,
an output) and runs that are started by hand cannot be told, and are accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.errors import BideError
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.spec import DagSpec, TaskSpec
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules import Manual, Schedule

KIND: Final = "external_task"
FIRINGS: Final = 400
"""How many dates of either side are tried before two schedules are said never to meet."""
_MAPPING: Final = ("delta_us", "at", "interval")


class Known(msgspec.Struct, frozen=True):
    """A DAG that can be waited for; `anchor_us` is the instant it was first loaded."""

    spec: DagSpec
    schedule: Schedule
    anchor_us: int
    removed: bool = False


def concerned(dags: Iterable[Dag]) -> set[str]:
    """The names of the DAGs that wait for others and of those they wait for; mostly empty."""
    found: set[str] = set()
    for dag in dags:
        others = {task.sensor.params.get("dag") for task in dag.spec.tasks if task.sensor and _waits(task)}
        if others:
            found |= {dag.name, *(other for other in others if isinstance(other, str))}
    return found


def refused(
    dags: Sequence[Dag], loaded: Iterable[Dag], stored: Mapping[str, Known], now_us: int
) -> dict[str, str]:
    """DAG -> why it must not be loaded, one sentence; of `dags` those alone that wait in vain.

    `loaded` are all DAGs there are in code now, `stored` those that the database knows.
    """
    known = dict(stored)
    for dag in (*loaded, *dags):
        before = stored.get(dag.name)
        known[dag.name] = Known(dag.spec, dag.schedule, before.anchor_us if before else now_us)
    found: dict[str, str] = {}
    for dag in dags:
        tried: dict[Any, str] = {}
        for task in dag.spec.tasks:
            if not _waits(task):
                continue
            wait = _Wait(dag, task, known, now_us)
            if wait.key not in tried:
                tried[wait.key] = wait.wrong()
            if tried[wait.key]:
                found[dag.name] = tried[wait.key]
                break
    return found


def _waits(task: TaskSpec) -> bool:
    return task.sensor is not None and task.sensor.trigger == KIND


class _Wait:
    """One sensor and what it waits for."""

    def __init__(self, dag: Dag, task: TaskSpec, known: Mapping[str, Known], now_us: int) -> None:
        assert task.sensor is not None
        self.dag, self.task, self.known, self.now_us = dag, task, known, now_us
        self.params = task.sensor.params
        self.other, self.wanted = self.params.get("dag"), self.params.get("task")
        how = tuple(repr(self.params.get(key)) for key in _MAPPING)
        own = task.name if self.other == dag.name else ""
        self.key = (self.other, self.wanted, *how, own)
        """Sensors of one key have one answer."""

    def wrong(self) -> str:
        """Why it waits in vain, "" when it does not, or when that cannot be told."""
        if not isinstance(self.other, str):
            return ""
        target = self.known.get(self.other)
        who = f"the sensor {self.task.name!r} of the DAG {self.dag.name!r} waits for"
        if target is None:
            near = suggestion(self.other, self.known)
            return (
                f"{who} the DAG {self.other!r}, and there is none of that name, loaded or in the "
                f"database{near or ': load its file as well, or correct the name'}"
            )
        if target.removed:
            return (
                f"{who} the DAG {self.other!r}, which was removed (its file is gone, or no longer "
                "declares it): load it again, or take the sensor away"
            )
        names = [task.name for task in target.spec.tasks]
        if self.wanted is not None and self.wanted not in names:
            near = suggestion(str(self.wanted), names) or f": it has {', '.join(names[:10])}"
            return f"{who} the task {self.wanted!r} of the DAG {self.other!r}, which has no such task{near}"
        return self._on_itself(who, target) or self._never(who, target)

    # --- itself -----------------------------------------------------------------------------------

    def _on_itself(self, who: str, target: Known) -> str:
        if self.other != self.dag.name:
            return ""
        if self.wanted is not None and self.wanted not in self._downstream():
            return ""
        same = (
            self.params.get("cover")
            or not any(self.params.get(key) for key in _MAPPING)
            or any(self._mapped(date) == date for date in _dates(target, self.now_us))
        )
        if not same:
            return ""
        what = "the end of its own run" if self.wanted is None else f"{self.wanted!r}, which stands after it"
        if self.wanted == self.task.name:
            what = "itself"
        return f"{who} {what}: neither would ever go on; give a negative delta= to wait for an earlier run"

    def _downstream(self) -> set[str]:
        """The sensor itself and everything that stands after it."""
        below: dict[str, list[str]] = {}
        for task in self.dag.spec.tasks:
            for up in task.upstream:
                below.setdefault(up, []).append(task.name)
        found, left = {self.task.name}, [self.task.name]
        while left:
            for name in below.get(left.pop(), ()):
                if name not in found:
                    found.add(name)
                    left.append(name)
        return found

    # --- schedules --------------------------------------------------------------------------------

    def _never(self, who: str, target: Known) -> str:
        own = self.known[self.dag.name]
        if isinstance(own.schedule, Manual) or isinstance(target.schedule, Manual):
            return ""
        if self.params.get("cover"):
            return ""  # which runs cover what is known when they are there
        if any(part.event for each in (own, target) for part in each.schedule.parts()):
            return ""  # their dates are those of the events to come
        try:
            met = self._meet(own, target)
            nearest = "" if met else self._nearest(own, target)
        except (BideError, OverflowError, ValueError):  # beyond the calendar, or filled in by the run
            return ""
        if met:
            return ""
        return (
            f"{who} {self.other!r} of a date that it never has: {self.dag.name!r} runs "
            f"{own.schedule.describe()}, {self.other!r} {target.schedule.describe()}; "
            f"{nearest or 'give delta=, at= or interval= so that they meet, or change a schedule'}"
        )

    def _meet(self, own: Known, target: Known) -> bool:
        """Whether a date of this DAG's is mapped to one of the other's: tried from either side."""
        fixed = self.params.get("at") is not None
        shift, none_due = 0, True
        for date in islice(_dates(own, self.now_us), 1 if fixed else FIRINGS):
            none_due = False
            wanted = self._mapped(date)
            if wanted is None or _first_date(target, wanted) == wanted:
                return True
            shift = wanted - date
        if fixed or none_due:
            return none_due
        back = shift if self.params.get("interval") is None else 0
        for theirs in _dates(target, self.now_us):
            first = _first_date(own, theirs - back)
            if first is not None and self._mapped(first) == theirs:
                return True
        return False

    def _nearest(self, own: Known, target: Known) -> str:
        """The delta that would do, when one does for all of the next dates."""
        if any(self.params.get(key) for key in ("at", "interval")):
            return ""
        deltas: set[int] = set()
        for date in islice(_dates(own, self.now_us), 10):
            start, _ = target.schedule.interval_for(date, self.now_us, target.anchor_us)
            if _first_date(target, start) != start:
                return ""
            deltas.add(start - date)
        if len(deltas) != 1:
            return ""
        seconds = deltas.pop() // 1_000_000
        unit, size = next(
            (unit, size)
            for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
            if seconds % size == 0
        )
        return f"delta=timedelta({unit}={seconds // size}) is the run before"

    def _mapped(self, date_us: int) -> int | None:
        """The date that the run of `date_us` waits for; None when only a run can tell."""
        at = self.params.get("at")
        if at is not None and (not isinstance(at, int | str) or (isinstance(at, str) and "{" in at)):
            return None
        build = self.dag.code[self.task.name].build if self.task.name in self.dag.code else None
        if build is None:
            return None
        facts = Facts(
            dag=self.dag.name, task=self.task.name, run_id=0, logical_us=date_us, start_us=date_us,
            end_us=date_us, scheduled_us=date_us, tz=self.dag.tz,
        )  # fmt: skip
        from_us(date_us)  # raises beyond the calendar
        mapped = getattr(build(self.params, facts), "logical_us", None)
        return mapped if isinstance(mapped, int) else None


def _dates(dag: Known, now_us: int) -> Iterator[int]:
    """The logical dates of its next firings."""
    at = now_us
    for _ in range(FIRINGS):
        firing = dag.schedule.next_after(at, dag.anchor_us)
        if firing is None:
            return
        yield firing.start_us
        at = firing.fires_us


def _first_date(dag: Known, not_before_us: int) -> int | None:
    """The first logical date at or after an instant."""
    firing = dag.schedule.next_after(not_before_us, dag.anchor_us)
    while firing is not None and firing.start_us < not_before_us:
        firing = dag.schedule.next_after(firing.fires_us, dag.anchor_us)
    return None if firing is None else firing.start_us
