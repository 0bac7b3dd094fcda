"""What people are asked, and their answers: one layer for the terminal, the REST API and `rt.approvals`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime import typed
from bide.runtime.engine.states import ApprovalState
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service import approval_evidence
from bide.runtime.service.addresses import approval_number, before_number, run_number
from bide.runtime.service.approval_shapes import ApprovalEvidence, ApprovalLine
from bide.runtime.service.once import again
from bide.runtime.service.shapes import Done, iso, iso_or_none
from bide.runtime.store import approval_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.service.doors import Door
    from bide.runtime.service.operations import Asks


class Approvals:
    """The operations on approvals. It keeps no state."""

    def __init__(self, reader: Asks, door: Door) -> None:
        self._reader, self._door = reader, door

    async def listed(
        self,
        state: str | None = "open",
        run: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[ApprovalLine]:
        if state is not None and state not in set(ApprovalState):
            raise UsageError(
                f"{state!r} is no state of an approval{suggestion(state, ApprovalState)}: "
                f"use one of {', '.join(ApprovalState)}"
            )
        if not 1 <= limit <= 100_000:
            raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
        run_id = None if run is None else run_number(run)
        if run_id is not None:
            await self._reader.ask(Reader.run, run_id)
        found = await self._reader.ask(
            Reader.read, lambda conn: reads.approvals(conn, state, run_id, limit, before_number(before))
        )
        return [line(each) for each in found]

    async def show(self, approval: str) -> ApprovalLine:
        number = approval_number(approval)
        found = await self._reader.ask(
            Reader.read, lambda conn: reads.approvals(conn, None, None, 1, number + 1)
        )
        if not found or found[0].approval_id != number:
            raise NotFoundError(f"there is no approval {number}: `bide approvals --all` lists them")
        return line(found[0])

    async def evidence(self, approval: str) -> ApprovalEvidence:
        number = approval_number(approval)
        found: ApprovalEvidence | None = await self._reader.ask(
            Reader.read, lambda conn: approval_evidence.evidence(conn, number)
        )
        if found is None:
            raise NotFoundError(f"there is no approval {number}: `bide approvals --all` lists them")
        return found

    async def approve(self, approval: str | None, by: str, why: str) -> Done:
        return await self._decide("approve", "approved", approval, by, why)

    async def reject(self, approval: str | None, by: str, why: str) -> Done:
        return await self._decide("reject", "rejected", approval, by, why)

    async def _decide(self, verb: str, said: str, approval: str | None, by: str, why: str) -> Done:
        answer = await again(self._reader, self._door, verb)
        if answer is None:
            number = await self._only() if approval is None else approval_number(approval)
            answer = await self._door.command(verb, {"approval_id": number, "by": by, "why": why})
        number = answer["approval_id"]
        return Done(done=f"approval {number} is {said} by {by}", result=answer)

    async def _only(self) -> int:
        found: list[reads.ApprovalShown] = await self._reader.ask(
            Reader.read, lambda conn: reads.approvals(conn, "open", None, 5)
        )
        if len(found) != 1:
            there = ", ".join(str(each.approval_id) for each in found) or "none"
            raise RefusedError(f"which approval? open are {there}: `bide approvals` lists them")
        return found[0].approval_id


def line(a: reads.ApprovalShown) -> ApprovalLine:
    task = a.task if a.task is None or not a.map_index or a.map_index < 0 else f"{a.task}[{a.map_index}]"
    return ApprovalLine(
        id=str(a.approval_id),
        kind=a.kind.value,
        state=a.state.value,
        subject=_subject(a, task),
        prompt=a.prompt,
        who=typed.decode(a.who, tuple[str, ...]),
        run_id=None if a.run_id is None else str(a.run_id),
        dag=a.dag,
        task=task,
        asked_at=iso(a.asked_us),
        expires_at=iso_or_none(a.expires_us),
        decided_at=iso_or_none(a.decided_us),
        by=a.by or None,
        why=a.why or None,
        about=a.about or None,
    )


def _subject(a: reads.ApprovalShown, task: str | None) -> str:
    if task is not None:
        return f"{a.dag}.{task} of run {a.run_id}"
    if a.asset is not None:
        return f"{a.asset} version {a.subject_id}"
    return f"{a.kind.value} {a.subject_id}"
