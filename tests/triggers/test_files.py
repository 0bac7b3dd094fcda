"""T13: file waits on a real file system, with inotify and without; waiting is for events, with a limit."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.clock import DAY, SECOND, SystemClock
from bide.runtime.engine.messages import Arm, Input, LookOnce, WaitFired, WaitLooked
from bide.runtime.triggerer.triggerer import Triggerer
from bide.triggers import FileTrigger, encode_trigger, file_look, file_source
from bide.triggers.base import Source
from bide.triggers.file import FileFacts, Seen
from bide.triggers.file_place import Place, look_at, place_key
from bide.triggers.file_source import FileSource
from tests.servers.worlds import Wait

LIMIT_S = 10.0


class Files:
    """A triggerer over real files. `watch=False` leaves the sweep alone; `look` stands for stat."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.ends: dict[int, Input] = {}
        self.looks: list[Input] = []
        self.changed = asyncio.Event()
        self.source: FileSource | None = None
        self.number = 0
        self.triggerer = Triggerer(
            self.clock,
            self._post,
            predicates=lambda dag, task: print,
            log=lambda attempt, line: self.changed.set(),
        )

    def _post(self, end: Input) -> None:
        if isinstance(end, WaitLooked):
            self.looks.append(end)
        else:
            assert isinstance(end, WaitFired)
            assert end.wait_id not in self.ends
            self.ends[end.wait_id] = end
        self.changed.set()

    def arm(self, poll_s: float = 30.0, **options: Any) -> int:
        self.number += 1
        options.setdefault("settle_us", 0)
        data = encode_trigger(FileTrigger(**{key: _text(value) for key, value in options.items()}))
        self.triggerer.arm(
            Arm(self.number, self.number, "d", "t", data, int(poll_s * SECOND), 1.0, self.clock.now() + DAY)
        )
        return self.number

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    async def event(self, wait_id: int) -> dict[str, Any]:
        await self.until(lambda: wait_id in self.ends)
        end = self.ends[wait_id]
        assert isinstance(end, WaitFired)
        event: dict[str, Any] = json.loads(end.event)
        return event

    async def answer(self, wait_id: int, text: str) -> None:
        """Until the wait's answer has `text` in it."""
        await self.until(lambda: text in self.last(wait_id))

    def last(self, wait_id: int) -> str:
        status = self.triggerer.status(wait_id)
        return status.last_answer if status is not None else "over"

    async def look(self, **options: Any) -> Input:
        data = encode_trigger(FileTrigger(**{key: _text(value) for key, value in options.items()}))
        await self.triggerer.look(LookOnce(999, 999, "d", "t", data))
        return self.looks[-1] if self.looks else self.ends[999]


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


@pytest.fixture
async def files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Files]:
    files = Files()
    options = getattr(request, "param", {})

    def make(_kind: type, _key: object, world: Any) -> Source:
        files.source = FileSource(world, **options)
        return files.source

    monkeypatch.setattr(FileTrigger, "make_source", classmethod(make))
    await files.triggerer.start()
    yield files
    await files.triggerer.close()


swept = pytest.mark.parametrize("files", [{"watch": False}], indirect=True)
both = pytest.mark.parametrize("files", [{}, {"watch": False}], indirect=True, ids=["inotify", "sweep"])


# --- a file comes ------------------------------------------------------------------------------------


