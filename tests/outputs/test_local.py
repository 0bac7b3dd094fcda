"""Outputs on a local disk: written aside, checked, published whole, and nothing left behind."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Cron, Every, dag, outputs, task
from bide.runtime.clock import HOUR
from bide.runtime.errors import OutputError, UsageError
from bide.testing import sim_runtime
from tests.outputs.stand_in import DAY_ONE, StandIn

DAILY = "out/{interval.start:%Y-%m-%d}.csv"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def publish(one: StandIn, text: str, target: str = DAILY, rows: int | None = None) -> dict[str, Any]:
    with outputs.open(one.ctx, target) as out:
        out.path.write_text(text)
        out.rows = rows
    return out.result


def test_s0_14b_s0_15c_a_file_is_published_under_the_name_of_its_interval(tmp_path: Path) -> None:
    assert publish(StandIn(tmp_path), "a,b\n", rows=1) == {
        "path": str(tmp_path / "out/2026-06-15.csv"), "size": 4, "sha256": hashlib.sha256(b"a,b\n").hexdigest(),
        "rows": 1,
    }  # fmt: skip
    assert names(tmp_path) == ["out", "out/2026-06-15.csv"]
    assert (tmp_path / "out/2026-06-15.csv").read_text() == "a,b\n"


def test_s0_11_the_path_is_of_the_data_and_not_of_the_day_it_runs(tmp_path: Path) -> None:
    """Made on the 16th of June, for the 15th: the run's own date stands nowhere."""
    day = StandIn(tmp_path)
    assert publish(day, "x", "{interval.start:%Y-%m-%d}_{interval.end:%Y-%m-%d}")["path"].endswith(
        "2026-06-15_2026-06-16"
    )
    berlin = StandIn(tmp_path, start=DAY_ONE - 2 * HOUR, tz="Europe/Berlin")
    assert publish(berlin, "x", "{interval.start:%Y-%m-%dT%H}")["path"].endswith("2026-06-15T00")


def test_s0_12_s0_14_hours_of_one_day_do_not_share_a_path_unheard(tmp_path: Path) -> None:
    ten = StandIn(tmp_path, start=DAY_ONE + 9 * HOUR, span=HOUR)
    publish(ten, "x")
    [warning] = ten.log.lines
    assert "is that of the next interval too" in warning
    assert "output=out/2026-06-15.csv next=2026-06-15T10:00:00+00:00" in warning
    ten.log.lines.clear()
    publish(ten, "x", "out/{interval.start:%Y-%m-%dT%H}.csv")
    publish(ten, "x", "out/{run_id}.csv")
    assert ten.log.lines == []
    publish(ten, "x", "out/{interval.start:%Y-%m-%dT%H}_{attempt}.csv")
    assert ["names the attempt" in line for line in ten.log.lines] == [True]


def test_s0_15_a_body_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    publish(StandIn(tmp_path), "old")
    with pytest.raises(ZeroDivisionError), outputs.open(StandIn(tmp_path, attempt=2).ctx, DAILY) as out:
        out.path.write_text("half")
        raise ZeroDivisionError
    assert names(tmp_path) == ["out", "out/2026-06-15.csv"]
    assert (tmp_path / "out/2026-06-15.csv").read_text() == "old"
    with pytest.raises(OutputError, match="not published yet"):
        _ = out.result


def test_s0_15b_a_check_that_says_no_or_raises_publishes_nothing(tmp_path: Path) -> None:
    publish(StandIn(tmp_path), "old")

    def has_rows(path: Path) -> bool:
        return path.read_text().count("\n") > 1

    def breaks(_path: Path) -> None:
        raise LookupError("no column amount")

    for check, error in ((has_rows, OutputError), (breaks, LookupError)):
        with pytest.raises(error), outputs.open(StandIn(tmp_path, attempt=2).ctx, DAILY) as out:
            out.path.write_text("header\n")
            out.validate(check)
    with (
        pytest.raises(OutputError, match="has_rows said no"),
        outputs.open(StandIn(tmp_path).ctx, DAILY) as out,
    ):
        out.validate(has_rows)
        out.path.write_text("header\n")
    assert names(tmp_path) == ["out", "out/2026-06-15.csv"]
    assert (tmp_path / "out/2026-06-15.csv").read_text() == "old"


