"""Ready gates: `gate(gold, rows(min=1), no_nulls("case_id"), severity="critical")`."""

from __future__ import annotations

from bide.runtime.assets.gates import fresh, in_range, no_nulls, rows, unique

__all__ = ["fresh", "in_range", "no_nulls", "rows", "unique"]
