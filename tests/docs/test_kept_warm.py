"""A command of a process that is kept warm is a process of its own to whoever looks at it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import kept_warm

PLAIN = [sys.executable]

LOOKS = """
import json, os, sys
import looked
print(json.dumps([sys.argv, sys.path[0], __name__, __file__, os.getcwd(), os.environ.get("ONLY"), os.umask(0), looked.HERE]))
print(sys.stdin.read(), file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""

Ran = tuple[int, str, str]


def ran(tool: list[str], words: list[str], folder: Path) -> Ran:
    done = subprocess.run(
        [*tool, *words], cwd=folder, env={**os.environ, "PYTHONPATH": str(kept_warm.ROOT), "ONLY": "here"},
        input="typed", capture_output=True, text=True, check=False, umask=0o27,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["looks.py", "3"],
        ["-m", "looks", "0"],
        ["-c", "import sys, looked; print(sys.argv, repr(sys.path[0]), __name__, looked.HERE)", "word"],
        ["-c", "import os; os.kill(os.getpid(), 15)"],
        ["-c", "raise SystemExit('said')"],
        ["-I", "-c", "import sys; print(sys.flags.isolated)"],
    ],
)
def test_it_has_its_own_words_folder_files_and_end(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "looks.py").write_text(LOOKS)
    (tmp_path / "looked.py").write_text("HERE = __file__")
    for _ in range(2):  # what the first has imported is not there for the second
        assert ran(kept_warm.words("python"), words, tmp_path) == ran(PLAIN, words, tmp_path)
        (tmp_path / "looked.py").write_text("HERE = 'another'  # and longer")


def waiting(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*kept_warm.words("python"), "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(kept_warm.ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_it_gets_the_signals_and_ends_by_them(tmp_path: Path) -> None:
    with waiting(tmp_path) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) != process.pid
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM


def test_it_is_killed_with_whoever_asked_for_it(tmp_path: Path) -> None:
    with waiting(tmp_path) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        process.wait(20)
        kept_warm.at_rest()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_bide_says_what_it_says(tmp_path: Path) -> None:
    plain: Callable[[str], Ran] = lambda words: ran([*PLAIN, "-m", "bide"], words.split(), tmp_path)  # noqa: E731
    warm: Callable[[str], Ran] = lambda words: ran(kept_warm.words("bide"), words.split(), tmp_path)  # noqa: E731
    for words in ("--version", "runs --db nowhere.db", "no-such-command"):
        assert warm(words) == plain(words)
