"""What is said of OpenLineage: where events go, and under which namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.errors import UsageError

TRANSPORTS: Final = ("http", "file", "console")


class OpenLineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`transport` is what the official client takes: `{"type": "http", "url": "http://collector:5000"}` or
    `{"type": "file", "log_file_path": "lineage.jsonl"}`; a value under `auth` may name a secret, `"env:TOKEN"`.

    `namespace` is that of jobs and assets. `backlog`: the first time, what is in the journal already is sent as well.
    """

    transport: dict[str, Any]
    namespace: str = "bide"
    backlog: bool = False

    def __post_init__(self) -> None:
        kind = self.transport.get("type")
        if kind not in TRANSPORTS:
            raise UsageError(
                f"openlineage: transport.type is {kind!r}, and must be one of {', '.join(TRANSPORTS)}"
            )
        need = {"http": "url", "file": "log_file_path"}.get(kind)
        if need is not None and not isinstance(self.transport.get(need), str):
            raise UsageError(f"openlineage: the {kind} transport needs {need}: say where events go")
        if not self.namespace:
            raise UsageError("openlineage: namespace is empty: say which jobs and assets these are")


def openlineage_of(said: OpenLineage | Mapping[str, Any] | None) -> OpenLineage | None:
    """What was said, as an `OpenLineage`; `UsageError` for keys that there are not."""
    if said is None or isinstance(said, OpenLineage):
        return said
    try:
        return typed.convert(dict(said), OpenLineage)
    except msgspec.ValidationError as error:
        raise UsageError(f"openlineage: {error}") from None
