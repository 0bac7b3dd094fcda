"""A task for each item of a list that is known only at run time; and shards, where items are many and small.

bide run examples/mapped.py --param folder=examples --param customers=1000
bide show 1
bide why 1 'count_lines[0]'
"""

from __future__ import annotations

from pathlib import Path

from bide import Context, dag, task


@task
def list_files(ctx: Context) -> list[str]:
    """What the mapped task below runs over: kept with the run, so that a restart finds the same list."""
    return sorted(str(path) for path in Path(ctx.params["folder"]).glob("*.py"))


@task(retries=2, max_active=4)
def count_lines(path: str, kind: str) -> int:
    """One instance a file, four at once, each with attempts, a log and retries of its own."""
    return len(Path(path).read_text().splitlines()) if kind == "lines" else Path(path).stat().st_size


@task
def list_customers(ctx: Context) -> list[int]:
    return list(range(ctx.params["customers"]))


@task
async def bill(ids: list[int], ctx: Context) -> int:
    """One instance for a hundred customers: a row, an attempt and a log for each hundred, not for each."""
    ctx.log.info("billing", shard=ctx.map_index, customers=len(ids))
    return len(ids)


@task
def report(lines: list[int], billed: list[int]) -> dict[str, int]:
    """An output of a mapped task is the list of what its instances returned, in order."""
    return {"files": len(lines), "lines": sum(lines), "shards": len(billed), "billed": sum(billed)}


@dag(params={"folder": ".", "customers": 250})
def mapped() -> None:
    lines = count_lines.partial(kind="lines").map(path=list_files())
    billed = bill.map(ids=list_customers(), shard=100)
    report(lines, billed)
