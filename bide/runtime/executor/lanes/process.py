"""The process lane: a plain function in a Python process of its own, killable, with a memory limit.

The function goes over as a reference (file or module, and name) and is imported there; arguments
and results are JSON. The child's end of the one socket between the two is its life line. The lane
waits for the process and for what it says at once: neither can keep it when the other is over.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from types import FunctionType
from typing import Any, Final

import msgspec

from bide.runtime.errors import PayloadError
from bide.runtime.executor.attempt import Attempt, Fenced
from bide.runtime.executor.context import Context
from bide.runtime.executor.ending import ProcessFailed, Told
from bide.runtime.executor.frames import (
    HEAD,
    Ended,
    Logged,
    Progressed,
    Recorded,
    Resolved,
    Stepped,
    Work,
    length_of,
    pack,
    unpack,
)
from bide.runtime.executor.job import CannotIsolate, Job
from bide.runtime.executor.lanes.child import Child, sentence_of
from bide.runtime.graph.failure import Failure
from bide.runtime.values import Secret, encode, redactor

MOMENT_S: Final = 1.0


async def run_process(attempt: Attempt, job: Job) -> bytes | None:
    """The output of the function, as JSON. Raises `Told` with a failure of the body itself."""
    work = work_of(attempt, job)
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = await Child.start(
                attempt,
                [sys.executable, "-u", "-P", "-m", "bide.runtime.executor.runner", str(theirs.fileno())],
                env={"PYTHONPATH": os.pathsep.join(work.path), **attempt.traced},
                cwd=job.cwd,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
    listening: asyncio.Task[Ended | None] | None = None
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        if await child.recorded():
            if not attempt.may_begin():
                raise Fenced
            writer.write(pack(work))
        listening = asyncio.create_task(_listen(attempt, reader, writer), name=f"bide:process:{attempt.id}")
        status, ended = await _end(child, listening)
    finally:
        child.close()
        writer.close()
        if listening is not None and not listening.done():
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    if ended is None:
        last = child.err.last or child.out.last
        raise ProcessFailed(
            f"the process ended before the body had: {sentence_of(status, last, attempt.order.task.memory_limit)}",
            status,
        )
    attempt.watermark = ended.watermark
    attempt.metrics = ended.metrics
    if ended.failure is not None:
        raise Told(ended.failure, ended.skipped, ended.cuts)
    return ended.output


async def _end(child: Child, listening: asyncio.Task[Ended | None]) -> tuple[int, Ended | None]:
    """How the process ended, and its last word. Raises what made listening fail: nobody reads on then."""
    either: set[asyncio.Future[Any]] = {child.exited, listening}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        listening.result()
    status = await child.wait()
    # what it said is there to be read; the line is still open when another process holds an end of it
    await asyncio.wait([listening], timeout=MOMENT_S)
    return status, listening.result() if listening.done() else None


async def _listen(
    attempt: Attempt, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Ended | None:
    """Act on what the process says, until its last word; None when it ends without one."""
    steps: set[asyncio.Task[None]] = set()
    try:
        while True:
            head = await reader.readexactly(HEAD)
            match unpack(await reader.readexactly(length_of(head))):
                case Logged(level, text):
                    attempt.log(text, level)
                case Resolved(value):
                    redactor.register(value)
                    writer.write(pack(Recorded("")))
                case Progressed(done, total):
                    attempt.progress = (done, total)
                case Stepped(name, value):
                    task = asyncio.create_task(_step(attempt, writer, name, value))
                    steps.add(task)
                    task.add_done_callback(steps.discard)
                case Ended() as ended:
                    return ended
                case other:
                    raise ValueError(f"the isolated process said {other!r}, which only its runtime may")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    finally:
        for task in steps:
            task.cancel()
        await asyncio.gather(*steps, return_exceptions=True)


async def _step(attempt: Attempt, writer: asyncio.StreamWriter, name: str, value: bytes) -> None:
    with attempt.step(name) as commit:
        await commit(value)
    writer.write(pack(Recorded(name)))


def work_of(attempt: Attempt, job: Job) -> Work:
    """The body as a message. `CannotIsolate` when the function cannot be found again over there."""
    module, qualname, file = reference_of(job.fn)
    args = [_argument(value) for value in job.args]
    kwargs = {key: _argument(value) for key, value in job.kwargs.items()}
    try:
        arguments = encode([args, kwargs], "the arguments", 16 * 1024 * 1024)
    except PayloadError as error:
        raise CannotIsolate(f"the arguments of an isolated task go to another process: {error}") from None
    order = attempt.order
    if order.task.map is not None:  # the list of all instances stays here
        order = msgspec.structs.replace(order, task=msgspec.structs.replace(order.task, kwargs={}))
    return Work(
        order=order,
        epoch=attempt.epoch,
        facts=job.facts,
        module=module,
        qualname=qualname,
        file=file,
        arguments=arguments,
        recorded_steps=job.recorded_steps,
        watermark=job.watermark,
        path=[entry or os.getcwd() for entry in sys.path],  # noqa: PTH109 - as the interpreter reads it
        pythonpath=os.environ.get("PYTHONPATH"),
        traceparent=attempt.traceparent,
    )


def reference_of(fn: Any) -> tuple[str, str, str | None]:
    """(module, qualified name, file or None) under which another process finds a function."""
    if not isinstance(fn, FunctionType):
        raise CannotIsolate(f"isolate=True needs a plain function, and {fn!r} is a {type(fn).__name__}")
    module, qualname = fn.__module__, fn.__qualname__
    if "<" in qualname:
        what = "a lambda" if "<lambda>" in qualname else "defined within another function"
        raise CannotIsolate(
            f"isolate=True runs {qualname!r} in another process, which cannot find it, as it is {what}: "
            "move it to the top of its file"
        )
    file = getattr(sys.modules.get(module), "__file__", None) or fn.__code__.co_filename
    there = os.path.isfile(file)  # noqa: PTH113 - the name may be "<stdin>"
    if module == "__main__" and not there:
        raise CannotIsolate(
            f"isolate=True runs {qualname!r} in another process, which cannot find it, as it was "
            f"typed in ({file}): put it into a file"
        )
    return module, qualname, os.path.abspath(file) if there else None  # noqa: PTH100 - no link is followed


def _argument(value: Any) -> Any:
    """Three things of ours may stand among the arguments; the rest is JSON."""
    if isinstance(value, Context):
        return {"$context": True}
    if isinstance(value, Failure):
        return {"$failure": value}
    if isinstance(value, list) and value and isinstance(value[0], Failure):
        return {"$failures": value}
    if isinstance(value, Secret):
        return {"$secret": value.ref}
    return {"$lit": value} if isinstance(value, dict) else value
