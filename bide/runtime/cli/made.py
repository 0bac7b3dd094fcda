"""What a run was made of, on the terminal: why and by whom, the version of its graph, its parameters."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bide.runtime.cli.output import clean
from bide.runtime.service.shapes import RunShown


def made_lines(run: RunShown) -> Iterator[str]:
    """Lines of `bide show`."""
    by = f", asked for by {run.who}" if run.who else ""
    why = f", made as {run.made}" if run.made else ""
    yield clean(f"graph {run.version[:12]}{why}{by}")
    if run.params is None:
        yield f"its parameters have {run.params_bytes:,} bytes: more than is shown"
    for name, value in (run.params or {}).items():
        text = value if isinstance(value, str) and name in run.hidden else msgspec.json.encode(value).decode()
        cut = text if len(text) <= 200 else f"{text[:200]}... {len(text):,} characters, --json has them all"
        yield clean(f"param {name} = {cut}")
