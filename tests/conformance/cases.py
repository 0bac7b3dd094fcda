"""What each option of each sensor means, as data: a world in which the wait ends, and one in which it does not.

A case is driven through every mode (deferred, reschedule, poke) by whoever runs this table:
make the world `before`, start the sensor, check that it is still waiting when `before` is not
enough, make the world `after`, and compare how it ends. A world is a tuple of steps; a step is
`(verb, argument, ...)`, and paths in it are relative to a folder of the test's own:

    ("write", path, text)            a whole file, closed
    ("touch", path)  ("mkdir", path)  ("remove", path)  ("rename", old, new)
    ("age", path, seconds)           set its times back, as far as the system allows
    ("serve", path, status, body)    the test server answers `path` so from now on
    ("produce", topic, partition, n) n records are appended
    ("commit", group, topic, partition, offset)
    ("put", key, text)               an object is there
    ("answer", value)                the predicate returns it from now on; "raise" raises
    ("end", dag, task, state)        that task, or with None that run, ends so
    ("publish", date)                the version of the asset `orders` for that day is there
    ("pass", seconds)                time passes

In parameters `{folder}`, `{server}`, `{broker}` and `{bucket}` are filled in by the driver.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, NamedTuple

Step = tuple[Any, ...]
SECOND: Final = timedelta(seconds=1)
NONE: Final = timedelta(0)


class Case(NamedTuple):
    """`ends` is the state the sensor must reach; "waiting": it must still wait after `after`."""

    name: str
    sensor: str
    params: dict[str, Any]
    before: tuple[Step, ...]
    after: tuple[Step, ...]
    ends: str = "success"
    event: dict[str, Any] | None = None  # keys and values its output must hold; None: any
    enough: bool = False  # `before` is enough already: true when the sensor begins


_A: Final = "{folder}/a"
_SHA_OF_RIGHT: Final = "27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9"


def _file(
    name: str, before: tuple[Step, ...], after: tuple[Step, ...], ends: str = "success", **params: Any
) -> Case:
    given = {"settle": NONE, **params}
    if "glob" not in given:
        given.setdefault("path", _A)
    return Case(f"file-{name}", "FileSensor", given, before, after, ends)


FILES: Final = (
    _file("path", (), (("write", "a", "x"),)),
    _file("path-there", (("write", "a", "x"), ("age", "a", 60)), ())._replace(enough=True),
    _file("other-name", (), (("write", "b", "x"),), "waiting"),
    _file("min_size", (("write", "a", "xx"),), (("write", "a", "xxx"),), min_size=3),
    _file("min_size-not", (), (("write", "a", "xx"),), "waiting", min_size=3),
    _file("empty-by-default-not", (), (("touch", "a"),), "waiting"),
    _file("empty-asked", (), (("touch", "a"),), min_size=0),
    _file("settle", (), (("write", "a", "x"), ("pass", 2)), settle=SECOND),
    _file("settle-not", (), (("write", "a", "x"),), "waiting", settle=timedelta(hours=1)),
    _file("newer_than", (), (("write", "a", "x"),), newer_than="2020-01-01T00:00:00"),
    _file("newer_than-not", (), (("write", "a", "x"),), "waiting", newer_than="2120-01-01T00:00:00"),
    _file("marker-suffix", (("write", "a", "x"),), (("touch", "a.ok"),), marker=".ok"),
    _file("marker-name", (("write", "a", "x"),), (("touch", "_DONE"),), marker="_DONE"),
    _file("marker-not", (), (("write", "a", "x"),), "waiting", marker=".ok"),
    _file("marker-alone", (), (("touch", "a.ok"),), "waiting", marker=".ok"),
    _file("contains", (("write", "a", "some text"),), (("write", "a", "some END text"),), contains="END"),
    _file("contains-not", (), (("write", "a", "some text"),), "waiting", contains="END"),
    _file(
        "sha256",
        (("write", "a", "wrong"),),
        (("write", "a", "right"),),
        sha256=_SHA_OF_RIGHT,
    ),
    _file("sha256-not", (), (("write", "a", "wrong"),), "waiting", sha256=_SHA_OF_RIGHT),
    _file("glob", (("write", "x.txt", "x"),), (("write", "x.csv", "x"),), glob="{folder}/*.csv"),
    _file("glob-not", (), (("write", "x.txt", "x"),), "waiting", glob="{folder}/*.csv"),
    _file("count", (("write", "1.csv", "x"),), (("write", "2.csv", "x"),), glob="{folder}/*.csv", count=2),
    _file("count-not", (), (("write", "1.csv", "x"),), "waiting", glob="{folder}/*.csv", count=2),
    _file(
        "recursive",
        (),
        (("mkdir", "deep/er"), ("write", "deep/er/x.csv", "x")),
        glob="{folder}/*.csv",
        recursive=True,
    ),
    _file(
        "recursive-not",
        (),
        (("mkdir", "deep"), ("write", "deep/x.csv", "x")),
        "waiting",
        glob="{folder}/*.csv",
    ),
    _file(
        "missing-folder", (), (("mkdir", "in/here"), ("write", "in/here/a", "x")), path="{folder}/in/here/a"
    ),
    _file("renamed", (("write", "a.tmp", "x"),), (("rename", "a.tmp", "a"),)),
    _file("folder-not", (), (("mkdir", "a"),), "waiting"),
)

TIMES: Final = (
    Case("time-delta", "TimeSensor", {"delta": 5 * SECOND}, (), (("pass", 6),)),
    Case("time-delta-not", "TimeSensor", {"delta": timedelta(hours=1)}, (), (("pass", 6),), "waiting"),
    Case("time-past", "TimeSensor", {"at": "2020-01-01T00:00:00"}, (), (), enough=True),
    Case("time-future", "TimeSensor", {"at": "2120-01-01T00:00:00"}, (), (("pass", 6),), "waiting"),
)


def _http(name: str, before: Step, after: Step, ends: str = "success", **params: Any) -> Case:
    return Case(f"http-{name}", "HttpSensor", {"url": "{server}/x", **params}, (before,), (after,), ends)


_404: Final = ("serve", "/x", 404, "")
_OK: Final = ("serve", "/x", 200, '{"state": "done", "rows": 3}')

HTTP: Final = (
    _http("status", _404, _OK),
    _http("status-not", _404, ("serve", "/x", 500, ""), "waiting"),
    _http("expect_status", _OK, ("serve", "/x", 202, ""), expect_status=202),
    _http("expect_status-not", _404, _OK, "waiting", expect_status=202),
    _http("fail_on", _404, ("serve", "/x", 410, ""), "failed", fail_on=410),
    _http("fail_on-other", _404, ("serve", "/x", 403, ""), "waiting", fail_on=410),
    _http("json_path", ("serve", "/x", 200, "{}"), _OK, json_path="$.state"),
    _http("json_path-not", _404, ("serve", "/x", 200, '{"state": null}'), "waiting", json_path="$.state"),
    _http("equals", ("serve", "/x", 200, '{"state": "busy"}'), _OK, json_path="$.state", equals="done"),
    _http("equals-not", _404, _OK, "waiting", json_path="$.state", equals="busy"),
    _http("contains", ("serve", "/x", 200, "busy"), _OK, contains="done"),
    _http("contains-not", _404, ("serve", "/x", 200, "busy"), "waiting", contains="done"),
    _http("method", _404, _OK, method="POST", body={"a": 1}),
    _http("headers", _404, _OK, headers={"X-Run": "{{run_id}}"}),
    _http("max_rps", _404, _OK, max_rps=5.0),
)

_KAFKA: Final = {"bootstrap": "{broker}", "topic": "t"}

KAFKA: Final = (
    Case(
        "kafka-min",
        "KafkaOffsetSensor",
        {**_KAFKA, "offset": 2},
        (("produce", "t", 0, 2), ("produce", "t", 1, 1)),
        (("produce", "t", 1, 1),),
    ),
    Case(
        "kafka-min-not",
        "KafkaOffsetSensor",
        {**_KAFKA, "offset": 2},
        (("produce", "t", 1, 1),),
        (("produce", "t", 0, 2),),
        "waiting",
    ),
    Case(
        "kafka-any",
        "KafkaOffsetSensor",
        {**_KAFKA, "offset": 2, "across": "any"},
        (("produce", "t", 0, 1),),
        (("produce", "t", 0, 1),),
    ),
    Case(
        "kafka-sum",
        "KafkaOffsetSensor",
        {**_KAFKA, "offset": 3, "across": "sum"},
        (("produce", "t", 0, 1),),
        (("produce", "t", 1, 2),),
    ),
    Case(
        "kafka-partitions",
        "KafkaOffsetSensor",
        {**_KAFKA, "offset": 1, "partitions": [1]},
        (("produce", "t", 0, 5),),
        (("produce", "t", 1, 1),),
    ),
    Case(
        "kafka-lag",
        "KafkaOffsetSensor",
        {**_KAFKA, "lag_below": ("g", 1)},
        (("produce", "t", 0, 3), ("commit", "g", "t", 0, 1), ("commit", "g", "t", 1, 0)),
        (("commit", "g", "t", 0, 3),),
    ),
)


def _object(
    name: str, before: tuple[Step, ...], after: tuple[Step, ...], ends: str = "success", **params: Any
) -> Case:
    return Case(f"object-{name}", "ObjectSensor", params, before, after, ends)


OBJECTS: Final = (
    _object("key", (), (("put", "day/a", "x"),), url="{bucket}/day/a"),
    _object("key-not", (), (("put", "day/b", "x"),), "waiting", url="{bucket}/day/a"),
    _object("prefix-count", (("put", "day/a", "x"),), (("put", "day/b", "x"),), url="{bucket}/day/", count=2),
    _object("glob", (("put", "day/a.txt", "x"),), (("put", "day/a.csv", "x"),), url="{bucket}/day/*.csv"),
    _object("min_size", (("put", "a", "x"),), (("put", "a", "xxx"),), url="{bucket}/a", min_size=3),
    _object("empty-not", (), (("put", "a", ""),), "waiting", url="{bucket}/a"),
    _object(
        "newer_than-not",
        (),
        (("put", "a", "x"),),
        "waiting",
        url="{bucket}/a",
        newer_than="2120-01-01T00:00:00",
    ),
)

PYTHON: Final = (
    Case("python-true", "PythonSensor", {}, (("answer", None),), (("answer", {"n": 3}),), event={"n": 3}),
    Case("python-falsy", "PythonSensor", {}, (("answer", None),), (("answer", 0),), "waiting"),
    Case("python-raises", "PythonSensor", {}, (("answer", "raise"),), (("answer", True),)),
)

_OTHER: Final = {"dag": "other", "task": "load"}

EXTERNAL: Final = (
    Case("external-task", "ExternalTaskSensor", _OTHER, (), (("end", "other", "load", "success"),)),
    Case("external-run", "ExternalTaskSensor", {"dag": "other"}, (), (("end", "other", None, "success"),)),
    Case(
        "external-over", "ExternalTaskSensor", _OTHER, (("end", "other", "load", "success"),), (), enough=True
    ),
    Case(
        "external-other-task",
        "ExternalTaskSensor",
        _OTHER,
        (),
        (("end", "other", "tail", "success"),),
        "waiting",
    ),
    Case(
        "external-failed", "ExternalTaskSensor", _OTHER, (), (("end", "other", "load", "failed"),), "failed"
    ),
    Case(
        "external-skipped", "ExternalTaskSensor", _OTHER, (), (("end", "other", "load", "skipped"),), "failed"
    ),
    Case(
        "external-states",
        "ExternalTaskSensor",
        {**_OTHER, "states": ("failed",)},
        (),
        (("end", "other", "load", "failed"),),
    ),
    Case(
        "external-fail_on-none",
        "ExternalTaskSensor",
        {**_OTHER, "fail_on": ()},
        (),
        (("end", "other", "load", "failed"),),
        "waiting",
    ),
    Case(
        "external-delta-not",
        "ExternalTaskSensor",
        {**_OTHER, "delta": timedelta(days=-1)},
        (),
        (("end", "other", "load", "success"),),
        "waiting",
    ),
)

_DAILY: Final = {"dag": "maker", "task": "make", "interval": "day", "cover": True}

COVERED: Final = (
    Case("external-cover", "ExternalTaskSensor", _DAILY, (), (("publish", "2026-06-15"),)),
    Case("external-cover-there", "ExternalTaskSensor", _DAILY, (("publish", "2026-06-15"),), (), enough=True),
    Case("external-cover-not", "ExternalTaskSensor", _DAILY, (), (("publish", "2026-06-16"),), "waiting"),
    Case(
        "external-cover-part", "ExternalTaskSensor", {**_DAILY, "interval": "week"}, (),
        (("publish", "2026-06-15"), ("publish", "2026-06-17")), "waiting",
    ),
)  # fmt: skip

_ORDERS: Final = {"asset": "orders", "interval": "day"}
_DAY: Final = timedelta(days=1)

ASSETS: Final = (
    Case("asset-day", "AssetSensor", _ORDERS, (), (("publish", "2026-06-15"),)),
    Case("asset-there", "AssetSensor", _ORDERS, (("publish", "2026-06-15"),), (), enough=True),
    Case("asset-other-day", "AssetSensor", _ORDERS, (), (("publish", "2026-06-16"),), "waiting"),
    Case("asset-other", "AssetSensor", {**_ORDERS, "asset": "rates"}, (), (("publish", "2026-06-15"),), "waiting"),
    Case("asset-delta", "AssetSensor", {**_ORDERS, "delta": -_DAY}, (), (("publish", "2026-06-14"),)),
    Case(
        "asset-delta-not", "AssetSensor", {**_ORDERS, "delta": -_DAY}, (), (("publish", "2026-06-15"),), "waiting"
    ),
    Case("asset-month-not", "AssetSensor", {**_ORDERS, "interval": "month"}, (), (("publish", "2026-06-15"),), "waiting"),
    Case("asset-same", "AssetSensor", {"asset": "load"}, (), (("end", "other", "load", "success"),)),
    Case("asset-same-not", "AssetSensor", {"asset": "orders"}, (), (("publish", "2026-06-15"),), "waiting"),
    Case("asset-failed", "AssetSensor", {"asset": "load"}, (), (("end", "other", "load", "failed"),), "waiting"),
)  # fmt: skip

_SHORT: Final = {"path": _A, "timeout": 3 * SECOND, "poll_interval": SECOND}
_WAIT: Final = (("pass", 4),)

COMMON: Final = (
    Case("common-timeout", "FileSensor", _SHORT, (), _WAIT, "failed"),
    Case("common-soft_fail", "FileSensor", {**_SHORT, "soft_fail": True}, (), _WAIT, "skipped"),
    Case("common-on_timeout-skip", "FileSensor", {**_SHORT, "on_timeout": "skip"}, (), _WAIT, "skipped"),
    Case("common-on_timeout-succeed", "FileSensor", {**_SHORT, "on_timeout": "succeed"}, (), _WAIT),
    Case(
        "common-soft_fail-fail",
        "HttpSensor",
        {"url": "{server}/x", "fail_on": 410, "soft_fail": True},
        (_404,),
        (("serve", "/x", 410, ""),),
        "skipped",
    ),
    Case(
        "common-backoff",
        "FileSensor",
        {"path": _A, "settle": NONE, "poll_interval": SECOND, "backoff": 2.0},
        (),
        (("write", "a", "x"),),
    ),
)

CASES: Final = (*FILES, *TIMES, *HTTP, *KAFKA, *OBJECTS, *PYTHON, *EXTERNAL, *COVERED, *ASSETS, *COMMON)
