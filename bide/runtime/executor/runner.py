"""The isolated process's side: `python -m bide.runtime.executor.runner FD`, started by the process lane.

It waits for its work on the socket FD, imports the function, runs it in its main thread and tells
the end. When the socket closes (its runtime is gone) it kills its own process group at once.
A process that the body forks or starts has no end of the socket.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from bide.runtime import typed
from bide.runtime.engine.messages import Failure
from bide.runtime.errors import RefusedError, SkipTask, UsageError
from bide.runtime.executor.context import Context, _current
from bide.runtime.executor.ending import failure_of, user_traceback
from bide.runtime.executor.frames import (
    HEAD,
    Ended,
    Logged,
    Message,
    Progressed,
    Recorded,
    Resolved,
    Stepped,
    Work,
    length_of,
    pack,
    unpack,
)
from bide.runtime.executor.job import Job
from bide.runtime.executor.logs import SIZE_LIMIT
from bide.runtime.graph.branching import names_of
from bide.runtime.graph.failure import Failure as TaskFailure
from bide.runtime.values import Secret, decode, encode, redactor

if TYPE_CHECKING:
    from bide.runtime.executor.attempt import Attempt


class Stopped(BaseException):
    """SIGTERM came: the body is unwound, so that its `finally` clauses run."""


class LifeLine:
    """The socket to the runtime. Reading it is one thread's work; writing is anyone's, under a lock."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.set_inheritable(False)
        self._lock = threading.Lock()
        self.cut = False
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """In a fork of this process: an end held there would outlive the body, and mix two speakers."""
        self.cut = True
        self._socket.close()

    def send(self, message: Message) -> None:
        if self.cut:  # the lock may be held by a thread that is not in this process
            raise RefusedError(
                "only the process of the task itself can do this: not one that its body has forked; "
                "do it before the fork, or hand the result back to the body"
            )
        with self._lock:
            self._socket.sendall(pack(message))

    def receive(self) -> Any:
        """The next message. `EOFError` when the runtime is gone."""
        return unpack(self._exactly(length_of(self._exactly(HEAD))))

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)


class RemoteAttempt:
    """The attempt as its context sees it over here: the same names as `Attempt`, other ends."""

    def __init__(self, work: Work, line: LifeLine) -> None:
        self.order = work.order
        self.id = work.order.attempt_id
        self.epoch = work.epoch
        self.job: Job | None = None
        self.over = False
        self.stopping = False
        self.watermark: bytes | None = None
        self.metrics: dict[str, int | float] | None = None
        self.traceparent = work.traceparent
        self._line = line
        self._steps: dict[str, threading.Event] = {}
        self._masked: set[str] = set()
        self._masking = threading.Lock()

    def log(self, text: str, level: str = "INFO") -> None:
        if self._line.cut:
            sys.stdout.write(f"{text}\n")  # is read from there, and logged
            sys.stdout.flush()
            return
        if len(text) > SIZE_LIMIT:  # a whole log has no room for more; its lines are cut once it is redacted
            text = f"{text[:SIZE_LIMIT]} [cut: {len(text) - SIZE_LIMIT} more characters]"
        self._line.send(Logged(level, text))

    @property
    def progress(self) -> None:
        """Written, never read, over here."""

    @progress.setter
    def progress(self, said: tuple[float, float | None]) -> None:
        self._line.send(Progressed(*said))

    def commit_step_from_thread(self, name: str, data: bytes) -> None:
        if name in self._steps:
            raise RefusedError(f"the step {name!r} is already under way in another thread")
        self._ask(name, Stepped(name, data))
        if self.job is not None:
            self.job.recorded_steps[name] = data

    def mask(self, value: str) -> None:
        """Have the runtime mask a secret in all that this process writes, and wait until it does."""
        with self._masking:
            if value not in self._masked:
                self._masked.add(value)
                self._ask("", Resolved(value))

    def _ask(self, name: str, message: Message) -> None:
        answered = self._steps[name] = threading.Event()
        try:
            self._line.send(message)
            answered.wait()
        finally:
            del self._steps[name]

    def recorded(self, name: str) -> None:
        if (step := self._steps.get(name)) is not None:
            step.set()


