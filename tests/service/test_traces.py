"""Runs as traces, read with the SDK's exporter in memory: ids, times, results, lanes, restarts, and nothing when off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from bide import Context, Dag, Runtime, dag, shell, task
from bide.runtime.service import traces
from bide.testing import sim_runtime
from tests.cli.conftest import environment
from tests.service.test_stats import _played, waits

seen: dict[str, str | None] = {}
gates: dict[str, asyncio.Event] = {}


def provider(**options: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    made, exporter = TracerProvider(shutdown_on_exit=False, **options), InMemorySpanExporter()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made, exporter


def by_name(exporter: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    found: dict[str, list[ReadableSpan]] = {}
    for span in sorted(exporter.get_finished_spans(), key=lambda each: each.start_time or 0):
        found.setdefault(span.name, []).append(span)
    return found


def context_of(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


@task
async def in_loop(ctx: Context) -> None:
    seen["in_loop"] = ctx.traceparent
    with trace.get_tracer("body", tracer_provider=inner[0]).start_as_current_span("of the body"):
        pass


@task
def in_thread(ctx: Context) -> None:
    current = trace.get_current_span().get_span_context()
    seen["in_thread"] = f"00-{current.trace_id:032x}-{current.span_id:016x}-01"
    assert ctx.traceparent == seen["in_thread"]


@task(isolate=True)
def in_process(ctx: Context) -> list[str | None]:
    import os

    return [ctx.traceparent, os.environ.get("TRACEPARENT")]


inner: list[TracerProvider] = []


@dag
def lanes() -> None:
    in_loop()
    in_thread()
    in_process()
    shell("in_shell", "echo $TRACEPARENT")


async def test_b64_every_lane_knows_its_span_before_there_is_one(tmp_path: Path) -> None:
    made, exporter = provider()
    inner[:] = [made]
    async with Runtime(tmp_path / "bide.db", [lanes], tracer_provider=made) as rt:
        result = await (await rt.trigger(lanes)).wait()
    assert result.state == "success"
    spans = by_name(exporter)
    (run,) = spans["RUN lanes"]
    trace_id, root = context_of(run)
    assert run.parent is None
    assert (run.kind, run.status.status_code) == (SpanKind.SERVER, StatusCode.OK)
    seen["in_process"], in_env = result.outputs["in_process"]
    seen["in_shell"] = result.outputs["in_shell"]
    assert in_env == seen["in_process"]
    for name in ("in_loop", "in_thread", "in_process", "in_shell"):
        (span,) = spans[name]
        assert seen[name] == f"00-{trace_id}-{context_of(span)[1]}-01"
        assert span.parent is not None
        assert f"{span.parent.span_id:016x}" == root
    (of_body,) = spans["of the body"]
    assert of_body.parent is not None
    assert f"{of_body.parent.span_id:016x}" == context_of(spans["in_loop"][0])[1]


async def test_b64_spans_have_the_real_times_and_results_of_runs_and_attempts() -> None:
    made, exporter = provider()
    async with sim_runtime([], start="2026-06-15") as rt:
        rt._traces = await traced(rt, made)
        await rt.load([waits], {})
        await _played(rt)
        await rt.operations.rerun("1", "slow", downstream=True)
        await rt.clock.settle()
    spans = by_name(exporter)
    first, second = spans["flaky"]
    assert [dict(span.attributes or {})["cicd.pipeline.task.run.result"] for span in (first, second)] == [
        "failure", "success",
    ]  # fmt: skip
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "ValueError: not yet")
    (until,) = spans["until"]
    assert round(((until.end_time or 0) - (until.start_time or 0)) / 1e9) == 1200
    assert dict(until.attributes or {})["bide.slot_s"] == 0
    (run,), (again,) = spans["RUN waits"], spans["RERUN waits"]
    assert round(((run.end_time or 0) - (run.start_time or 0)) / 1e9) == 45 * 60
    assert (run.status.status_code, dict(run.attributes or {})["cicd.pipeline.result"]) == (
        StatusCode.ERROR,
        "failure",
    )
    assert again.parent is not None
    assert (context_of(again)[0], f"{again.parent.span_id:016x}") == context_of(run)
    assert len(spans["slow"]) == 2
    assert len({context_of(span) for each in spans.values() for span in each}) == sum(
        map(len, spans.values())
    )


async def traced(rt: Any, made: TracerProvider) -> Any:
    from bide.runtime.service.beside import tracing

    return await tracing(made, rt.db, rt.store, rt._shell)


async def test_a_trace_goes_on_over_a_restart(tmp_path: Path) -> None:
    """The first process is cut off in the middle of an attempt; the next one ends it, and runs the other."""

    @task
    async def first() -> None: ...

    @task
    async def held() -> None:
        await gates["held"].wait()

    @dag
    def two() -> Any:
        return first() >> held()

    gates["held"] = asyncio.Event()
    spans: list[dict[str, list[ReadableSpan]]] = []
    for again in (False, True):
        made, exporter = provider()
        async with Runtime(tmp_path / "bide.db", [two], tracer_provider=made, grace=0.1) as rt:
            if again:
                gates["held"].set()
                await rt.wait("1", 20)
            else:
                await rt.trigger(two)
                while not rt.slots_in_use or "held" not in {
                    t.task for t in (await rt.operations.show("1")).tasks if t.state == "running"
                }:
                    await asyncio.sleep(0.01)
        spans.append(by_name(exporter))
    before, after = spans
    assert (list(before), [len(after["held"]), len(after["RUN two"])]) == (["first"], [2, 1])
    lost, ran = after["held"]
    assert [dict(s.attributes or {})["cicd.pipeline.task.run.result"] for s in (lost, ran)] == [
        "error",
        "success",
    ]
    trace_id, root = context_of(after["RUN two"][0])
    for span in (before["first"][0], lost, ran):
        assert context_of(span)[0] == trace_id
        assert span.parent is not None
        assert f"{span.parent.span_id:016x}" == root


async def test_what_the_sampler_leaves_out_is_said_to_bodies_and_leaves_no_half_a_trace(
    tmp_path: Path,
) -> None:
    @task
    async def one(ctx: Context) -> None:
        seen["one"] = ctx.traceparent

    @dag
    def small() -> None:
        one()

    made, exporter = provider(sampler=ParentBased(ALWAYS_OFF))
    async with Runtime(tmp_path / "bide.db", [small], tracer_provider=made) as rt:
        await (await rt.trigger(small)).wait()
    assert (seen["one"] or "").endswith("-00")
    assert exporter.get_finished_spans() == ()


class Broken(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("the processor is broken")


async def test_b64_a_provider_that_fails_costs_its_spans_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(Broken())
    async with Runtime(tmp_path / "bide.db", [lanes], tracer_provider=made) as rt:
        assert (await (await rt.trigger(lanes)).wait(20)).state == "success"
    assert "spans are lost: the processor is broken" in caplog.text
    async with Runtime(tmp_path / "bide.db", [lanes]):
        pass  # nothing holds the database any more


async def test_without_a_provider_nothing_is_traced(tmp_path: Path) -> None:
    @task
    async def one(ctx: Context) -> str | None:
        return ctx.traceparent

    @dag
    def small() -> None:
        one()

    assert traces.configured() is None
    async with Runtime(tmp_path / "bide.db", [small]) as rt:
        result = await (await rt.trigger(small)).wait()
        assert (rt._traces, rt._shell.executor.enter_trace) == (None, None)
    assert result.outputs.get("one") is None


def test_without_a_provider_opentelemetry_is_not_even_loaded(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from bide import Runtime

        async def main():
            async with Runtime("bide.db"):
                print([name for name in sys.modules if name.startswith(("opentelemetry", "prometheus"))])

        asyncio.run(main())
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert found.stdout == "[]\n"


async def test_other_spans_of_the_provider_keep_its_own_ids(tmp_path: Path) -> None:
    made, exporter = provider()
    none: list[Dag] = []
    async with (
        Runtime(tmp_path / "a.db", none, tracer_provider=made),
        Runtime(tmp_path / "b.db", none, tracer_provider=made),
    ):
        for _ in range(2):
            made.get_tracer("bide").start_span("mine").end()
    a, b = exporter.get_finished_spans()
    assert context_of(a) != context_of(b)


@pytest.mark.parametrize("count", [1, 2])
def test_the_database_says_who_it_is_once(tmp_path: Path, count: int) -> None:
    from bide.runtime.store.inline import InlineWriter
    from bide.runtime.store.trace_reads import database

    ids = set()
    for _ in range(count):
        store = InlineWriter.open_here(tmp_path / "bide.db", create=True)
        ids.add(store.read_here(database))
        store.close_here()
    assert len(ids) == 1
    assert len(ids.pop()) == 32