def test_s0_15a_two_runs_and_two_attempts_never_mix(tmp_path: Path) -> None:
    """The last one published counts, whole; the other's parts are its own."""
    one, two, three = (
        StandIn(tmp_path, run=1),
        StandIn(tmp_path, run=2, attempt=2),
        StandIn(tmp_path, attempt=3),
    )
    with (
        outputs.open(one.ctx, DAILY) as a,
        outputs.open(two.ctx, DAILY) as b,
        outputs.open(three.ctx, DAILY) as c,
    ):
        assert len({a.path, b.path, c.path}) == 3
        for out, text in ((a, "1111"), (b, "2222"), (c, "3333")):
            out.path.write_text(text)
        assert not (tmp_path / "out/2026-06-15.csv").exists()
    assert (tmp_path / "out/2026-06-15.csv").read_text() == "1111"
    assert names(tmp_path) == ["out", "out/2026-06-15.csv"]


def test_what_a_living_attempt_writes_is_not_swept(tmp_path: Path) -> None:
    with outputs.open(StandIn(tmp_path).ctx, DAILY) as out:
        out.path.write_text("1")
        publish(StandIn(tmp_path, run=2), "2", "out/other.csv")
        assert out.path.exists()


def test_what_the_dead_have_left_is_swept_by_whoever_writes_there_next(tmp_path: Path) -> None:
    stale = tmp_path / "out/.2026-06-14.csv.0123456789ab.7.1.9-x1.bide-tmp"
    stale.mkdir(parents=True)
    (stale / "2026-06-14.csv").write_text("half")
    publish(StandIn(tmp_path), "x")
    assert names(tmp_path) == ["out", "out/2026-06-15.csv"]


def test_a_folder_is_swept_once_by_a_process_and_again_by_a_second_attempt(tmp_path: Path) -> None:
    publish(StandIn(tmp_path), "x")
    (tmp_path / "out/.x.1-a.bide-tmp").mkdir()  # as a process of its own leaves it that is killed
    publish(StandIn(tmp_path), "x")
    assert names(tmp_path) == ["out", "out/.x.1-a.bide-tmp", "out/2026-06-15.csv"]
    publish(StandIn(tmp_path, attempt=2), "x")
    assert names(tmp_path) == ["out", "out/2026-06-15.csv"]


def test_a_callable_names_the_target_and_is_no_template(tmp_path: Path) -> None:
    one = StandIn(tmp_path)
    with outputs.open(one.ctx, lambda ctx: f"{{{ctx.interval.start:%d}}}") as out:
        out.path.write_text("x")
    assert (names(tmp_path), one.log.lines) == (["{15}"], [])


def test_an_attempt_that_was_told_to_stop_publishes_nothing(tmp_path: Path) -> None:
    one = StandIn(tmp_path)
    with pytest.raises(OutputError, match="told to stop"), outputs.open(one.ctx, DAILY) as out:
        out.path.write_text("late")
        one.stopping = True
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "nothing was written"),
        (lambda path: path.mkdir(), "no plain file"),
        (lambda path: path.symlink_to("/etc/hostname"), "no plain file"),
    ],
)
def test_what_is_no_file_is_not_published(tmp_path: Path, make: Any, said: str) -> None:
    with pytest.raises(OutputError, match=said), outputs.open(StandIn(tmp_path).ctx, DAILY) as out:
        make(out.path)
    assert names(tmp_path) == ["out"]


