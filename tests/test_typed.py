"""Types are read by many threads at once, also the first time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bide.runtime import typed

ROOT = Path(__file__).parents[1]


class One(msgspec.Struct, frozen=True):
    n: int


def test_two_threads_may_read_a_type_for_the_first_time_at_once() -> None:
    """Of plain msgspec the process dies here, within the first few rounds."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.typed_race", "300", "bide"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_read_is_of_its_type_or_refused_as_msgspec_does() -> None:
    assert typed.decode(b'{"n": 1}', One) == One(1)
    assert typed.decode('{"n": "1"}', One, strict=False) == One(1)
    assert typed.convert({"n": 1}, One) == One(1)
    assert typed.convert([{"n": 1}], list[One]) == [One(1)]
    assert typed.decoder(One) is typed.decoder(One)
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$\.n`"):
        typed.decode(b'{"n": "1"}', One)
    with pytest.raises(msgspec.DecodeError, match="truncated"):
        typed.decode(b"{", One)
    with pytest.raises(msgspec.ValidationError, match="Expected `int`"):
        typed.convert({"n": None}, One)


def test_types_of_files_that_were_read_again_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed, "_MOST", 3)
    for n in range(20):
        kind = msgspec.defstruct(f"Kind{n}", [("n", int)])
        assert msgspec.to_builtins(typed.decode(b'{"n": 2}', kind)) == {"n": 2}
        assert len(typed._json) <= 3
