"""How the end of a body becomes an input: the output, or a failure with its class paths and log."""

from __future__ import annotations

import traceback
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final

from bide.runtime.clock import LONGEST, SECOND, span_us
from bide.runtime.engine.messages import Failure
from bide.runtime.errors import BideError, FailTask, PayloadError, SkipTask
from bide.runtime.executor.job import CannotIsolate
from bide.runtime.values import redactor

MESSAGE_LIMIT: Final = 1_000
_OURS: Final = str(Path(__file__).parent)


class ProcessFailed(BideError):  # noqa: N818 - what `retry_on` names reads as what happened
    """A process or command ended otherwise than well. `exit_status` is negative for a signal."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class Told(Exception):  # noqa: N818 - carries an end that was told, it is none of its own
    """How the body ended over there, when it did not succeed."""

    def __init__(self, failure: Failure, skipped: bool, cuts: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.skipped = skipped
        self.downstream = cuts


def failure_of(error: BaseException, *, final: bool = False) -> Failure:
    """The failure that stands for `error`: one redacted line, its class paths, what it asks for.

    >>> failure_of(ValueError("no rows")).message
    'ValueError: no rows'
    """
    return Failure(
        message=one_line(error),
        mro=class_paths(error),
        final=final or isinstance(error, FailTask | PayloadError | CannotIsolate),
        retry_after_us=retry_after_us(error),
    )


def class_paths(error: BaseException) -> tuple[str, ...]:
    """`("builtins.KeyError", "builtins.LookupError", ...)`, most derived first."""
    return tuple(f"{c.__module__}.{c.__qualname__}" for c in type(error).__mro__ if c is not object)


def one_line(error: BaseException) -> str:
    """The error on one line, redacted and cut. An error of ours or a signal speaks for itself."""
    try:
        text = " ".join(str(error).split())
    except Exception as broken:  # noqa: BLE001 - an exception whose own __str__ raises
        text = f"(its text cannot be read: {type(broken).__name__})"
    name = type(error).__name__
    if not isinstance(error, BideError | FailTask | SkipTask):
        text = f"{name}: {text}" if text else name
    text = redactor(text or name)
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


def retry_after_us(error: BaseException) -> int | None:
    """The exception's `retry_after`, seconds or a timedelta, as microseconds; None without a sane one."""
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, timedelta):
        return max(0, span_us(min(asked, LONGEST)))
    if isinstance(asked, int | float) and not isinstance(asked, bool) and 0 <= asked < 10**9:
        return int(asked * SECOND)
    return None


def user_traceback(error: BaseException) -> str:
    """The traceback from the first frame of the author's code on, causes included."""
    cut: TracebackType | None = error.__traceback__
    while cut is not None and cut.tb_frame.f_code.co_filename.startswith(_OURS):
        cut = cut.tb_next
    whole = error.__traceback__
    try:
        return "".join(traceback.format_exception(type(error), error, cut or whole)).rstrip()
    except Exception as broken:  # noqa: BLE001 - as above: its text cannot be read
        return f"{type(error).__name__} (its traceback cannot be written: {type(broken).__name__})"
