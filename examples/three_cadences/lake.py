"""The landing zone: one file a batch, whole or not there, under a name that a repetition shares."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from examples.three_cadences.place import folder


def land(kind: str, name: str, records: Sequence[dict[str, object]]) -> str:
    """Write JSON lines beside their place, then move them there; its path."""
    place = folder() / "landing" / kind
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{name}.jsonl"
    part = file.with_suffix(".part")
    part.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    part.replace(file)
    return str(file)
