"""Runs as OpenTelemetry traces: a run is a trace, an attempt a span; the API package alone, no SDK.

Ids are made of the database's and the run's, so bodies know their `traceparent` before there is a span, and a
restart goes on with the same trace. Spans are made when a run or attempt has ended, with its real times, in a
thread: an exporter that is slow holds up no loop. What ends within the moment before a crash has no span.
Names and attributes are those of the CI/CD conventions. There is none of this without a tracer provider.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bide
from bide.runtime.clock import SECOND
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.states import RUN_OVER, AttemptState
from bide.runtime.errors import BideError
from bide.runtime.service.shapes import iso
from bide.runtime.service.trace_ids import attempt_span, run_span, trace_id, traceparent
from bide.runtime.store import trace_reads as reads
from bide.runtime.store.reader import AsyncReader, Reader

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import TracerProvider

    from bide.runtime.engine.messages import Start

log = logging.getLogger("bide.traces")
AT_ONCE: Final = 500
GATHER_S: Final = 0.1
CLOSE_S: Final = 5.0
_wanted: ContextVar[tuple[int, int] | None] = ContextVar("bide_span_ids", default=None)
_RUN_RESULT: Final = {"success": "success", "failed": "failure", "cancelled": "cancellation"}
_RESULT: Final = {
    "success": "success",
    "failed": "failure",
    "timed_out": "timeout",
    "skipped": "skip",
    "cancelled": "cancellation",
    "lost": "error",
}


def configured() -> TracerProvider | None:
    """The process's tracer provider, where somebody has set one; the API is not loaded to find that out."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    found = trace.get_tracer_provider()
    return None if isinstance(found, trace.ProxyTracerProvider | trace.NoOpTracerProvider) else found


class _Ids:
    """An id generator that gives what is wanted here, and elsewhere what the provider's own gives."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def generate_trace_id(self) -> int:
        wanted = _wanted.get()
        return wanted[0] if wanted is not None else int(self._own.generate_trace_id())

    def generate_span_id(self) -> int:
        wanted = _wanted.get()
        return wanted[1] if wanted is not None else int(self._own.generate_span_id())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def _takes_ids(tracer: Any) -> bool:
    """Have it take the ids that are wanted, if it can: the SDK's tracers can, each scope has its own."""
    own = getattr(tracer, "id_generator", None)
    if own is not None and not isinstance(own, _Ids):
        tracer.id_generator = _Ids(own)
    return own is not None


