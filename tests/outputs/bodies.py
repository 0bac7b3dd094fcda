"""A task for a process of its own: found there by its module and name."""

from __future__ import annotations

from typing import Any

from bide import Context, outputs, task


@task(isolate=True)
def in_a_process(folder: str, ctx: Context) -> Any:
    with outputs.open(ctx, folder + "/{task}.txt") as out:
        out.path.write_text(ctx.run_id)
    return out.result
