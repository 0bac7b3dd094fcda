"""A manifest: one task writes what there is to do into a file, and mapped instances each read their part of it.

For a hundred thousand files, or more than an output can hold: what goes through the database is a list of
ranges, and each instance takes a batch of lines.

bide run examples/manifest.py --param folder=/var/log --param batch=500
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from bide import Context, dag, task


@task
def write_manifest(ctx: Context) -> dict[str, Any]:
    """One line a file, sorted, under a name of this run: a rerun of what is below reads the same lines."""
    folder, batch = Path(ctx.params["folder"]), ctx.params["batch"]
    manifest = Path(ctx.params["manifests"]) / f"manifest-{ctx.run_id}.txt"
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    manifest.write_text("".join(f"{path}\n" for path in files))
    ranges = [[at, min(at + batch, len(files))] for at in range(0, len(files), batch)]
    return {"manifest": str(manifest), "ranges": ranges, "files": len(files)}


@task(retries=3, max_active=8, max_map=100_000)
def measure(lines: list[int], manifest: str, ctx: Context) -> int:
    """One instance a range of lines; it says how far it is, and is tried again alone."""
    first, last = lines
    size = 0
    with Path(manifest).open() as listed:
        for done, line in enumerate(islice(listed, first, last), 1):
            size += Path(line.rstrip("\n")).stat().st_size
            ctx.progress(done, last - first)
    return size


@task
def total(sizes: list[int], files: int) -> dict[str, int]:
    return {"files": files, "bytes": sum(sizes), "batches": len(sizes)}


@dag(params={"folder": ".", "manifests": "/tmp", "batch": 500})
def manifest() -> None:
    """Part of an output is mapped over; another part goes whole to every instance, by `partial`."""
    made = write_manifest()
    sizes = measure.partial(manifest=made["manifest"]).map(lines=made["ranges"])
    total(sizes, made["files"])
