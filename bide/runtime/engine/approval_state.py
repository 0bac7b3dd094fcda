"""What the world holds of approvals: those that are open, by number and by what they are of."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a person is asked for, and so what `subject_id` of an approval is."""

    TASK = "task"  # an `approval(...)` of a graph: its instance
    CONTRACT = "contract"  # a contract wants a person before a task begins: its instance
    EFFECT = "effect"  # before something leaves the platform: the instance of the effect
    PUBLICATION = "publication"  # a contract wants a person before a version is seen: the version
    DEGRADED = "degraded"  # a version is to be seen with its limitations: the version
    PLAN = "plan"  # a rerun plan: the plan


OF_INSTANCE = frozenset({Kind.TASK, Kind.CONTRACT, Kind.EFFECT})
"""Kinds that hold up a task instance: they end with it, and stand still while its DAG does."""


class ApprovalState(StrEnum):
    """An approval. Whatever is not approved is denied."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"  # nobody decided in time: denied
    WITHDRAWN = "withdrawn"  # what was asked for is no longer wanted


LEGAL_APPROVAL: Final[dict[ApprovalState, frozenset[ApprovalState]]] = {
    ApprovalState.OPEN: frozenset(set(ApprovalState) - {ApprovalState.OPEN}),
    **{end: frozenset() for end in ApprovalState if end is not ApprovalState.OPEN},
}


class Approval:
    """An approval that nobody has decided yet. `expires` None: it stays open.

    `about` is what exactly is approved, the hash of a plan or the key of a delivery: an approval of one is
    none of another.
    """

    __slots__ = ("about", "approval_id", "asked", "expires", "kind", "prompt", "run_id", "subject_id", "who")

    def __init__(
        self, approval_id: int, kind: Kind, subject_id: int, run_id: int | None, prompt: str, who: tuple[str, ...],
        asked: int, expires: int | None, about: str,
    ) -> None:  # fmt: skip
        self.approval_id = approval_id
        self.kind = kind
        self.subject_id = subject_id
        self.run_id = run_id
        self.prompt = prompt
        self.who = who
        self.asked = asked
        self.expires = expires
        self.about = about


class Approvals:
    """The open ones. One at a time of a kind and a subject."""

    __slots__ = ("of", "open")

    def __init__(self) -> None:
        self.open: dict[int, Approval] = {}
        self.of: dict[tuple[Kind, int], Approval] = {}

    def __bool__(self) -> bool:
        return bool(self.open)

    def put(self, approval: Approval) -> None:
        self.open[approval.approval_id] = approval
        self.of[approval.kind, approval.subject_id] = approval

    def drop(self, approval: Approval) -> None:
        del self.open[approval.approval_id]
        del self.of[approval.kind, approval.subject_id]
