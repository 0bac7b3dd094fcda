"""A line of the journal becomes an OpenLineage event: plain data in, the official client's classes out.

A run of a DAG and each attempt of a task is a run; the attempt's parent is the run of the DAG. Datasets are
versions (S1-38): their number, their interval and what their gates found stand in facets. The ids of runs
are made of what they are about: what is sent twice is the same event.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from openlineage.client.event_v2 import (
    DatasetEvent,
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    StaticDataset,
)
from openlineage.client.facet_v2 import (
    BaseFacet,
    DatasetFacet,
    InputDatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    documentation_dataset,
    documentation_job,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    ownership_dataset,
    ownership_job,
    parent_run,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
)
from openlineage.client.uuid import generate_static_uuid

import bide
from bide.runtime.clock import from_us
from bide.runtime.graph.spec import Lane
from bide.runtime.lineage.facets import BideRunFacet, GatesFacet, IntervalFacet, StateFacet
from bide.runtime.store.lineage_reads import Dataset, Gate, Line, OfAttempt, OfRun, Told

PRODUCER: Final = f"urn:bide:{bide.__version__}"
Event = RunEvent | DatasetEvent
_ENDS: Final = {
    "success": RunState.COMPLETE,
    "skipped": RunState.COMPLETE,
    "failed": RunState.FAIL,
    "timed_out": RunState.FAIL,
    "lost": RunState.ABORT,
    "cancelled": RunState.ABORT,
}
_SEEN: Final = frozenset({"published", "stale", "degraded"})
_CONCERNS: Final = _SEEN | {"invalidated", "quarantined"}
_ERROR_MOST: Final = 10_000


def event_of(told: Told, namespace: str) -> Event | None:
    """The event of a line; None for one that says nothing to the outside, such as a sensor's wait."""
    line = told.line
    if line.subject == "version":
        return _moved(told, namespace) if told.outputs and _is_news(line) else None
    if told.run is None or told.run.opening == 0:
        return None
    if told.attempt is not None:
        if told.task is None or told.task.lane is Lane.WAIT:
            return None
        kind = RunState.START if not line.was else _ENDS.get(line.now)
    else:
        kind = RunState.START if line.now == "running" else _ENDS.get(line.now)
    if kind is None:
        return None
    outputs = () if kind is RunState.START else told.outputs
    return RunEvent(
        eventType=kind,
        eventTime=_iso(line.at_us),
        producer=PRODUCER,
        run=Run(
            runId=_attempt_id(told.run, told.attempt, namespace)
            if told.attempt
            else _run_id(told.run, namespace),
            facets=_run_facets(told, kind, namespace),
        ),
        job=Job(
            namespace=namespace, name=_job_name(told.run, told.attempt), facets=_job_facets(told, told.run)
        ),
        inputs=[_input(each, namespace) for each in told.inputs],
        outputs=[_output(each, namespace) for each in outputs],
    )


def _is_news(line: Line) -> bool:
    """Whether a version's move concerns others: what consumers see has changed. A run tells of what it has made."""
    return bool(line.was) and (line.was in _SEEN or line.now in _CONCERNS)


def _moved(told: Told, namespace: str) -> DatasetEvent:
    [version] = told.outputs
    facets = _dataset_facets(version)
    facets["bide_state"] = StateFacet(told.line.was, told.line.now, told.line.reason)
    return DatasetEvent(
        eventTime=_iso(told.line.at_us),
        producer=PRODUCER,
        dataset=StaticDataset(namespace=namespace, name=version.asset, facets=_signed(facets)),
    )


# --- runs and jobs -------------------------------------------------------------------------------


def _run_id(run: OfRun, namespace: str) -> str:
    said = f"{namespace}:{run.dag}:{run.run_id}:{run.opening}"
    return str(generate_static_uuid(from_us(run.created_us), said.encode()))


def _attempt_id(run: OfRun, attempt: OfAttempt, namespace: str) -> str:
    said = f"{namespace}:{run.dag}:{run.run_id}:{attempt.task}:{attempt.attempt_id}"
    return str(generate_static_uuid(from_us(attempt.started_us), said.encode()))


def _job_name(run: OfRun, attempt: OfAttempt | None) -> str:
    return run.dag if attempt is None else f"{run.dag}.{attempt.task}"


