"""What every door offers on approvals: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.approval_shapes import ApprovalEvidence, ApprovalLine
from bide.runtime.service.route import Limit, Person, Text, get, post
from bide.runtime.service.shapes import Done


class ApprovalDoors(Protocol):
    """The operations on approvals; they are named by their number, "3"."""

    @get("/approvals", pages="id", nulls={"state": "all"})
    async def listed(
        self,
        state: str | None = "open",
        run: str | None = None,
        limit: Limit = 100,
        before: str | None = None,
    ) -> list[ApprovalLine]:
        """List approvals, the newest first.

        `state`: open, approved, rejected or expired; `all`: whatever became of them.
        """
        ...

    @get("/approvals/{approval}", tagged="approval")
    async def show(self, approval: str) -> ApprovalLine:
        """Show an approval."""
        ...

    @get("/approvals/{approval}/evidence")
    async def evidence(self, approval: str) -> ApprovalEvidence:
        """Show what is known of what is to be approved: results right before it, versions, what a contract found."""
        ...

    @post("/approvals/{approval}/approve", scope="admin", nulls={"approval": "only"}, tagged="approval")
    async def approve(self, approval: str | None, by: Person, why: Text) -> Done:
        """Approve what is asked for; who decides and why are kept.

        `only` in place of a number: the one that is open, if there is just one.
        """
        ...

    @post("/approvals/{approval}/reject", scope="admin", nulls={"approval": "only"}, tagged="approval")
    async def reject(self, approval: str | None, by: Person, why: Text) -> Done:
        """Reject what is asked for; who decides and why are kept.

        `only` in place of a number: the one that is open, if there is just one.
        """
        ...
