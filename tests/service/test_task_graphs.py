"""Task graphs in a whole runtime: what handlers are told, in every lane; what is shown and why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec

from bide import Context, FailTask, Failure, Runtime, SkipTask, TaskChain, TaskGraphBuilder, call, dag, task
from bide.runtime.service.handles import RunResult
from bide.runtime.service.operations import Operations

LIMIT_S = 30.0


class NoRowsError(ValueError):
    """Of this file, so that its class path is known."""


async def breaks(ctx: Context) -> None:
    raise NoRowsError(f"attempt {ctx.attempt}")


def told(failure: Failure) -> list[Any]:
    return [failure.task, failure.error, failure.error_type, failure.attempt, failure.map_index]


async def told_in_the_loop(where: str, failure: Failure, ctx: Context) -> list[Any]:
    return [where, *told(failure), ctx.task]


def told_all(failures: list[Failure], note: str = "") -> list[list[Any]]:
    return [[each.task, each.error] for each in failures] + ([[note]] if note else [])


@task(isolate=True)
def told_in_a_process(failure: Failure | None = None, more: list[Failure] | None = None) -> Any:
    return told(failure) if failure is not None else None


@task(isolate=True)
def told_all_in_a_process(failures: list[Failure]) -> list[str]:
    return [each.task for each in failures]


def works() -> int:
    return 3


async def run(db: Path, graph: Any) -> tuple[RunResult, Runtime]:
    async with Runtime(db, slots=4) as runtime:
        result = await (await runtime.trigger(graph)).wait(LIMIT_S)
    return result, runtime


ERROR = "NoRowsError: attempt 2"
KIND = f"{__name__}.NoRowsError"


async def test_s2_4_s2_22_a_graph_is_triggered_as_it_is_and_its_handlers_are_told(tmp_path: Path) -> None:
    broken = call(breaks).options(name="broken", retries=1)
    graph = (
        TaskGraphBuilder("etl")
        .add(broken, on_failure=call(told))
        .parallel(call(works), call(works))
        .build(on_all_failed=call(told_all, note="x"))
    )
    result, _ = await run(tmp_path / "b.db", graph)
    assert result.tasks == {
        "broken": "failed", "works": "upstream_failed", "works_2": "upstream_failed", "told": "success",
        "told_all": "success",
    }  # fmt: skip
    assert result.outputs == {
        "told": ["broken", ERROR, KIND, 2, -1],
        "told_all": [["broken", ERROR], ["x"]],
    }


async def test_a_handler_is_told_in_every_lane(tmp_path: Path) -> None:
    broken = call(breaks).options(name="broken", on_failure=call(told_in_the_loop, "here"))
    graph = (
        TaskGraphBuilder("lanes")
        .add(broken, on_failure=call(told_in_a_process))
        .add(call(breaks).options(name="other"), depends_on=None, on_failure=call(told_all_in_a_process))
        .build()
    )
    result, _ = await run(tmp_path / "b.db", graph)
    error = "NoRowsError: attempt 1"
    assert result.outputs == {
        "told_in_the_loop": ["here", "broken", error, KIND, 1, -1, "told_in_the_loop"],
        "told_in_a_process": ["broken", error, KIND, 1, -1],
        "told_all_in_a_process": ["other"],
    }


async def test_s2_23_a_shared_handler_is_told_the_first_failure_and_may_take_all(tmp_path: Path) -> None:
    async def first() -> None:
        raise FailTask("no header")

    chain = TaskChain(call(works), call(first), call(works), on_any_failure=call(told))
    result, _ = await run(tmp_path / "b.db", TaskGraphBuilder("g").add_chain(chain).build())
    assert result.outputs["told"] == ["first", "no header", "bide.runtime.errors.FailTask", 1, -1]


async def test_a_handler_gets_the_outputs_that_are_there_when_it_starts(tmp_path: Path) -> None:
    def clean(made: int | None, never: int | None) -> list[int | None]:
        return [made, never]

    made, never = call(works).options(name="made"), call(works).options(name="never")
    graph = (
        TaskGraphBuilder("g")
        .add(made)
        .then(call(breaks), on_failure=call(clean, made, never))
        .then(never)
        .build()
    )
    assert graph.edges == (("made", "breaks"), ("breaks", "never")), "an output makes no edge to a handler"
    result, _ = await run(tmp_path / "b.db", graph)
    assert result.outputs["clean"] == [3, None]


async def test_b51_handlers_and_callbacks_of_the_decorators(tmp_path: Path) -> None:
    alert = task(told)

    @dag(on_all_failed=alert.options(name="failed"), on_success=works_task)
    def decorated() -> None:
        task(on_failure=alert)(breaks)()

    result, _ = await run(tmp_path / "b.db", decorated)
    assert result.tasks == {"breaks": "failed", "told": "success", "failed": "success", "works": "skipped"}
    assert result.outputs["failed"][:2] == ["breaks", "NoRowsError: attempt 1"]


works_task = task(works)


async def test_on_success_runs_and_a_handler_may_skip_itself(tmp_path: Path) -> None:
    def too_late() -> None:
        raise SkipTask("office hours are over")

    graph = TaskGraphBuilder("g", on_success=call(works)).add(call(works).options(name="a")).build()
    result, _ = await run(tmp_path / "a.db", graph)
    assert (result.state, result.tasks) == ("success", {"a": "success", "works": "success"})
    graph = TaskGraphBuilder("h").add(call(breaks), on_failure=call(too_late)).build()
    result, _ = await run(tmp_path / "b.db", graph)
    assert (result.state, result.tasks["too_late"]) == ("failed", "skipped")


async def test_the_handler_of_a_mapped_task_is_told_which_of_its_instances_failed(tmp_path: Path) -> None:
    @task
    def odd(n: int) -> None:
        if n % 2:
            raise NoRowsError(str(n))

    def indices(failures: list[Failure]) -> list[list[Any]]:
        return sorted([each.task, each.map_index, each.error] for each in failures)

    graph = (
        TaskGraphBuilder("g")
        .add(call(odd.map, n=[0, 1, 2, 3]), on_failure=call(indices))
        .build(on_all_failed=call(indices))
    )
    result, _ = await run(tmp_path / "b.db", graph)
    expected = [["odd", 1, "NoRowsError: 1"], ["odd", 3, "NoRowsError: 3"]]
    assert (result.outputs["indices"], result.outputs["indices_2"]) == (expected, expected)


async def test_a_failure_by_hand_has_no_error_type(tmp_path: Path) -> None:
    graph = TaskGraphBuilder("g").add(call(works).options(name="a"), on_failure=call(told)).build()
    async with Runtime(tmp_path / "b.db") as runtime:
        handle = await runtime.trigger(graph)
        await handle.wait(LIMIT_S)
        await runtime.operations.mark(handle.run_id, "a", "failed")
        result = await runtime.wait(handle.run_id, LIMIT_S)
    assert result.outputs["told"] == ["a", "marked by hand", "", 1, -1]


async def test_s2_34_a_graph_is_in_the_database_before_it_is_acknowledged(tmp_path: Path) -> None:
    """Boilermaker needs a storage of its own for graphs; here the database is all there is."""
    graph = TaskGraphBuilder("g").add(call(works), on_failure=call(told)).build()
    async with Runtime(tmp_path / "b.db") as runtime:
        handle = await runtime.trigger(graph)
        shown = await runtime.operations.show(handle.run_id)
        await handle.wait(LIMIT_S)
    assert [(each.task, each.role) for each in shown.tasks] == [("works", "task"), ("told", "handler")]


# --- seeing ----------------------------------------------------------------------------------------


async def why(operations: Operations, run_id: str, name: str) -> tuple[str, dict[str, str]]:
    found = await operations.why(run_id, name)
    return found.why, {each.what: each.value for each in found.details}


async def test_show_and_why_tell_when_a_handler_starts_and_what_for(tmp_path: Path) -> None:
    going, go_on = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        going.set()
        await go_on.wait()
        raise NoRowsError("nothing")

    graph = (
        TaskGraphBuilder("g", on_success=call(works).options(name="done"))
        .add(call(waits), on_failure=call(told))
        .build(on_all_failed=call(told_all))
    )
    async with Runtime(tmp_path / "b.db") as runtime:
        operations = runtime.operations
        handle = await runtime.trigger(graph)
        await going.wait()
        lines = {each.task: (each.state, each.reason) for each in (await handle.show()).tasks}
        assert lines["told"] == ("pending", "starts only if waits fails")
        assert lines["told_all"][1] == "starts once, when all else has ended, if something of it failed"
        sentence, _ = await why(operations, handle.run_id, "told")
        assert sentence == "starts only if waits fails: waits (running)"
        sentence, details = await why(operations, handle.run_id, "told_all")
        assert sentence.endswith("2 of 2 have not ended: waits (running), told (pending)")
        sentence, _ = await why(operations, handle.run_id, "done")
        assert "if nothing of it failed: 2 of 2" in sentence
        _, details = await why(operations, handle.run_id, "waits")
        assert details["failure handler"] == "told (pending)"
        go_on.set()
        await handle.wait(LIMIT_S)
        _, details = await why(operations, handle.run_id, "told")
        assert details["is for"] == "waits: failed: NoRowsError: nothing"
        assert (await why(operations, handle.run_id, "done"))[0] == "it was skipped: not everything succeeded"
        said = await operations.why(handle.run_id)
        dag = await operations.dag("g")
    assert [(each.task, each.does, each.handles) for each in dag.tasks] == [
        ("waits", "task", ()), ("told", "handler", ("waits",)), ("told_all", "on_all_failed", ()),
        ("done", "on_success", ()),
    ]  # fmt: skip
    assert "waits failed" in said.why


async def test_the_role_is_in_the_json(tmp_path: Path) -> None:
    graph = TaskGraphBuilder("g").add(call(works), on_failure=call(told)).build()
    async with Runtime(tmp_path / "b.db") as runtime:
        handle = await runtime.trigger(graph)
        await handle.wait(LIMIT_S)
        first, second = json.loads(msgspec.json.encode(await handle.show()))["tasks"]
    assert (first["task"], first["state"], first["role"]) == ("works", "success", "task")
    assert (second["task"], second["state"], second["role"]) == ("told", "skipped", "handler")
