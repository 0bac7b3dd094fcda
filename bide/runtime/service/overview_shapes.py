"""The shapes of the first page: what needs a person, what runs, what comes. Keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.service.event_shapes import TopRun
from bide.runtime.service.said_words import Id, Instant
from bide.runtime.service.shapes import _Shape


class Need(_Shape, frozen=True):
    """Something that waits for a person. What does not apply is null.

    `kind`: full (no room on the disk), failure, lost, approval, late, incident, invalidation, invalidated, quarantined, quality,
    blocked, effect, file (not loaded), degraded, stale, paused, or that of another alert. `count` of them are alike; the rest tells of the newest. `alerts` are theirs, of which an
    acknowledgement takes them away. `by`: who did it.
    """

    kind: str
    subject: str
    text: str
    since: Instant | None
    count: int = 1
    severity: str = ""
    dag: str | None = None
    run_id: Id | None = None
    task: str | None = None
    asset: str | None = None
    approval: Id | None = None
    incident: Id | None = None
    by: str | None = None
    expires_at: Instant | None = None
    alerts: tuple[Id, ...] = ()


class Soon(_Shape, frozen=True):
    """When a DAG fires next. `more`: it fires oftener until then than is said here."""

    dag: str
    schedule: str
    firings: tuple[Instant, ...]
    more: bool


class Hour(_Shape, frozen=True):
    """An hour, and how the runs that were made in it stand now: state -> how many."""

    at: Instant
    runs: dict[str, int]


class PoolUse(_Shape, frozen=True):
    """Slots of a pool that are held; `slots` null: there is no limit."""

    pool: str
    slots: int | None
    in_use: int


class HomeShown(_Shape, frozen=True):
    """What needs a person first, then how things stand.

    `next` and `hours` are a day each way; `hours_whole`: no run of that day is left out of `hours` (else they are of the newest
    5,000 runs). `running`: the newest runs that are not over. `pools` is empty and
    `slots`, `slots_in_use` and `loop_lag_ms` are null where no runtime can be asked.
    """

    at: Instant
    held: bool
    stopping: bool
    needs: tuple[Need, ...]
    runs: dict[str, int]
    tasks: dict[str, int]
    waits: dict[str, int]
    dags: int
    paused: int
    running: tuple[TopRun, ...]
    next: tuple[Soon, ...]
    hours: tuple[Hour, ...]
    hours_whole: bool
    slots: int | None
    slots_in_use: int | None
    loop_lag_ms: float | None
    pools: tuple[PoolUse, ...]
    database_bytes: int
    log_bytes: int
