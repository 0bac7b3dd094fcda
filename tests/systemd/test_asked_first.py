"""CI asks what a machine can do before anything is installed for the tests: the scripts that say it stand on Python alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CI = ROOT / ".ci" / "run"
SCRIPTS = ["tests/systemd/machine.py", "tests/power/machine.py"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_needs_no_package(script: str, tmp_path: Path) -> None:
    assert f'"${{PYTHON:-python3}}" {script}' in CI.read_text()
    read = f"import runpy; runpy.run_path({str(ROOT / script)!r}, run_name='read')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", read], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
