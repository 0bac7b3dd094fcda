"""Quality gates: a check of an asset's candidate version, and what its result decides (S1-7g, B40)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import msgspec

from bide.runtime.assets.asset import Asset, check_asset_name
from bide.runtime.assets.words import Severity
from bide.runtime.errors import GraphError


class Check(msgspec.Struct, frozen=True):
    """What one gate found. `observed` and `expected` are JSON, shown to people and kept as evidence."""

    passed: bool
    observed: Any = None
    expected: Any = None
    message: str = ""


class CheckResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one gate found of a version, on its way to its row."""

    name: str
    severity: Severity
    passed: bool
    observed: Any = None
    expected: Any = None
    message: str = ""
    owner: str = ""

    @property
    def words(self) -> str:
        """`rows (critical): observed 0, expected at least 1`."""
        said = self.message or ", ".join(
            f"{what} {value}" for what, value in (("observed", self.observed), ("expected", self.expected))
            if value is not None
        )  # fmt: skip
        return f"{self.name} ({self.severity.value}){': ' + said if said else ''}"


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


Fn = Callable[..., Any]


@overload
def gate(
    asset: Asset | str, fn: Fn, /, *more: Fn, severity: Severity | str = ..., owner: str = ...
) -> None: ...


@overload
def gate(
    asset: Asset | str, /, *, severity: Severity | str = ..., owner: str = ..., name: str = ...
) -> Callable[[Fn], Fn]: ...


def gate(
    asset: Asset | str,
    /,
    *fns: Fn,
    severity: Severity | str = Severity.MAJOR,
    owner: str = "",
    name: str = "",
) -> Callable[[Fn], Fn] | None:
    """Declare a gate of an asset: `@gate(gold, severity="critical")` on a function, or ready ones in the call.

    The function, sync or async, takes what is staged (`Staged`) and returns a `Check`, or a bool. It is run when
    the task that makes the asset has succeeded, or by `validate()` in its body. `severity` says what its failure
    does: `critical` puts the version into quarantine, `major` holds it back, `minor` and `warning` stay on it as
    known limitations, `info` is only noted. One that raises has failed. `owner` is told, else the asset's.

    `gate(gold, rows(min=1), no_nulls("case_id"), severity="critical")` declares ready ones of `bide.gates`.
    Raises `GraphError` for a severity that does not exist, and for two gates of one name.
    """
    of = asset.name if isinstance(asset, Asset) else check_asset_name(asset)
    known = {each.value: each for each in Severity}
    if str(severity) not in known:
        raise GraphError(f"a gate of {of!r}: severity is {severity!r}, and must be one of {', '.join(known)}")

    def declare(fn: Fn, called: str = "") -> Fn:
        from bide.runtime.assets.declarations import declare_gate

        doc = (getattr(fn, "__doc__", None) or "").strip().partition("\n")[0]
        spec = GateSpec(of, called or fn.__name__, known[str(severity)], owner, doc)
        declare_gate(Gate(spec, fn))
        return fn

    if fns:
        for fn in fns:
            declare(fn)
        return None
    return lambda fn: declare(fn, name)
