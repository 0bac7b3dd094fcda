"""What a program holds of a run that it started, and how that run ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from bide.runtime.service.runtime import Runtime
    from bide.runtime.service.shapes import RunShown


class RunResult(msgspec.Struct, frozen=True):
    """How a run ended. `tasks` is task -> state; `outputs` task -> what it returned, nulls left out."""

    run_id: str
    state: str
    tasks: dict[str, str]
    outputs: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.state == "success"


class RunHandle:
    """One run of a runtime."""

    def __init__(self, runtime: Runtime, run_id: int) -> None:
        self._runtime = runtime
        self.run_id = str(run_id)

    def __repr__(self) -> str:
        return f"<run {self.run_id}>"

    async def wait(self, timeout: float | None = None) -> RunResult:
        """Return when the run is over. `GaveUpError` after `timeout` seconds; the run goes on."""
        return await self._runtime.wait(self, timeout=timeout)

    async def show(self) -> RunShown:
        """Where it stands now, as `bide show` has it."""
        return await self._runtime.operations.show(self.run_id)

    async def cancel(self) -> None:
        """Cancel it: nothing of it starts after this returns."""
        await self._runtime.command("cancel", {"run_id": int(self.run_id)})
