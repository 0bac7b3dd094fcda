"""Claims about what a run did, read from the journal in its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.service.handles import RunHandle
    from bide.runtime.service.runtime import Runtime


def starts_of(rt: Runtime, run: RunHandle | str) -> list[str]:
    """The tasks of a run in the order of their starts, a task once for each attempt."""
    run_id = int(run if isinstance(run, str) else run.run_id)
    with Reader(rt.db) as reader:
        return [attempt.task for attempt in sorted(reader.attempts(run_id), key=lambda one: one.attempt_id)]


def assert_order(rt: Runtime, run: RunHandle | str, *tasks: str) -> None:
    """Assert that these tasks first started in this order; others may have started between.

    assert_order(rt, run, "extract", "load")
    """
    started = list(dict.fromkeys(starts_of(rt, run)))
    missing = [task for task in tasks if task not in started]
    assert not missing, f"never started: {', '.join(missing)}; started were: {', '.join(started) or 'none'}"
    found = [task for task in started if task in tasks]
    assert found == list(tasks), f"started in the order {' > '.join(found)}, not {' > '.join(tasks)}"
