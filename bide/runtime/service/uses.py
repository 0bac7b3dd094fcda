"""Whether assets may be used, what was decided of them, and what people let out: over every door."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import Asset
from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import (
    asset_name,
    asset_version_number,
    before_number,
    read_date,
    read_interval,
    run_number,
)
from bide.runtime.service.shapes import Done, Interval, iso
from bide.runtime.service.use_shapes import DecisionLine, IssueLine, MayUse, UsedLine
from bide.runtime.store import asset_reads
from bide.runtime.store import decision_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.clock import Clock
    from bide.runtime.service.doors import Door
    from bide.runtime.service.operations import Asks


class Uses:
    """The part of the operations on assets that is about using and letting out."""

    _reader: Asks
    _door: Door
    _clock: Clock

    async def may_use(
        self, asset: Asset | str, interval: object = None, purpose: str = "", by: str = ""
    ) -> MayUse:
        """Whether a consumer may use an asset for its purpose; the answer is on record.

        `interval` is a day, a month or FROM..TO, a `date`, a pair of dates or instants, or an interval; dates are
        read in the zone of the asset, or else of its DAG. Without it the newest version is meant.
        """
        asset = asset_name(asset)
        zone = await self._reader.ask(Reader.read, lambda conn: asset_reads.zone(conn, asset))
        span = (None, None) if interval is None else read_interval(interval, zone)
        args = {"asset": asset, "start_us": span[0], "end_us": span[1], "purpose": purpose, "by": by}
        args["at_us"] = self._clock.now()
        answer = await self._door.command("asset_use", args)
        decision = answer["decision"]
        return MayUse(
            asset=asset,
            purpose=purpose,
            allowed=answer["allowed"],
            level=decision["level"],
            reason=decision["reason"],
            retryable=decision.get("retryable", False),
            issues=_issues(decision.get("issues", ())),
            limits=tuple(decision.get("limits", ())),
            versions=tuple(_used(each) for each in answer["versions"]),
            contract=None if answer["contract"] is None else str(answer["contract"]),
            id=decision["id"],
        )

    async def decisions(
        self,
        asset: Asset | str | None = None,
        run: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[DecisionLine]:
        """What was decided, the newest first: of an asset, of a run, or of all."""
        asset = None if asset is None else asset_name(asset)
        if not 1 <= limit <= 100_000:
            raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
        run_id = None if run is None else run_number(run)
        last = before_number(before)
        return await self._reader.ask(
            Reader.read,
            lambda conn: [_line(each) for each in reads.decisions(conn, asset, run_id, limit, last)],
        )

    async def made_by(self, instance_id: int) -> tuple[tuple[str, str], ...]:
        """What became of the versions that a task instance made, in words."""
        found = await self._reader.ask(Reader.read, lambda conn: reads.made_by(conn, instance_id))
        return tuple(_told(each) for each in found)

    async def publish(self, version: str | int, by: str, why: str) -> Done:
        """Let out a version that its gates or contracts hold back."""
        args = {"version_id": asset_version_number(version), "by": by, "why": why}
        answer = await self._door.command("asset_publish", args)
        return Done(done=f"version {version} of {answer['asset']} is {answer['state']}", result=answer)

    async def degrade(
        self,
        version: str | int,
        limitations: Sequence[str],
        by: str,
        why: str,
        expires: str | date | None = None,
    ) -> Done:
        """Accept a version with its known limitations, until an instant or for good."""
        args: dict[str, Any] = {
            "version_id": asset_version_number(version),
            "limitations": list(limitations),
            "by": by,
            "why": why,
            "expires_us": None if expires is None else read_date(expires),
        }
        answer = await self._door.command("asset_degrade", args)
        until = "" if expires is None else f" until {expires}; then it is invalidated"
        return Done(
            done=f"version {version} of {answer['asset']} is degraded, with limitations that {by} accepted{until}",
            result=answer,
        )


def _told(row: reads.MadeRead) -> tuple[str, str]:
    """What became of a version that a task made."""
    held = " and not let out" if row.held == 1 else ", by a shadow run" if row.shadow else ""
    reason = f": {row.reason}" if row.reason else ""
    return f"{row.asset} version {row.version}", f"{row.state}{held}{reason}"


def _used(version: dict[str, Any]) -> UsedLine:
    return UsedLine(
        version=str(version["version_id"]),
        interval=Interval(start=iso(version["start_us"]), end=iso(version["end_us"])),
        state=version["state"],
        label=version.get("label", ""),
        limits=tuple(version.get("limits", ())),
    )


def _issues(issues: Any) -> tuple[IssueLine, ...]:
    return tuple(typed.convert(each, IssueLine) for each in issues)


def _line(row: reads.DecisionRead) -> DecisionLine:
    return DecisionLine(
        id=str(row.decision_id),
        at=iso(row.at_us),
        phase=row.phase,
        asset=row.asset,
        interval=Interval(start=iso(row.start_us), end=iso(row.end_us)),
        consumer=row.consumer,
        level=row.level,
        retryable=bool(row.retryable),
        reason=row.reason,
        issues=_issues(msgspec.json.decode(row.issues)),
        run_id=None if row.run_id is None else str(row.run_id),
        task=row.task,
        version=None if row.version is None else str(row.version),
        by=row.by,
    )
