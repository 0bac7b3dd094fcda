"""The JSON of hooks: what a delivery is answered with, and how hooks and deliveries are listed."""

from __future__ import annotations

from bide.runtime.service.said_words import DeliveredWord, Id, Instant
from bide.runtime.service.shapes import _Shape


class Delivered(_Shape, frozen=True):
    """How a delivery was taken: `accepted` (it made the run), `duplicate` (it had made it), `ignored`.

    `paused`: the run waits until its DAG is unpaused.
    """

    hook: str
    delivery: str
    outcome: str
    run_id: Id | None
    dag: str | None
    reason: str = ""
    paused: bool = False


class EventTaken(_Shape, frozen=True):
    """An event that several `CloudEvents` match: one line each."""

    deliveries: tuple[Delivered, ...]


class HookLine(_Shape, frozen=True):
    """A hook. `accepted`, `ignored`, `refused` count deliveries that are still known; `rejected` what nobody known had signed.

    `scheme` is github, stripe, standard or unsigned; `dags` those it may start; `loaded`: whether it is declared now.
    `unchecked`: why no signature can be checked, and each delivery is refused; empty where one can, or none is needed.
    """

    hook: str
    kind: str
    path: str
    scheme: str
    type: str | None
    dags: tuple[str, ...]
    loaded: bool
    accepted: int
    ignored: int
    refused: int
    rejected: int
    last_delivery_at: Instant | None
    last_outcome: str | None
    last_rejected_at: Instant | None
    last_rejected_for: str | None
    doc: str = ""
    unchecked: str = ""


class DeliveryLine(_Shape, frozen=True):
    """A delivery. `times` is how often it has come; `reason` why it made no run."""

    id: Id
    hook: str
    delivery: str
    outcome: DeliveredWord
    dag: str | None
    run_id: Id | None
    reason: str
    first_at: Instant
    last_at: Instant
    times: int
    sent_at: Instant | None
