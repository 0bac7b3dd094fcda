"""What every door offers on actions on many runs, DAGs or waits: in this process, or over the socket."""

from __future__ import annotations

from typing import Any, Protocol

from bide.runtime.service.action_shapes import ActionAsked, ActionShown
from bide.runtime.service.route import Number, Text, get, post


class ActionDoors(Protocol):
    """One thing done to all that a filter finds."""

    @post("/runs/actions", kept=True)
    async def runs(
        self,
        action: str,
        dag: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        since: str | None = None,
        until: str | None = None,
        expect: Number | None = None,
        dry_run: bool = False,
        whole: bool = False,
        reason: Text = "",
        task: str | None = None,
        to: str | None = None,
        downstream: bool = False,
        task_state: str | None = None,
    ) -> ActionAsked:
        """Cancel, rerun or mark all runs that a filter finds.

        `action`: cancel (of what is not over) or rerun (of what failed or was cancelled; `whole`: of all that is over,
        every task) or mark (a `task`, `to` success, failed or skipped, with `downstream` all below it, of the runs of `dag` where it
        is not so yet, of those alone where it is in a `task_state` if one is said). `dag` may have * and ?, `state` is one or more with commas, `since` and `until` are logical dates, the
        second one not included. `dry_run` counts them; without it `expect` must be that count, and it is refused when
        another number matches by then. It is carried out in slices after the answer: ask for it by its id.
        """
        ...

    @post("/dags/actions", kept=True)
    async def dags(
        self,
        action: str,
        dag: str,
        expect: Number | None = None,
        dry_run: bool = False,
        reason: Text = "",
    ) -> ActionAsked:
        """Pause or unpause all DAGs whose name matches.

        `action`: pause or unpause; `dag` may have * and ?. `dry_run` counts those that are not so yet; without it
        `expect` must be that count.
        """
        ...

    @post("/waits/actions", kept=True)
    async def waits(
        self,
        action: str,
        dag: str | None = None,
        task: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        what: str | None = None,
        text: str | None = None,
        troubled: bool = False,
        expect: Number | None = None,
        dry_run: bool = False,
        deadline: str | None = None,
        event: Any = None,
        reason: Text = "",
        after: str | None = None,
    ) -> ActionAsked:
        """Look at, extend, satisfy or fail all open waits that a filter finds.

        `action`: look, extend (to a `deadline`: an instant, or `+2h` from the one that each has), satisfy (with an `event`, for
        all the same) or fail (with a `reason`). The filters are those of the open waits: a group's key is one of them. `dry_run`
        counts what matches; without it `expect` must be that count. The waits of schedules can only be looked at, and are
        left out of the others. One action takes 10,000 at most, the oldest; `after` the last of them it takes those behind.
        """
        ...

    @get("/actions/{action}")
    async def show(self, action: str) -> ActionShown:
        """Show how far an action on many has come, and what of it was refused."""
        ...