@both
async def test_c21_what_happened_before_arming_is_seen_at_once(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hello")
    event = await files.event(files.arm(path=tmp_path / "a"))
    assert event["path"] == str(tmp_path / "a")
    assert event["size"] == 5
    assert event["paths"] == [str(tmp_path / "a")]


@both
async def test_s3_30_a_file_that_comes_fires(files: Files, tmp_path: Path) -> None:
    wait = files.arm(path=tmp_path / "a", poll_s=0.05)
    await files.answer(wait, "not there yet")
    (tmp_path / "a").write_text("hello")
    assert (await files.event(wait))["size"] == 5


async def test_t13_a_half_written_file_does_not_fire_until_it_is_closed(files: Files, tmp_path: Path) -> None:
    wait, other = files.arm(path=tmp_path / "a"), files.arm(path=tmp_path / "b")
    await files.answer(other, "not there yet")
    with (tmp_path / "a").open("w") as half:
        half.write("half")
        half.flush()
        (tmp_path / "b").write_text("whole")
        await files.event(other)
        assert wait not in files.ends
        half.write(" and whole")
    assert (await files.event(wait))["size"] == 14


@both
async def test_t13_c30_a_growing_file_does_not_settle(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    wait = files.arm(path=tmp_path / "a", settle_us=SECOND // 2, poll_s=0.05)
    for _ in range(10):
        await asyncio.sleep(0.1)  # a slow writer
        with (tmp_path / "a").open("a") as growing:
            growing.write("more")
    assert wait not in files.ends
    assert (await files.event(wait))["size"] == 41


@both
async def test_t13_a_file_renamed_into_place_fires(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a.tmp").write_text("whole")
    wait = files.arm(path=tmp_path / "a", poll_s=0.05)
    await files.answer(wait, "not there yet")
    (tmp_path / "a.tmp").rename(tmp_path / "a")
    await files.event(wait)


async def test_t13_a_file_renamed_over_an_empty_one_fires(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    wait = files.arm(path=tmp_path / "a")
    await files.answer(wait, "0 bytes")
    (tmp_path / "b").write_text("whole")
    (tmp_path / "b").replace(tmp_path / "a")
    assert (await files.event(wait))["size"] == 5


async def test_t13_a_link_to_a_file_is_followed_on_the_first_look(files: Files, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "a").symlink_to("real")
    await files.event(files.arm(path=tmp_path / "a"))


@both
async def test_folders_that_do_not_exist_yet(files: Files, tmp_path: Path) -> None:
    target = tmp_path / "x" / "y" / "z" / "a"
    wait = files.arm(path=target, poll_s=0.2)
    await files.answer(wait, "not there yet")
    target.parent.mkdir(parents=True)
    target.write_text("x")
    await files.event(wait)


async def test_t13_folders_made_one_by_one_are_followed_down_without_a_sweep(
    files: Files, tmp_path: Path
) -> None:
    wait = files.arm(path=tmp_path / "x" / "y" / "a", poll_s=3600)
    await files.answer(wait, "not there yet")
    for folder in (tmp_path / "x", tmp_path / "x" / "y"):
        folder.mkdir()
        await asyncio.sleep(0.05)  # let the watch follow; the last look makes up for it if it did not
    (tmp_path / "x" / "y" / "a").write_text("x")
    await files.event(wait)


async def test_t13_a_folder_removed_and_made_again_is_watched_again(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    wait = files.arm(path=folder / "a", poll_s=3600)
    await files.answer(wait, "not there yet")
    folder.rmdir()
    folder.mkdir()
    (folder / "a").write_text("x")
    await files.event(wait)


async def test_t13_a_folder_moved_away_is_no_longer_the_place(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    wait = files.arm(path=folder / "a", poll_s=3600)
    await files.answer(wait, "not there yet")
    folder.rename(tmp_path / "out")
    (tmp_path / "out" / "a").write_text("x")
    folder.mkdir()
    (folder / "a").write_text("xyz")
    assert (await files.event(wait))["size"] == 3


# --- what is asked of it -----------------------------------------------------------------------------


async def test_a_marker_beside_it(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    suffix, name = (
        files.arm(path=tmp_path / "a", marker=".ok"),
        files.arm(path=tmp_path / "a", marker="_DONE"),
    )
    await files.answer(name, "its marker _DONE is not there")
    (tmp_path / "a.ok").touch()
    await files.event(suffix)
    assert name not in files.ends
    (tmp_path / "_DONE").touch()
    await files.event(name)


async def test_t13_a_digest_is_read_after_settling_and_again_when_the_file_changes(
    files: Files, tmp_path: Path
) -> None:
    right = hashlib.sha256(b"right").hexdigest()
    (tmp_path / "a").write_text("wrong")
    wait = files.arm(path=tmp_path / "a", sha256=right.upper())
    await files.answer(wait, "its content is not as asked")
    (tmp_path / "a").write_text("right")
    await files.event(wait)


async def test_a_text_across_the_border_of_two_chunks_is_found(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (file_look.CHUNK - 3) + b"needle" + b"y" * 10)
    await files.event(files.arm(path=tmp_path / "a", contains="needle"))


async def test_t13_what_comes_while_a_file_is_read_is_looked_at_once_that_is_over(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def read(file: FileFacts, sha256: str | None, contains: str | None) -> bool | None:
        assert not file.path.endswith("big.txt") or go_on.wait(LIMIT_S)
        return file_look.content_is(file, sha256, contains)

    monkeypatch.setattr(file_source, "content_is", read)
    (tmp_path / "big.txt").write_text("unfit")
    wait = files.arm(glob=tmp_path / "*.txt", contains="DONE", poll_s=3600)
    beside = [files.arm(glob=tmp_path / "*.txt", min_size=size, poll_s=3600) for size in (10, 20)]
    await files.answer(beside[1], "5 bytes, and 20 are the least")
    for number, name in enumerate(("b.txt", "c.txt")):  # two looks, and neither is judged for the first wait
        (tmp_path / name).write_text("DONE".ljust(10 * (number + 1)))
        await files.event(beside[number])
    assert wait not in files.ends
    go_on.set()
    assert (await files.event(wait))["paths"] == [str(tmp_path / "b.txt"), str(tmp_path / "c.txt")]


async def test_t13_what_comes_while_a_read_fails_is_looked_at_afterwards(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def read(file: FileFacts, sha256: str | None, contains: str | None) -> bool | None:
        if not go_on.is_set():
            assert go_on.wait(LIMIT_S)
            raise PermissionError(13, "Permission denied", file.path)
        return file_look.content_is(file, sha256, contains)

    monkeypatch.setattr(file_source, "content_is", read)
    (tmp_path / "a.txt").write_text("unfit")
    wait = files.arm(glob=tmp_path / "*.txt", contains="DONE", poll_s=3600)
    beside = files.arm(glob=tmp_path / "*.txt", min_size=10, poll_s=3600)
    await files.answer(beside, "5 bytes, and 10 are the least")
    (tmp_path / "b.txt").write_text("DONE".ljust(10))
    await files.event(beside)
    go_on.set()
    assert (await files.event(wait))["paths"] == [str(tmp_path / "b.txt")]


def test_a_file_seen_closed_is_so_at_the_next_look_unless_it_has_changed(tmp_path: Path) -> None:
    place = Place(place_key(FileTrigger(glob=f"{tmp_path}/*", settle_us=0)))
    place.add(Wait(FileTrigger(glob=f"{tmp_path}/*", settle_us=0)))
    place.take_work()  # the first look: whatever is there counts as closed
    for name in ("as_it_was", "grown"):
        (tmp_path / name).write_text("x")
    seen = [file_look.facts(f"{tmp_path}/{name}") for name in ("as_it_was", "grown")]
    (tmp_path / "grown").write_text("xx")
    place.look_again("", {file.path: file.signature for file in seen if file is not None})
    [(_, _, again)] = look_at(place.take_work(), (), None, os.stat).seen
    assert {Path(file.path).name: file.closed for file in again.files} == {"as_it_was": True, "grown": False}


async def test_newer_than(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    os.utime(tmp_path / "a", (1, 1))
    wait = files.arm(path=tmp_path / "a", newer_than_us=2 * SECOND)
    await files.answer(wait, "not modified since")
    (tmp_path / "a").write_text("new")
    await files.event(wait)


@both
async def test_t13_a_folder_is_no_file(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    wait = files.arm(path=tmp_path / "a", poll_s=0.05)
    await files.answer(wait, "a folder, not a file")


async def test_t13_a_pipe_is_no_file_and_is_never_opened(files: Files, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    wait = files.arm(path=tmp_path / "a", contains="x")
    await files.answer(wait, "not a regular file")


# --- patterns ------------------------------------------------------------------------------------------


@both
async def test_a_glob_waits_for_its_count(files: Files, tmp_path: Path) -> None:
    wait = files.arm(glob=tmp_path / "*.csv", count=3, poll_s=0.05)
    await files.answer(wait, "not there yet")
    for name in ("b.csv", "a.csv", "c.txt", ".hidden.csv", "d.csv"):
        (tmp_path / name).write_text("x")
    event = await files.event(wait)
    assert [Path(path).name for path in event["paths"]] == ["a.csv", "b.csv", "d.csv"]


@both
async def test_a_recursive_glob_sees_new_folders(files: Files, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    wait = files.arm(glob=tmp_path / "*.csv", recursive=True, count=3, poll_s=0.1)
    await files.answer(wait, "not there yet")
    (tmp_path / "top.csv").write_text("x")
    (tmp_path / "old" / "a.csv").write_text("x")
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "new" / "deep" / "b.csv").write_text("x")
    assert (await files.event(wait))["count"] == 3


async def test_a_pattern_with_folders_in_it(files: Files, tmp_path: Path) -> None:
    wait = files.arm(glob=tmp_path / "2026-*" / "data.csv", poll_s=3600)
    await files.answer(wait, "not there yet")
    for folder in ("2025-01", "2026-01"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data.csv").write_text("x")
    assert (await files.event(wait))["paths"] == [str(tmp_path / "2026-01" / "data.csv")]


async def test_t13_with_a_glob_a_half_written_file_is_left_out(files: Files, tmp_path: Path) -> None:
    wait = files.arm(glob=tmp_path / "*", count=1)
    await files.answer(wait, "not there yet")
    with (tmp_path / "half").open("w") as half:
        half.write("half")
        half.flush()
        (tmp_path / "whole").write_text("x")
        assert (await files.event(wait))["paths"] == [str(tmp_path / "whole")]


async def test_t13_loops_of_links_end(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    loop = files.arm(path=tmp_path / "a")
    await files.answer(loop, "a loop of links")
    tree = files.arm(glob=tmp_path / "*.csv", recursive=True)
    await files.answer(tree, "not there yet")
    (tmp_path / "in" / "x.csv").write_text("x")
    assert (await files.event(tree))["count"] == 1


# --- trouble ---------------------------------------------------------------------------------------------


def test_t13_a_file_that_vanishes_between_stat_and_open_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    seen = file_look.facts(str(tmp_path / "a"))
    assert seen is not None
    (tmp_path / "a").unlink()
    assert file_look.content_is(seen, None, "x") is None


def test_t13_a_file_that_changes_between_stat_and_open_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    seen = file_look.facts(str(tmp_path / "a"))
    assert seen is not None
    (tmp_path / "a").write_text("xx")
    assert file_look.content_is(seen, None, "x") is None


async def test_t13_a_file_that_vanishes_while_it_settles_is_waited_for_again(
    files: Files, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("x")
    wait = files.arm(path=tmp_path / "a", settle_us=SECOND // 4)
    await files.answer(wait, "still settling")
    (tmp_path / "a").unlink()
    await files.answer(wait, "not there yet")
    (tmp_path / "a").write_text("xy")
    assert (await files.event(wait))["size"] == 2


def _forbidden(path: str) -> os.stat_result:
    if "secret" in path:
        raise PermissionError(13, "Permission denied", path)
    return Path(path).stat()


@pytest.mark.parametrize("files", [{"look": _forbidden}], indirect=True)
async def test_t13_no_permission_is_told_and_waited_out(files: Files, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "open").write_text("x")
    wait = files.arm(path=tmp_path / "secret")
    await files.event(files.arm(path=tmp_path / "open"))
    await files.answer(wait, "no permission")


class DeadMount:
    """Stats below `dead` hang until released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.calls = 0

    def __call__(self, path: str) -> os.stat_result:
        if "/dead" in path:
            self.calls += 1
            self.release.wait(30)
        return Path(path).stat()


_mount = DeadMount()


@pytest.mark.parametrize("files", [{"look": _mount}], indirect=True)
async def test_t13_p10_a_dead_mount_delays_no_other(files: Files, tmp_path: Path) -> None:
    _mount.release.clear()
    for name in ("dead1", "dead2", "good"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("x")
    loop = asyncio.get_running_loop()
    dead = [files.arm(path=tmp_path / "dead1" / "a")]
    good = [files.arm(path=tmp_path / "good" / "a"), files.arm(glob=tmp_path / "good" / "*")]
    dead.append(files.arm(path=tmp_path / "dead2" / "a"))
    began = loop.time()
    for wait in good:
        await files.event(wait)
    assert loop.time() - began < 1.0
    (tmp_path / "good" / "later").write_text("x")
    await files.event(files.arm(path=tmp_path / "good" / "later"))
    assert not set(dead) & set(files.ends)
    _mount.release.set()
    for wait in dead:
        await files.event(wait)


async def test_t13_lost_events_lead_to_a_look_at_everything(files: Files, tmp_path: Path) -> None:
    from bide.triggers.file_watch import Happened

    wait = files.arm(path=tmp_path / "a", poll_s=3600)
    await files.answer(wait, "not there yet")
    assert files.source is not None
    files.source._watching.clear()  # inotify says nothing from now on
    (tmp_path / "a").write_text("x")
    os.utime(tmp_path / "a")
    files.source._happened(Happened(-1, "", overflow=True))
    await files.event(wait)


def test_t13_network_file_systems_are_told_by_their_mounts(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / /net rw - nfs4 host:/x rw\n"
        "3 1 0:3 / /my\\040share rw - fuse.sshfs host: rw\n4 2 0:4 / /net/local rw - tmpfs t rw\n"
    )
    mounts = file_look.network_mounts(str(table))
    told = {
        path: file_look.on_network(path, mounts)
        for path in ("/a", "/net/a", "/network", "/my share/a", "/net/local/a")
    }
    assert told == {
        "/a": False,
        "/net/a": True,
        "/network": False,
        "/my share/a": True,
        "/net/local/a": False,
    }


async def test_t13_a_hundred_thousand_files_do_not_hold_the_loop(files: Files, tmp_path: Path) -> None:
    many = 20_000
    for number in range(many):
        (tmp_path / f"f{number}.csv").touch()
    loop = asyncio.get_running_loop()
    wait = files.arm(glob=tmp_path / "f1999?.csv", min_size=0, count=10)
    began = loop.time()
    assert (await files.event(wait))["count"] == 10
    assert loop.time() - began < 5.0


# --- sharing, letting go ---------------------------------------------------------------------------------


async def test_b2_c20_ten_thousand_waits_in_one_folder_are_one_watch_and_armed_in_a_second(
    files: Files, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    waits = [files.arm(path=tmp_path / f"f{number}") for number in range(10_000)]
    await files.answer(waits[-1], "not there yet")
    assert loop.time() - began < 3.0  # about 0.5 s on a quiet machine
    assert files.source is not None
    assert len(files.source._watching) == 1
    (tmp_path / "f7777").write_text("x")
    await files.event(waits[7777])
    for wait in waits:
        files.triggerer.disarm(wait, "cancelled")
    assert len(files.source._watching) == 0


async def test_one_instance_watches_all_folders(files: Files, tmp_path: Path) -> None:
    waits = []
    for number in range(300):  # more than there may be instances
        (tmp_path / str(number)).mkdir()
        waits.append(files.arm(path=tmp_path / str(number) / "a", poll_s=3600))
    for wait in waits:
        await files.answer(wait, "not there yet")
    assert files.source is not None
    assert len(files.source._watching) == 300
    for number in range(300):
        (tmp_path / str(number) / "a").write_text("x")
    for wait in waits:
        await files.event(wait)
    assert len(files.source._watching) == 0


async def test_one_look_without_a_watch(files: Files, tmp_path: Path) -> None:
    looked = await files.look(path=tmp_path / "a", settle_us=0)
    assert isinstance(looked, WaitLooked)
    assert looked.reason == "not there yet"
    assert files.source is not None
    assert len(files.source._watching) == 0
    files.looks.clear()
    (tmp_path / "a").write_text("needle")
    assert isinstance(await files.look(path=tmp_path / "a", settle_us=0, contains="needle"), WaitFired)


async def test_t13_a_folder_that_goes_with_its_tree(files: Files, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    wait = files.arm(glob=tmp_path / "in" / "*.csv", recursive=True, poll_s=3600)
    await files.answer(wait, "not there yet")
    shutil.rmtree(tmp_path / "in")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("x")
    await files.event(wait)


def test_a_look_is_plain_data() -> None:
    assert Seen((FileFacts("/a"),)).files[0].signature == (0, 0, 0, 0)
    assert file_source.BATCH > 0


def test_t13_has_its_forty_cases() -> None:
    """A test that is tried with inotify and with the sweep alone is two."""
    tests = [each for name, each in globals().items() if name.startswith("test_")]
    marks = [
        [mark for mark in getattr(each, "pytestmark", ()) if mark.name == "parametrize"] for each in tests
    ]
    assert sum(len(of[0].args[1]) if of else 1 for of in marks) >= 40
