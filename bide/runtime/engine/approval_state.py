"""What the world holds of approvals: those that are open, by number and by what they are of."""

from __future__ import annotations

from typing import Final

from bide.runtime.engine.states import ApprovalKind

OF_INSTANCE: Final = frozenset({ApprovalKind.TASK, ApprovalKind.CONTRACT, ApprovalKind.EFFECT})
"""Kinds that hold up a task instance: they end with it, and stand still while its DAG does."""


class Approval:
    """An approval that nobody has decided yet. `expires` None: it stays open.

    `about` is what exactly is approved, the hash of a plan or the key of a delivery: an approval of one is
    none of another.
    """

    __slots__ = ("about", "approval_id", "asked", "expires", "kind", "prompt", "run_id", "subject_id", "who")

    def __init__(
        self, approval_id: int, kind: ApprovalKind, subject_id: int, run_id: int | None, prompt: str, who: tuple[str, ...],
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
        self.of: dict[tuple[ApprovalKind, int], Approval] = {}

    def __bool__(self) -> bool:
        return bool(self.open)

    def put(self, approval: Approval) -> None:
        self.open[approval.approval_id] = approval
        self.of[approval.kind, approval.subject_id] = approval

    def drop(self, approval: Approval) -> None:
        del self.open[approval.approval_id]
        del self.of[approval.kind, approval.subject_id]
