"""Raises an alert: its row and its line in the journal, in the transaction in which it became true (B66).

Nothing is sent here and nobody is looked up: alerts are the outbox, and what becomes notices of them follows
their commit (`bide.runtime.notify`). A run that fails is told of once, however many of its instances fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from bide.runtime.assets.words import Severity
from bide.runtime.clock import from_us
from bide.runtime.engine.states import OVER

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance, Run

FAILURE, APPROVAL, INCIDENT, EFFECT, BLOCKED = "failure", "approval", "incident", "effect", "blocked"
"""Kinds that are raised beside those of promises (run, task, asset), gates and invalidations."""
REASON_LIMIT = 2_000


def raise_alert(
    t: Turn,
    kind: str,
    key: str,
    subject: str,
    text: str,
    payload: msgspec.Struct,
    *,
    severity: Severity = Severity.MAJOR,
    run_id: int | None = None,
    promise: str = "",
    due: int | None = None,
    owners: Iterable[str] = (),
    tags: Iterable[str] = (),
) -> int:
    """Its number. `key`: one whose key is there already is left out. `owners` and `tags` are what routes go by."""
    alert_id = t.world.next_id["event"]
    t.journal("alert", alert_id, run_id, "", "new", text)
    t.changes.alerts_new.append(
        (alert_id, f"{kind}:{key}", kind, run_id, subject, promise, t.now if due is None else due, t.now, text,
         _json(payload), severity.value, _names(owners), _names(tags))
    )  # fmt: skip
    return alert_id


def of_run(run: Run, inst: Instance | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(owners, tags) of what happens to a run, or to one of its tasks."""
    spec = run.compiled.spec
    own = (inst.task.owner,) if inst is not None and inst.task.owner else (spec.owner,)
    return own, spec.tags


class FailurePayload(msgspec.Struct, frozen=True):
    """What programs read of a run that fails. Instants are ISO 8601, UTC."""

    dag: str
    run_id: str
    kind: str
    task: str | None
    map_index: int
    attempt: int
    logical_date: str
    interval_start: str
    interval_end: str
    reason: str
    open: tuple[str, ...]
    fired: str


def run_fails(t: Turn, run: Run, inst: Instance | None, reason: str) -> None:
    """The first of its tasks has failed for good, or the run itself: the run will fail, which is said now.

    What else goes on in it may take hours; a task that fails no run raises nothing.
    """
    name, meta = run.dag.name, run.meta
    because = reason if len(reason) <= REASON_LIMIT else reason[:REASON_LIMIT] + "..."
    still = [] if inst is None else [each.task.name for each in islice(_open(run, inst), 4)]
    logical = iso(meta.logical_us)
    what = f"{_name(inst)} failed" if inst is not None else "failed"
    more = f"; {', '.join(still[:3])}{', ...' if len(still) > 3 else ''} still to end" if still else ""
    text = f"run {run.run_id} of {name} ({logical}): {what}{f': {because}' if because else ''}{more}"
    owners, tags = of_run(run, inst)
    payload = FailurePayload(
        dag=name,
        run_id=str(run.run_id),
        kind=run.kind,
        task=None if inst is None else inst.task.name,
        map_index=-1 if inst is None else inst.map_index,
        attempt=0 if inst is None else inst.attempt,
        logical_date=logical,
        interval_start=iso(meta.start_us),
        interval_end=iso(meta.end_us),
        reason=because,
        open=tuple(still[:3]),
        fired=iso(t.now),
    )
    key = f"{run.run_id}:{t.world.next_id['event']}"
    raise_alert(t, FAILURE, key, name, text, payload, run_id=run.run_id, owners=owners, tags=tags)


def _open(run: Run, but: Instance) -> Iterable[Instance]:
    return (each for each in run.instances if each is not but and each.state not in OVER)


def _name(inst: Instance) -> str:
    return inst.task.name if inst.map_index < 0 else f"{inst.task.name}[{inst.map_index}]"


def iso(at_us: int) -> str:
    return from_us(at_us).isoformat().replace("+00:00", "Z")


def _json(payload: msgspec.Struct) -> str:
    return msgspec.json.encode(payload).decode()


def _names(those: Iterable[str]) -> str:
    return msgspec.json.encode([each for each in those if each]).decode()
