"""Every code block of the README and the docs runs, page by page, as a reader would type it.

A page is one bash session in a folder of its own. `console` blocks: each `$ ` line is typed, must
exit 0, and the lines below it must stand in what it printed, in order (`...` is anything; no lines:
whatever). `python` blocks are run, or written to a file when `<!-- file: NAME -->` stands above.
`<!-- exit: N -->` expects another exit code, `<!-- type: COMMAND -->` types something readers do in
their own time, `<!-- no-run: reason -->` leaves a block alone. Port 8000 becomes a free one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import kept_warm

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<ticks>`{3,})(?P<lang>\S*)[^\n]*\n(?P<body>.*?)^(?P=ticks)[ \t]*$", re.MULTILINE | re.DOTALL
)
NOTE = re.compile(r"^<!-- (?P<what>file|exit|type|no-run): (?P<value>.*?) -->$", re.MULTILINE)
SHOWN_ONLY = {"text", "ini", "{mermaid}", "{toctree}"}
LIMIT_S = 60


@dataclass
class Step:
    """One thing typed: what bash runs, where it stands, how it must end and what it must print."""

    line: int
    command: str
    exit: int = 0
    prints: list[str] = field(default_factory=list)


def blocks(text: str) -> Iterator[tuple[int, str, str, dict[str, str]]]:
    """(line, language, body, notes above it); a `type` note is a block of its own."""
    at = 0
    notes: dict[str, str] = {}
    found = sorted([*FENCE.finditer(text), *NOTE.finditer(text)], key=lambda m: m.start())
    for match in found:
        if match.start() < at:
            continue  # a note within a block
        at = match.end()
        line = text.count("\n", 0, match.start()) + 1
        if match.re is NOTE and match["what"] == "type":
            yield line, "type", match["value"], {}
        elif match.re is NOTE:
            notes[match["what"]] = match["value"]
        else:
            yield line, match["lang"], match["body"], notes
            notes = {}


def steps(text: str, folder: Path) -> Iterator[Step]:
    for line, lang, body, notes in blocks(text):
        if "no-run" in notes or lang in SHOWN_ONLY:
            continue
        if lang == "type":
            yield Step(line, body)
        elif lang == "python":
            saved = folder / f".block-{line}.py"
            saved.write_text(body)
            if name := notes.get("file"):
                yield Step(line, f"mkdir -p {shlex.quote(str(Path(name).parent))} && cp {saved} {name}")
            else:
                yield Step(line, f"python {saved}", int(notes.get("exit", 0)))
        elif lang in ("toml", "json"):
            tomllib.loads(body) if lang == "toml" else json.loads(body)
            if name := notes.get("file"):
                saved = folder / f".block-{line}"
                saved.write_text(body)
                yield Step(line, f"cp {saved} {name}")
        elif lang == "console":
            typed: list[Step] = []
            for n, row in enumerate(body.splitlines(), line + 1):
                if row.startswith("$ "):
                    typed.append(Step(n, row[2:].split("   # ")[0]))
                elif row.startswith("> "):
                    typed[-1].command += "\n" + row[2:]
                elif row:
                    typed[-1].prints.append(row)
            typed[-1].exit = int(notes.get("exit", 0))
            yield from typed
        else:
            pytest.fail(f"line {line}: a block of {lang!r}, which is neither run nor known as shown only")


def printed(expected: list[str], output: str) -> str | None:
    """The first expected line that does not stand in the output, in order; None when all do."""
    rows = iter([" ".join(row.split()) for row in output.splitlines()])
    for line in expected:
        wanted = ".*".join(re.escape(part) for part in " ".join(line.split()).split("..."))
        if not any(re.fullmatch(wanted, row) for row in rows):
            return line
    return None


@pytest.fixture
def desk(page: Path, tmp_path: Path) -> dict[str, str]:
    """The reader's environment: `bide` and `python` on PATH, nothing configured, no colour.

    Both are begun 300 times: by most pages as forks of one process that is kept warm. On the first page, and where a reader
    kills one, each is a process like any other.
    """
    tools = tmp_path / ".bin"
    tools.mkdir()
    own = page == PAGES[0] or "kill -9" in page.read_text()
    for name, words in {"bide": [sys.executable, "-m", "bide"], "python": [sys.executable]}.items():
        begun = words if own else kept_warm.words(name)
        (tools / name).write_text(f'#!/bin/sh\nexec {shlex.join(begun)} "$@"\n')
        (tools / name).chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BIDE_") and k != "STATE_DIRECTORY"}
    return kept | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "HOME": str(tmp_path),
    }


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, desk: dict[str, str]) -> None:
    text = re.sub(r"\b8000\b", str(free_port()), page.read_text())
    typed = list(steps(text, tmp_path))
    if not typed:
        return
    script = ["trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for n, step in enumerate(typed):
        script += [f"echo '<<< {n}'", f"{{ {step.command}\n}} 2>&1", f'rc=$?; echo; echo ">>> {n} $rc"']
    (tmp_path / ".session.sh").write_text("\n".join(script))
    with (tmp_path / ".session.out").open("w") as out:
        session = subprocess.Popen(
            ["bash", ".session.sh"],
            cwd=tmp_path,
            env=desk,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            session.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            pass  # said below, with the step that did not end
        finally:
            try:
                os.killpg(session.pid, 9)  # whatever the page left running
            except ProcessLookupError:
                pass
            session.wait()
            kept_warm.at_rest()
    output = (tmp_path / ".session.out").read_text()
    for n, step in enumerate(typed):
        where = f"{page.name}:{step.line}: {step.command}"
        said = re.search(rf"^<<< {n}\n(.*?)^>>> {n} (\d+)$", output, re.MULTILINE | re.DOTALL)
        assert said, f"{where}\ndid not end:\n{output[-3000:]}"
        assert int(said[2]) == step.exit, f"{where}\nexit {said[2]}, {step.exit} expected:\n{said[1]}"
        missing = printed(step.prints, said[1])
        assert missing is None, f"{where}\nhas not printed\n  {missing}\nbut\n{said[1]}"