def _run_facets(told: Told, kind: RunState, namespace: str) -> dict[str, RunFacet]:
    run, attempt = told.run, told.attempt
    assert run is not None
    facets: dict[str, RunFacet] = {
        "nominalTime": nominal_time_run.NominalTimeRunFacet(_iso(run.start_us), _iso(run.end_us)),
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=bide.__version__, name="bide"
        ),
        "bide_run": BideRunFacet(
            run_id=str(run.run_id),
            kind=run.kind,
            code=run.code,
            attempt_id=None if attempt is None else str(attempt.attempt_id),
            attempt=None if attempt is None else attempt.number,
            map_index=None if attempt is None or attempt.map_index < 0 else attempt.map_index,
            state=told.line.now,
        ),
    }
    if attempt is not None:
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(runId=_run_id(run, namespace)),
            job=parent_run.Job(namespace=namespace, name=run.dag),
        )
    error = told.line.reason if attempt is None else attempt.error
    if kind in (RunState.FAIL, RunState.ABORT) and error:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=error[:_ERROR_MOST], programmingLanguage="PYTHON"
        )
    return _signed(facets)


def _job_facets(told: Told, run: OfRun) -> dict[str, JobFacet]:
    spec = told.task if told.attempt is not None else told.dag
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH",
            integration="BIDE",
            jobType="DAG" if told.attempt is None else "TASK",
        )
    }
    if spec is not None and spec.doc:
        facets["documentation"] = documentation_job.DocumentationJobFacet(spec.doc)
    owner = (spec.owner if spec is not None else "") or (told.dag.owner if told.dag is not None else "")
    if owner:
        facets["ownership"] = ownership_job.OwnershipJobFacet(owners=[ownership_job.Owner(name=owner)])
    if run.file and Path(run.file).is_absolute():
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="file", url=Path(run.file).as_uri(), version=run.code
        )
    return _signed(facets)


# --- datasets ------------------------------------------------------------------------------------


def _input(version: Dataset, namespace: str) -> InputDataset:
    facets: dict[str, InputDatasetFacet] = {}
    if version.gates:
        facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            assertions=[_assertion(gate) for gate in version.gates]
        )
    if (rows := _rows(version)) is not None:
        facets["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=rows
        )
    return InputDataset(
        namespace=namespace, name=version.asset, facets=_dataset_facets(version), inputFacets=_signed(facets)
    )


def _output(version: Dataset, namespace: str) -> OutputDataset:
    facets: dict[str, OutputDatasetFacet] = {}
    if (rows := _rows(version)) is not None:
        facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=rows
        )
    return OutputDataset(
        namespace=namespace, name=version.asset, facets=_dataset_facets(version), outputFacets=_signed(facets)
    )


def _dataset_facets(version: Dataset) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(str(version.version)),
        "bide_interval": IntervalFacet(_iso(version.start_us), _iso(version.end_us), version.edge or None),
    }
    if version.owner:
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet(
            owners=[ownership_dataset.Owner(name=version.owner)]
        )
    if version.doc:
        facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(version.doc)
    if fields := list(_fields(version.schema)):
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in fields],
        )
    if version.gates:
        facets["bide_gates"] = GatesFacet([_gate(gate) for gate in version.gates])
    return _signed(facets)


def _assertion(gate: Gate) -> data_quality_assertions_dataset.Assertion:
    return data_quality_assertions_dataset.Assertion(
        assertion=gate.name,
        success=bool(gate.passed),
        severity="error" if gate.severity in ("major", "critical") else "warn",
        name=gate.name,
        description=gate.message or None,
    )


def _gate(gate: Gate) -> dict[str, Any]:
    """Observed and expected are JSON text: the client leaves out every null within a value."""
    said: dict[str, Any] = {"name": gate.name, "severity": gate.severity, "passed": bool(gate.passed)}
    if gate.message:
        said["message"] = gate.message
    values = {"observed": gate.observed, "expected": gate.expected}
    return said | {name: value for name, value in values.items() if value is not None}


def _fields(schema: str | None) -> Iterable[tuple[str, str]]:
    """(name, type) of the columns of `{"id": "int"}` and of `{"fields": [{"name": ..., "type": ...}]}`."""
    said = msgspec.json.decode(schema) if schema else None
    if not isinstance(said, dict):
        return
    if isinstance(said.get("fields"), list):
        for each in said["fields"]:
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                yield each["name"], str(each.get("type", ""))
        return
    for name, kind in said.items():
        yield name, str(kind.get("type", kind)) if isinstance(kind, dict) else str(kind)


def _rows(version: Dataset) -> int | None:
    """How many rows were said to be in it."""
    said = msgspec.json.decode(version.meta) if version.meta else None
    rows = said.get("rows") if isinstance(said, dict) else None
    return rows if isinstance(rows, int) and not isinstance(rows, bool) else None


F = TypeVar("F", bound=BaseFacet)


def _signed(facets: dict[str, F]) -> dict[str, F]:
    """Each facet says who made it; the client's own way of saying it would hold for a host's events too."""
    for each in facets.values():
        each._producer = PRODUCER
    return facets


def _iso(at_us: int) -> str:
    return from_us(at_us).isoformat().replace("+00:00", "Z")
