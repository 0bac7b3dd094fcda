"""`FileSensor`: waits for a file, or for files that match a pattern, fit to be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from os import PathLike, fspath
from pathlib import PurePath
from typing import Any, ClassVar, Unpack

from bide.runtime.errors import UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked
from bide.sensors.base import Sensor, SensorOptions, moment, moment_us
from bide.triggers.file import FileTrigger

Text = str | Callable[..., str] | Linked


class FileSensor(Sensor):
    """Waits until the file at `path`, or `count` files that match `glob`, are there and whole.

    Whole means: at least `min_size` bytes (default 1), unchanged for `settle` (default 2 s;
    `timedelta(0)`: as soon as its writer closes it), modified after `newer_than`, beside its
    `marker` (a name in the same folder, or from a dot on a suffix: `".done"`), with this `sha256`,
    and `contains` this text. `recursive` looks for the last part of `glob` in all folders below.

    Ends with `{"path", "size", "mtime", "paths", "count"}`.
    """

    __slots__ = ()

    kind = "file"
    samples: ClassVar[Mapping[str, Any]] = {
        "path": "file",
        "glob": "*",
        "marker": ".done",
        "sha256": "0" * 64,
        "contains": "text",
        "newer_than": 0,
    }

    def __init__(
        self,
        name: str,
        *,
        path: Text | PathLike[str] | None = None,
        glob: Text | PathLike[str] | None = None,
        min_size: int = 1,
        settle: timedelta = timedelta(seconds=2),
        newer_than: datetime | Text | None = None,
        marker: Text | None = None,
        sha256: Text | None = None,
        contains: Text | None = None,
        recursive: bool = False,
        count: int = 1,
        **options: Unpack[SensorOptions],
    ) -> None:
        self._title = f"the sensor {name!r}"
        params = {
            "path": fspath(path) if isinstance(path, PathLike) else path,
            "glob": fspath(glob) if isinstance(glob, PathLike) else glob,
            "min_size": min_size,
            "settle_us": self.span_param(settle, "settle"),
            "newer_than": moment(newer_than),
            "marker": marker,
            "sha256": sha256,
            "contains": contains,
            "recursive": recursive,
            "count": count,
        }
        super().__init__(name, params, options)

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> FileTrigger:
        given = dict(params)
        for key in ("path", "glob"):
            if key in given:
                given[key] = _under(facts.folder, given[key], key)
        newer_than = given.pop("newer_than", None)
        if newer_than is not None:
            given["newer_than_us"] = moment_us(newer_than, facts, "newer_than")
        for key, kind in (("min_size", int), ("count", int), ("recursive", bool)):
            if key in given and type(given[key]) is not kind:
                raise UsageError(f"{key} is {given[key]!r}, and must be of type {kind.__name__}")
        return FileTrigger(**given)


def _under(folder: str, path: Any, key: str) -> str:
    if isinstance(path, PathLike):
        path = fspath(path)
    if not isinstance(path, str) or not path.strip():
        raise UsageError(f"{key} is {path!r}, and must name a file")
    return str(PurePath(folder) / path)
