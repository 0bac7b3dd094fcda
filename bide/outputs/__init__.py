"""Files, folders and objects that a task makes: written aside, checked, published whole or not at all.

    async with outputs.open(ctx, "out/{interval.start:%Y-%m-%d}.parquet") as out:
        write(out.path)
        out.validate(has_rows)
    return out.result

What is at the target is the old version or the new one, whole, at every instant and after a kill -9.
"""

from __future__ import annotations

from bide.outputs.output import Output, open  # noqa: A004 - `outputs.open` reads as what it is

__all__ = ["Output", "open"]
