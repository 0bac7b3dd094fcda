"""What every door offers on task instances: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.route import Limit, get
from bide.runtime.service.task_shapes import TaskFound, TaskShown


class TaskDoors(Protocol):
    """Task instances of any run; in a run they are named as people name them, "load", "load[3]"."""

    @get("/tasks", pages="id")
    async def listed(
        self,
        run: str | None = None,
        dag: str | None = None,
        task: str | None = None,
        state: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: Limit = 100,
        before: str | None = None,
    ) -> list[TaskFound]:
        """List task instances of all runs by filter, those of the newest run first.

        `dag` and `task` may have * and ?, `state` is one or more with commas; `since` and `until` are logical dates, the second
        one not included. Without any of them those of unfinished runs are listed; runs further back than the newest 10,000
        that match are not looked at.
        """
        ...

    @get("/runs/{run}/tasks/{task}")
    async def show(self, run: str, task: str) -> TaskShown:
        """Show a task of a run: its attempts, waits, inputs and result, and the tasks beside it."""
        ...
