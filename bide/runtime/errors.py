"""Every error that bide raises at its doors, in one small tree; each knows the exit code it ends in.

A message says what was asked, what was found and what to do next. Exit codes are those of the
terminal (`bide --help`): 1 the run failed, 2 usage, 3 not found, 4 refused, 5 out of reach,
6 gave up waiting, 130 interrupted, as shells say.
"""

from __future__ import annotations

from typing import Final

INTERRUPTED: Final = 130


class BideError(Exception):
    """The root: catching it catches everything bide raises on purpose."""

    exit_code = 1


class UsageError(BideError, ValueError):
    """What was typed or written cannot be meant: a wrong option, file, schedule, template, JSON."""

    exit_code = 2


class GraphError(UsageError):
    """A DAG that cannot be: a cycle, a duplicate name, an unknown upstream, a wrong option."""


class ScheduleError(UsageError):
    """A schedule that cannot be read; the message points at the field.

    `at` is where in the text: (text, first column, the column after the last); None where it is all of it.
    """

    at: tuple[str, int, int] | None = None


class NotFoundError(BideError, LookupError):
    """No such DAG, run, task, wait or database."""

    exit_code = 3


class RefusedError(BideError):
    """Understood, and not done: in conflict with what is, or against a policy. Nothing changed."""

    exit_code = 4


class NotNowError(RefusedError):
    """Refused for now (HTTP 503): there is no room on the disk, or the runtime is stopping. Ask again; nothing changed."""


class ChangedError(RefusedError):
    """What an edit was meant for has changed since it was seen (HTTP 412). Nothing changed."""


class UnreachableError(BideError, ConnectionError):
    """The service that should answer does not."""

    exit_code = 5


class GaveUpError(BideError, TimeoutError):
    """The time limit of a call passed; what was waited for goes on."""

    exit_code = 6


class StoreError(BideError):
    """The database cannot be used as it is: not SQLite, a newer schema, read-only, damaged."""

    exit_code = 4


class StoreHeldError(StoreError):
    """Another runtime holds the database's lock; the message names it (P7)."""


class StoreFullError(StoreError):
    """No room or a busy file: the batch is retried, new commands are refused, nothing is lost (P13)."""


class StoreLostError(StoreError):
    """The outcome of a commit is unknown (I/O error, damage): the runtime has stopped (P13).

    What was acknowledged before is in the database. Open it again to go on.
    """

    exit_code = 1


class PayloadError(UsageError):
    """A value that is not JSON, or larger than the limit; the message says what to do instead."""


class WaitTimedOut(BideError, TimeoutError):  # noqa: N818 - what authors catch reads as what happened
    """A wait within a task passed its time limit; raised where the body awaits it."""

    exit_code = 6


class WaitBroken(BideError):  # noqa: N818 - as above
    """A wait within a task can never come true, by the judgement of its trigger or its source."""


class OutputError(BideError):
    """An output of a task is not published: not written, refused by a check, or out of reach."""


class SkipTask(Exception):  # noqa: N818 - a signal that a task raises, not an error
    """Raise it in a task to end it `skipped`, with the reason given; `bide.Skip` is the same.

    What stands downstream follows its trigger rules. With `downstream=True` all of it that has not
    started is skipped, whatever the rules say; tear-downs excepted.
    """

    def __init__(self, reason: str = "", *, downstream: bool = False) -> None:
        super().__init__(*([reason] if reason else []))
        self.downstream = downstream


Skip = SkipTask


class FailTask(Exception):  # noqa: N818 - a signal that a task raises, not an error
    """Raise it in a task to end it `failed` at once: the retry budget is not spent."""
