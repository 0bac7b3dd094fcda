"""Quality gates: a check of an asset's candidate version, and what its result decides (S1-7g, B40)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bide.runtime.assets.words import Severity


class Check(msgspec.Struct, frozen=True):
    """What one gate found. `observed` and `expected` are JSON, shown to people and kept as evidence."""

    passed: bool
    observed: Any = None
    expected: Any = None
    message: str = ""


class GateSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A gate as plain data: how bad it is when it fails, and who is told."""

    asset: str
    name: str
    severity: Severity = Severity.MAJOR
    owner: str = ""
    doc: str = ""


class Gate(msgspec.Struct, frozen=True):
    """A gate with its function, which takes the staged version and returns a `Check`."""

    spec: GateSpec
    fn: Callable[..., Any]
