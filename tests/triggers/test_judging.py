"""Triggers judge what was seen: tables, no loop, no file, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from bide.runtime.clock import SECOND
from bide.runtime.errors import UsageError
from bide.triggers import (
    ExternalTaskTrigger,
    FileTrigger,
    Fire,
    NotYet,
    PythonTrigger,
    TimeTrigger,
    Trigger,
    decode_trigger,
    encode_trigger,
    kind_of,
)
from bide.triggers.base import ENGINE, Verdict
from bide.triggers.file import FileFacts, Memo, Seen, split_glob

NOW = 1_780_000_000 * SECOND
LONG_AGO = NOW - 3600 * SECOND


def file(path: str = "/in/a", size: int = 10, age_s: float = 3600, **facts: Any) -> FileFacts:
    changed_us = NOW - int(age_s * SECOND)
    return FileFacts(path, size, changed_us, changed_us, 7, **facts)


def judge(trigger: FileTrigger, *files: FileFacts, memo: Memo | None = None, **seen: Any) -> Verdict:
    return trigger.judge(Seen(files, **seen), memo, NOW)


A = "/in/a"


@pytest.mark.parametrize(
    ("options", "seen", "reason"),
    [
        ({}, file(), None),
        ({}, file(size=0), "0 bytes, and 1 are the least"),
        ({"min_size": 0}, file(size=0), None),
        ({"min_size": 11}, file(), "10 bytes, and 11 are the least"),
        ({}, file(age_s=1.9), "still settling (2 s"),
        ({}, file(age_s=2), None),
        ({"settle_us": 60 * SECOND}, file(age_s=59), "still settling (60 s"),
        ({"settle_us": 0}, file(age_s=0), None),
        ({"settle_us": 0}, file(age_s=1, closed=False), "still settling"),
        ({"settle_us": 0}, file(age_s=3, closed=False), None),
        ({"newer_than_us": LONG_AGO}, file(), "not modified since"),
        ({"newer_than_us": LONG_AGO - 1}, file(), None),
        ({"marker": ".ok"}, file(), "its marker .ok is not there"),
        ({"marker": ".ok"}, file(marker=True), None),
        ({"sha256": "0" * 64}, file(good=True), None),
        ({"sha256": "0" * 64}, file(good=False), "its content is not as asked"),
        ({"contains": "x"}, file(), "its content is being read"),
        ({"contains": "x"}, file(age_s=1, good=True), "still settling"),
        ({}, file(trouble="no permission"), "no permission"),
        ({}, file(trouble="a folder, not a file"), "a folder"),
        ({}, file(trouble="a loop of links"), "a loop of links"),
    ],
)
def test_what_is_asked_of_a_file(options: dict[str, Any], seen: FileFacts, reason: str | None) -> None:
    verdict = judge(FileTrigger(path=A, **options), seen)
    if reason is None:
        assert isinstance(verdict, Fire)
        assert verdict.event["path"] == A
    else:
        assert isinstance(verdict, NotYet)
        assert reason in verdict.reason


def test_a_settling_file_is_looked_at_again_when_it_will_have_settled() -> None:
    verdict = judge(FileTrigger(path=A, settle_us=5 * SECOND), file(age_s=1))
    assert isinstance(verdict, NotYet)
    assert verdict.again_us == NOW + 4 * SECOND


def test_an_old_mtime_does_not_hide_a_fresh_change() -> None:
    fresh = FileFacts(A, 10, LONG_AGO, NOW - SECOND, 7)
    assert isinstance(judge(FileTrigger(path=A), fresh), NotYet)


@pytest.mark.parametrize("seen", [Seen((file(),), steady=False), Seen((file(age_s=-100),))])
def test_where_the_clock_of_the_files_is_not_ours_two_looks_decide(seen: Seen) -> None:
    trigger = FileTrigger(path=A, settle_us=5 * SECOND)
    first = trigger.judge(seen, None, NOW)
    assert isinstance(first, NotYet)
    assert first.again_us == NOW + 5 * SECOND
    assert isinstance(trigger.judge(seen, first.memo, NOW + 4 * SECOND), NotYet)
    assert isinstance(trigger.judge(seen, first.memo, NOW + 5 * SECOND), Fire)
    grown = Seen((file(size=11),), steady=False)
    later = trigger.judge(grown, first.memo, NOW + 5 * SECOND)
    assert isinstance(later, NotYet)
    assert later.again_us == NOW + 10 * SECOND


def test_content_that_was_read_is_read_again_only_when_the_file_changes() -> None:
    trigger = FileTrigger(path=A, contains="x")
    assert list(trigger.ripe(Seen((file(),)), None, NOW)) == [file()]
    verdict = judge(trigger, file(good=False))
    assert isinstance(verdict, NotYet)
    assert list(trigger.ripe(Seen((file(),)), verdict.memo, NOW)) == []
    assert list(trigger.ripe(Seen((file(size=11),)), verdict.memo, NOW)) == [file(size=11)]


def test_a_glob_counts_what_is_fit_and_names_all() -> None:
    trigger = FileTrigger(glob="/in/*", count=2)
    verdict = judge(trigger, file("/in/b"), file("/in/c", age_s=1), file("/in/a", size=0))
    assert isinstance(verdict, NotYet)
    assert verdict.reason.startswith("1 of 2 files are fit; /in/c: still settling")
    verdict = judge(trigger, file("/in/b"), file("/in/a"), file("/in/c", age_s=1))
    assert isinstance(verdict, Fire)
    assert (verdict.event["path"], verdict.event["paths"], verdict.event["count"]) == (
        "/in/a",
        ["/in/a", "/in/b"],
        2,
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": A, "glob": "/in/*"},
        {"path": ""},
        {"path": "a\0b"},
        {"path": A, "recursive": True},
        {"path": A, "count": 2},
        {"glob": "*", "count": 0},
        {"path": A, "min_size": -1},
        {"path": A, "settle_us": -1},
        {"path": A, "sha256": "abc"},
        {"path": A, "contains": ""},
        {"path": A, "marker": "."},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        FileTrigger(**options)


@pytest.mark.parametrize(
    ("path", "marker", "found"),
    [
        ("/in/a", ".ok", "/in/a.ok"),
        ("/in/a", "_DONE", "/in/_DONE"),
        ("/in/a", "/x/done", "/x/done"),
        ("/in/a", None, None),
    ],
)
def test_where_the_marker_stands(path: str, marker: str | None, found: str | None) -> None:
    assert FileTrigger(path=A, marker=marker).marker_of(path) == found


@pytest.mark.parametrize(
    ("pattern", "split"),
    [
        ("/in/*.csv", ("/in", ("*.csv",))),
        ("/in/a.csv", ("/in", ("a.csv",))),
        ("/in/*/x/a.csv", ("/in", ("*", "x", "a.csv"))),
        ("in/**/a?", ("in", ("**", "a?"))),
        ("*.csv", (".", ("*.csv",))),
        ("/*.csv", ("/", ("*.csv",))),
    ],
)
def test_a_glob_is_split_at_its_first_wildcard(pattern: str, split: tuple[str, tuple[str, ...]]) -> None:
    assert split_glob(pattern) == split


def test_an_instant() -> None:
    trigger = TimeTrigger(at_us=NOW)
    assert isinstance(trigger.judge(None, None, NOW - 1), NotYet)
    assert trigger.judge(None, None, NOW) == Fire({"at": "2026-05-28T20:26:40+00:00"})


@pytest.mark.parametrize(
    ("answer", "fires"), [(None, False), (0, False), ([], False), (True, True), ({"a": 1}, True)]
)
def test_s3_34_a_predicate(answer: object, fires: bool) -> None:
    assert isinstance(PythonTrigger(dag="d", task="t").judge(answer, None, NOW), Fire) is fires


@pytest.mark.parametrize(
    "trigger",
    [
        TimeTrigger(at_us=NOW),
        FileTrigger(path=A, marker=".ok", contains="x"),
        FileTrigger(glob="/in/*", count=3, recursive=True),
        PythonTrigger(dag="d", task="t", args=(1, "a"), kwargs={"k": {"$secret": "env:X"}}),
        ExternalTaskTrigger(dag="d", task="t", logical_us=NOW),
        ExternalTaskTrigger(dag="d", logical_us=NOW, states=("failed",), fail_on=("success",)),
    ],
)
def test_a_trigger_survives_being_stored(trigger: Trigger) -> None:
    data = encode_trigger(trigger)
    again = decode_trigger(data)
    assert type(again) is type(trigger)
    assert encode_trigger(again) == data
    assert again.poll_key() == trigger.poll_key()
    assert again.describe() == trigger.describe() != type(trigger).__name__


def test_what_the_engine_sees_itself_has_no_source() -> None:
    trigger = ExternalTaskTrigger(dag="d", logical_us=NOW)
    assert (trigger.source_key(), kind_of(trigger)) == (ENGINE, "external_task")


def test_an_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no trigger of the kind 'sftp'.* external_task, file, http"):
        decode_trigger(b'{"kind":"sftp","host":"x"}')


def test_a_trigger_of_no_registered_kind_is_not_stored() -> None:
    class Mine(Trigger, frozen=True, kw_only=True, tag="file"):
        pass

    with pytest.raises(UsageError, match="kind 'file' of another class"):
        encode_trigger(Mine())


class _Plugin:
    def __init__(self, name: str, loaded: object) -> None:
        self.name = name
        self.value = "package:Thing"
        self._loaded = loaded

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


class Third(Trigger, frozen=True, kw_only=True, tag="third"):
    n: int = 0


@pytest.mark.parametrize(
    ("name", "loaded", "message"),
    [
        ("third", Third, None),
        ("other", Third, "both must be the same"),
        ("third", ImportError("no sftp"), "cannot be loaded"),
        ("third", print, "is no Trigger"),
    ],
)
def test_third_parties_bring_kinds_by_entry_points(
    monkeypatch: pytest.MonkeyPatch, name: str, loaded: object, message: str | None
) -> None:
    import bide.triggers as registry

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [_Plugin(name, loaded)])
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(registry, "_decoders", {})
    data = f'{{"kind":"{name}","n":3}}'.encode()
    if message is None:
        assert decode_trigger(data) == Third(n=3)
    else:
        with pytest.raises(UsageError, match=message):
            decode_trigger(data)