def main(fd: int) -> None:
    line = LifeLine(fd)
    try:
        work = line.receive()
    except (EOFError, ConnectionError):
        return
    if not isinstance(work, Work):
        raise TypeError(f"expected the work, got {work!r}")
    _restore_environment(work)
    attempt = RemoteAttempt(work, line)
    threading.Thread(target=_listen, args=(line, attempt), name="bide-life-line", daemon=True).start()
    redactor.on_register = attempt.mask
    signal.signal(signal.SIGTERM, lambda number, frame: _stop(attempt, number, frame))
    ended = _run(work, attempt)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    line.send(ended)
    os._exit(0)  # threads that the body left behind must not keep it


def _run(work: Work, attempt: RemoteAttempt) -> Ended:
    failure: Failure | None = None
    output: bytes | None = None
    skipped = cuts = False
    context = Context(cast("Attempt", attempt))
    try:
        _limit_memory(work.order.task.memory_limit)
        fn = _find(work)
        args, kwargs = decode(work.arguments)
        job = Job(
            fn,
            tuple(_argument(value, context) for value in args),
            {key: _argument(value, context) for key, value in kwargs.items()},
            work.facts,
            recorded_steps=work.recorded_steps,
            watermark=work.watermark,
        )
        attempt.job = job
        _current.set(context)
        value = fn(*job.args, **job.kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
        if work.order.task.branch:
            value = names_of(value)
        output = None if value is None else encode(value)
    except SkipTask as error:
        failure, skipped, cuts = failure_of(error), True, error.downstream
    except Stopped as error:
        failure = failure_of(error)
    except BaseException as error:  # noqa: BLE001 - the one place that records how the body ended
        failure = _failure(error, work)
        attempt.log(user_traceback(error), "ERROR")
    attempt.over = True
    return Ended(output, failure, skipped, cuts, attempt.watermark, attempt.metrics)


def _failure(error: BaseException, work: Work) -> Failure:
    failure = failure_of(error)
    limit = work.order.task.memory_limit
    if isinstance(error, MemoryError) and limit is not None:
        return Failure(f"{failure.message}: the memory limit is {limit:,} bytes", failure.mro)
    return failure


def _find(work: Work) -> Any:
    found = _import(work)
    for name in work.qualname.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UsageError(
                f"{work.file or work.module} has no {work.qualname!r} when it is imported in an isolated "
                "process: define the function at the top of its file, whatever the circumstances"
            ) from None
    return getattr(found, "fn", found)


def _import(work: Work) -> Any:
    """The module by its name, or by its file when that is how it was loaded (DAG files are)."""
    import importlib
    import importlib.util
    from pathlib import Path

    from bide.runtime.graph.load import import_file

    private = work.module == "__main__" or work.module.startswith("_bide_")
    if work.file is not None and (private or importlib.util.find_spec(work.module.partition(".")[0]) is None):
        return import_file(Path(work.file))
    return importlib.import_module(work.module)


def _argument(value: Any, context: Context) -> Any:
    if not isinstance(value, dict):
        return value
    if "$context" in value:
        return context
    if "$failure" in value:
        return typed.convert(value["$failure"], TaskFailure)
    if "$failures" in value:
        return typed.convert(value["$failures"], list[TaskFailure])
    return Secret(value["$secret"]) if "$secret" in value else value["$lit"]


def _limit_memory(limit: int | None) -> None:
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _restore_environment(work: Work) -> None:
    sys.path[:] = work.path
    if work.pythonpath is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = work.pythonpath


def _listen(line: LifeLine, attempt: RemoteAttempt) -> None:
    try:
        while True:
            message = line.receive()
            if isinstance(message, Recorded):
                attempt.recorded(message.name)
    except (EOFError, OSError, ValueError):
        os.killpg(0, signal.SIGKILL)


def _stop(attempt: RemoteAttempt, _number: int, _frame: FrameType | None) -> None:
    attempt.stopping = True
    raise Stopped("told to stop")


if __name__ == "__main__":
    main(int(sys.argv[1]))