def test_a_target_that_is_a_folder_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "out/2026-06-15.csv").mkdir(parents=True)
    with pytest.raises(OutputError, match="move away what is there"):
        publish(StandIn(tmp_path), "x")
    assert names(tmp_path) == ["out", "out/2026-06-15.csv"]


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("out/{nonesuch}", {}, "nonesuch"),
        ("/", {}, "names no file"),
        ("out/x", {"options": {"region": "eu"}}, "options are for object stores"),
        ("s3://bucket", {}, "names no object"),
        ("s3://bucket/x", {"aside": "tmp"}, "no disk to write aside on"),
        ("s3://bucket/x", {"folder": True}, "local folders"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(
    tmp_path: Path, target: str, options: Any, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        outputs.open(StandIn(tmp_path).ctx, target, **options)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written in"):
        publish(StandIn(tmp_path), "x")


# --- folders -----------------------------------------------------------------------------------------


def partition(one: StandIn, **files: str) -> dict[str, Any]:
    with outputs.open(one.ctx, "day={interval.start:%Y-%m-%d}", folder=True) as out:
        for name, text in files.items():
            path = out.path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return out.result


def seen(tmp_path: Path) -> dict[str, str]:
    target = tmp_path / "day=2026-06-15"
    return {str(p.relative_to(target)): p.read_text() for p in target.rglob("*") if p.is_file()}


def test_s0_15c_a_partition_is_swapped_whole_and_keeps_no_file_of_the_version_before(tmp_path: Path) -> None:
    first = partition(StandIn(tmp_path), a="1", b="22", deep__c="333")
    assert (first["files"], first["size"], first["path"]) == (3, 6, str(tmp_path / "day=2026-06-15"))
    reader = (tmp_path / "day=2026-06-15").resolve()
    second = partition(StandIn(tmp_path, attempt=2), a="4")
    assert seen(tmp_path) == {"a": "4"}
    assert second["sha256"] != first["sha256"]
    assert (reader / "deep/c").read_text() == "333"  # for who has begun to read it
    partition(StandIn(tmp_path, attempt=3), a="5")
    assert not reader.exists()
    assert len(list(tmp_path.iterdir())) == 3  # the link, its version, the one before
    assert partition(StandIn(tmp_path, attempt=4), a="4")["sha256"] == second["sha256"]


def test_s0_15d_a_partition_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    partition(StandIn(tmp_path), a="1")
    again = outputs.open(StandIn(tmp_path).ctx, "day={interval.start:%Y-%m-%d}", folder=True)
    with pytest.raises(ZeroDivisionError), again as out:
        (out.path / "a").write_text("half")
        raise ZeroDivisionError
    with pytest.raises(OutputError, match="no file was written"):
        partition(StandIn(tmp_path))
    assert seen(tmp_path) == {"a": "1"}
    assert len(list(tmp_path.iterdir())) == 2


def test_versions_of_a_target_with_a_longer_name_are_left_alone(tmp_path: Path) -> None:
    for n in range(3):
        for name in ("a", "a.b", "a.b.c"):
            with outputs.open(StandIn(tmp_path, run=n + 1).ctx, name, folder=True) as out:
                (out.path / "file").write_text(f"{name}{n}")
    assert [(tmp_path / name / "file").read_text() for name in ("a", "a.b", "a.b.c")] == [
        "a2",
        "a.b2",
        "a.b.c2",
    ]


def test_a_folder_that_is_no_link_is_not_swapped(tmp_path: Path) -> None:
    (tmp_path / "day=2026-06-15").mkdir()
    with pytest.raises(OutputError, match="no link to a version"):
        partition(StandIn(tmp_path), a="1")


def test_s0_12_who_reads_a_whole_tree_sees_no_half_and_no_old_version_with_an_aside_outside_of_it(
    tmp_path: Path,
) -> None:
    """Some readers look into hidden folders as well."""
    lake = tmp_path / "lake"

    def read() -> list[str]:
        found = [Path(root, name) for root, _, files in os.walk(lake, followlinks=True) for name in files]
        return sorted(path.read_text() for path in found if path.suffix == ".csv")

    for n in range(3):
        for day in (1, 2):
            one = StandIn(tmp_path, run=n * 2 + day, start=DAY_ONE + day * 24 * HOUR)
            target = "lake/day={interval.start:%d}"
            with outputs.open(one.ctx, target, folder=True, aside="aside") as out:
                (out.path / "a.csv").write_text("half")
                assert "half" not in read()
                (out.path / "a.csv").write_text(f"{day}:{n}")
        with outputs.open(StandIn(tmp_path, run=n).ctx, "lake/one.csv", aside=tmp_path / "aside") as out:
            out.path.write_text("half")
            assert "half" not in read()
            out.path.write_text(f"one:{n}")
        assert read() == [f"1:{n}", f"2:{n}", f"one:{n}"]
    assert sorted(path.name for path in lake.iterdir()) == ["day=16", "day=17", "one.csv"]


def test_an_aside_on_another_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="on another disk"):
        outputs.open(StandIn(tmp_path).ctx, DAILY, aside=Path("/proc")).__enter__()


# --- in tasks ----------------------------------------------------------------------------------------


async def test_s0_14_s0_15_tasks_of_all_lanes_publish_and_return_what_they_made(tmp_path: Path) -> None:
    """The interval is in what a task is given (a) and in the path of what it makes (b)."""

    @task
    async def in_the_loop(ctx: Context) -> Any:
        async def whole(path: Path) -> bool:
            return path.read_text() == str(ctx.interval)

        async with outputs.open(ctx, str(tmp_path / "{task}/{interval.start:%Y-%m-%dT%H}")) as out:
            out.path.write_text(str(ctx.interval))
            out.validate(whole)
            out.validate(Path.is_file)
        return out.result

    @task
    def in_a_thread(made: dict[str, Any], ctx: Context) -> Any:
        with outputs.open(ctx, lambda c: f"{tmp_path}/{c.task}/{c.interval.start:%H}") as out:
            out.path.write_text(Path(made["path"]).read_text())
            out.rows = 1
        return out.result

    @dag(schedule=Every(hours=1))
    def hourly() -> None:
        in_a_thread(in_the_loop())

    async with sim_runtime([hourly], start="2026-06-15T10:00") as rt:
        result = await rt.wait("1")
    assert result.state == "success"
    assert Path(result.outputs["in_the_loop"]["path"]).name == "2026-06-15T09"
    assert result.outputs["in_a_thread"]["rows"] == 1
    assert (tmp_path / "in_a_thread/09").read_text() == "2026-06-15T09:00:00+00:00/2026-06-15T10:00:00+00:00"


async def test_s0_11_s0_12_s0_14_what_a_task_is_given_is_the_interval_and_not_the_time_of_its_run() -> None:
    """The day's run is made on the 16th, for the 15th; the hour's at ten, for nine to ten."""
    seen: dict[str, list[str]] = {"day": [], "hour": []}

    @task
    async def notes(which: str, ctx: Context) -> None:
        start, end = ctx.interval
        seen[which].append(f"{start:%dT%H} {end:%dT%H} {ctx.scheduled_for:%dT%H} {ctx.logical_date:%dT%H}")

    @dag(schedule=Cron("0 2 * * *", interval="day"), start="2026-06-16")
    def daily() -> None:
        notes("day")

    @dag(schedule=Cron("0 * * * *"), start="2026-06-16T10:00", end="2026-06-16T11:00")
    def hours() -> None:
        notes("hour")

    async with sim_runtime([daily, hours], start="2026-06-15T12:00") as rt:
        await rt.clock.advance(timedelta(hours=23))
    assert seen == {"day": ["15T00 16T00 16T02 15T00"], "hour": ["16T09 16T10 16T10 16T09"]}


async def test_an_async_output_that_fails_or_is_cut_leaves_nothing(tmp_path: Path) -> None:
    async def no(_path: Path) -> bool:
        return False

    for error, check in ((OutputError, no), (OutputError, lambda path: False), (ZeroDivisionError, None)):
        with pytest.raises(error):
            async with outputs.open(StandIn(tmp_path).ctx, DAILY) as out:
                out.path.write_text("x")
                if check is None:
                    raise ZeroDivisionError
                out.validate(check)
    with pytest.raises(UsageError, match="no is async"), outputs.open(StandIn(tmp_path).ctx, DAILY) as out:
        out.path.write_text("x")
        out.validate(no)
    assert names(tmp_path) == ["out"]


def test_rows_are_a_number(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole number"):
        publish(StandIn(tmp_path), "x", rows="many")  # type: ignore[arg-type]
    assert names(tmp_path) == ["out"]
