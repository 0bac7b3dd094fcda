"""Waiting for versions of an asset: seen by the engine itself, in the commit that publishes them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from bide.runtime.clock import from_us
from bide.runtime.spans import covers
from bide.triggers.base import ENGINE, Fire, NotYet, Trigger, Verdict


class AssetTrigger(Trigger, frozen=True, kw_only=True, tag="asset"):
    """A version of `asset` for the interval `[start_us, end_us)`.

    One of exactly that interval; with `cover`, versions that cover it together: 24 hours for a day,
    or a day for one of its hours. Plain data: the engine keeps these waits by asset and interval and
    wakes them itself; no source polls.
    """

    asset: str
    start_us: int
    end_us: int
    cover: bool = False

    def source_key(self) -> Hashable:
        return ENGINE

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        """`seen` are the versions that share something with the interval, in the order of publication."""
        span = (self.start_us, self.end_us)
        newest = {(row.start_us, row.end_us): row for row in seen or ()}
        if not self.cover:
            newest = {key: row for key, row in newest.items() if key == span}
            if not newest:
                return NotYet("there is no version of this interval yet")
        elif not newest:
            return NotYet("there is no version within this interval yet")
        elif not covers(span, newest):
            count = f"{len(newest)} interval{'' if len(newest) == 1 else 's'}"
            return NotYet(f"{count} of it are there, and do not cover it" if len(newest) > 1 else
                          f"{count} of it is there, and does not cover it")  # fmt: skip
        return Fire(
            {
                "asset": self.asset,
                "start_us": self.start_us,
                "end_us": self.end_us,
                "versions": [
                    {
                        "version": row.asset_version_id,
                        "run_id": row.run_id,
                        "start_us": row.start_us,
                        "end_us": row.end_us,
                    }
                    for _, row in sorted(newest.items(), key=lambda each: each[0])
                ],
            }
        )

    def describe(self) -> str:
        start, end = (from_us(at).isoformat(timespec="seconds") for at in (self.start_us, self.end_us))
        how = "all of " if self.cover else ""
        return f"asset {self.asset} for {how}{start if start == end else f'{start} to {end}'}"