class Traces:
    """Of one runtime. `enter` before a body begins, `committed` after each commit, `close` at the end."""

    def __init__(self, provider: TracerProvider, db: Path, database: str) -> None:
        self._tracer: Any = provider.get_tracer("bide", bide.__version__)
        self._exact = _takes_ids(self._tracer)
        self._database = database
        self._reader = AsyncReader(db, width=1)
        self._attempts: list[int] = []
        self._runs: list[int] = []  # lines of the journal in which they ended
        self._task: asyncio.Task[None] | None = None

    # --- before a body begins

    def enter(self, order: Start) -> str:
        """The `traceparent` of an attempt; it is the parent of whatever spans its body makes."""
        from opentelemetry import context

        trace = trace_id(self._database, order.run_id)
        # a provider that takes no ids from others gives the span one that nobody knows yet: the run's then
        span = (
            attempt_span(self._database, order.attempt_id)
            if self._exact
            else run_span(self._database, order.run_id)
        )
        sampled = self._sampled(trace, order.dag)
        context.attach(_under(trace, span, sampled, remote=False))
        return traceparent(trace, span, sampled)

    def _sampled(self, trace: int, dag: str) -> bool:
        """What the provider's sampler will say of the run, where it can be asked."""
        sampler = getattr(self._tracer, "sampler", None)
        if sampler is None:
            return True
        found = sampler.should_sample(None, trace, f"RUN {dag}", attributes={"cicd.pipeline.name": dag})
        return bool(found.decision.is_sampled())

    # --- after a commit

    def committed(self, changes: Changes) -> None:
        """Note what has ended; its spans are made soon."""
        self._attempts += [
            number for number, row in changes.attempts_set.items() if row[0] != AttemptState.RUNNING
        ]
        if changes.runs_set:
            self._runs += [
                e[0] for e in changes.events if e[3] == "run" and e[7] in RUN_OVER and e[6] != e[7]
            ]
        if (self._attempts or self._runs) and self._task is None:
            self._task = asyncio.create_task(self._later(), name="bide traces")

    async def _later(self) -> None:
        try:
            await asyncio.sleep(GATHER_S)
            await self._make()
        finally:
            self._task = None

    async def _make(self) -> None:
        while self._attempts or self._runs:
            attempts, self._attempts = self._attempts[:AT_ONCE], self._attempts[AT_ONCE:]
            runs, self._runs = self._runs[:AT_ONCE], self._runs[AT_ONCE:]
            try:
                await self._reader.ask(self._emit, attempts, runs)
            except Exception as error:  # of the provider's: no run, and no closing, goes by it
                trace = None if isinstance(error, BideError) else error
                log.warning("%d spans are lost: %s", len(attempts) + len(runs), error, exc_info=trace)

    async def close(self) -> None:
        """Make the spans of what has ended, in bounded time. Exporting them is the provider's."""
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            async with asyncio.timeout(CLOSE_S):
                await self._make()
        except TimeoutError:
            log.warning("spans of what ended last are lost: they took longer than %g s", CLOSE_S)
        finally:
            self._reader.close()

    # --- in the reader's thread

    def _emit(self, reader: Reader, attempts: Sequence[int], runs: Sequence[int]) -> None:
        for attempt in reader.read(lambda conn: reads.attempts(conn, attempts)):
            self._attempt(attempt)
        for run in reader.read(lambda conn: reads.runs(conn, runs)):
            self._run(run)

    def _attempt(self, of: reads.AttemptTraced) -> None:
        from opentelemetry.trace import SpanKind

        trace = trace_id(self._database, of.run_id)
        parent = _under(trace, run_span(self._database, of.run_id), self._sampled(trace, of.dag), remote=True)
        name = of.task if of.map_index < 0 else f"{of.task}[{of.map_index}]"
        attributes = {
            "cicd.pipeline.name": of.dag,
            "cicd.pipeline.run.id": str(of.run_id),
            "cicd.pipeline.task.name": of.task,
            "cicd.pipeline.task.run.id": f"{of.run_id}/{name}/{of.number}",
            "cicd.pipeline.task.run.result": _RESULT.get(of.state, of.state),
            "bide.attempt": of.number,
            "bide.queued_s": of.queued_us / SECOND,
            "bide.slot_s": of.active_us / SECOND,
        }
        ids = (trace, attempt_span(self._database, of.attempt_id))
        failed = of.state not in ("success", "skipped", "cancelled")
        self._span(
            name,
            parent,
            SpanKind.INTERNAL,
            attributes,
            ids,
            of.started_us,
            of.ended_us,
            of.error or of.state if failed else "",
        )

    def _run(self, of: reads.RunTraced) -> None:
        """The first time it ends it is the root; what was opened again stands below that."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        trace = trace_id(self._database, of.run_id)
        root = run_span(self._database, of.run_id)
        beneath = of.reopened > 0 or not self._exact
        parent = _under(trace, root, self._sampled(trace, of.dag), remote=True) if beneath else Context()
        action = "RERUN" if of.reopened else "RUN"
        attributes = {
            "cicd.pipeline.name": of.dag,
            "cicd.pipeline.run.id": str(of.run_id),
            "cicd.pipeline.action.name": action,
            "cicd.pipeline.result": _RUN_RESULT.get(of.state, of.state),
            "bide.run.kind": of.kind,
            "bide.logical_date": iso(of.logical_us),
        }
        ids = (trace, run_span(self._database, of.run_id, of.reopened))
        wrong = of.reason or "failed" if of.state == "failed" else ""
        self._span(
            f"{action} {of.dag}", parent, SpanKind.SERVER, attributes, ids, of.begun_us, of.ended_us, wrong
        )

    def _span(
        self, name: str, parent: Context, kind: Any, attributes: dict[str, Any], ids: tuple[int, int],
        from_us: int, until_us: int, wrong: str,
    ) -> None:  # fmt: skip
        from opentelemetry.trace import Status, StatusCode

        token = _wanted.set(ids)
        try:
            span = self._tracer.start_span(
                name, context=parent, kind=kind, attributes=attributes, start_time=from_us * 1000
            )
        finally:
            _wanted.reset(token)
        span.set_status(Status(StatusCode.ERROR, wrong) if wrong else Status(StatusCode.OK))
        span.end(end_time=max(from_us, until_us) * 1000)


def _under(trace: int, span: int, sampled: bool, *, remote: bool) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return set_span_in_context(NonRecordingSpan(SpanContext(trace, span, remote, flags)), Context())
