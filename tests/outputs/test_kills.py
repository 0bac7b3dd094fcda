"""S0-15 for real: killed at any moment, the target is the old version or the new one, whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bide import Runtime, dag
from tests.outputs.bodies import in_a_process

KILLS = int(os.environ.get("BIDE_OUTPUT_KILLS", "40"))
SEED = int(os.environ.get("BIDE_SEED", "7"))


def killed(kind: str, target: str, kills: int, **options: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "tests.outputs.killer", kind, target, str(kills), str(SEED)]
    done = subprocess.run(
        [*words, *([json.dumps(options)] if options else [])],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_s0_15d_a_file_is_never_torn_by_kill_9(tmp_path: Path) -> None:
    found = killed("file", str(tmp_path / "out.bin"), KILLS)
    assert found["torn"] == []
    assert found["versions"] >= KILLS // 6
    assert found["stale"] >= KILLS // 6, "no kill came while something was being written"
    assert found["left"] == []  # the next one has swept it all


def test_s0_15_a_partition_is_never_torn_by_kill_9(tmp_path: Path) -> None:
    found = killed("folder", str(tmp_path / "day"), KILLS)
    assert found["torn"] == []
    assert found["versions"] >= KILLS // 6
    assert found["stale"] >= KILLS // 6
    versions = [name for name in found["left"] if name.endswith(".bide-version")]
    assert len(versions) <= 2
    assert set(found["left"]) <= {*versions, "0", "1", "2", "3", "4"}


async def test_s0_15_a_process_of_its_own_publishes_as_others_do(tmp_path: Path) -> None:
    @dag
    def isolated() -> None:
        in_a_process(str(tmp_path))

    async with Runtime(tmp_path / "bide.db", [isolated]) as rt:
        result = await (await rt.trigger("isolated")).wait()
    assert (result.state, (tmp_path / "in_a_process.txt").read_text()) == ("success", "1")
    assert result.outputs["in_a_process"]["size"] == 1
    assert not list(tmp_path.glob(".*"))
