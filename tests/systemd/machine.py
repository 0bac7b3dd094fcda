"""A machine whose PID 1 is systemd: this one's file system under an overlay, booted in a container.

`python -m tests.systemd.machine` says whether this machine can hold one (exit 0), or why not (exit 1).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
SAID: Final = ("BIDE_SOAK", "BIDE_KILLS", "BIDE_SEED")
"""What the scenarios are told as well."""
BOOTS: Final = """\
[Unit]
Requires=basic.target dbus.socket only.service
After=basic.target only.service
"""
RUNS: Final = """\
[Unit]
After=basic.target dbus.socket systemd-journald.service
[Service]
Type=oneshot
WorkingDirectory=/srv/bide
Environment=PYTHONPATH={root} PYTHONUNBUFFERED=1 HOME=/root
ExecStart={command}
ExecStopPost=/bin/touch /out/done
StandardOutput=file:/out/log
StandardError=file:/out/log
"""


def cannot() -> str:
    """Why no such machine can be made here; "" when it can."""
    if sys.platform != "linux":
        return "it is not Linux"
    if os.geteuid() != 0:
        return "that takes root"
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is missing (apt-get install systemd-container)"
    if not Path("/usr/lib/systemd/system/dbus.socket").exists():
        return "dbus is missing (apt-get install dbus)"
    try:
        with tempfile.TemporaryDirectory(prefix="bide-probe-") as folder:
            out = Path(folder)
            _play(out, "/bin/true", 30)
            if (out / "done").exists():
                return ""
            said = (out / "console").read_text(errors="replace").strip().splitlines()
            return f"systemd-nspawn boots nothing ({said[-1] if said else 'it said nothing'})"
    except subprocess.CalledProcessError as error:
        return f"no overlay can be mounted ({error.stderr.decode().strip()})"


@contextmanager
def _overlay() -> Iterator[Path]:
    """The root of this machine, to be written to without a trace."""
    with tempfile.TemporaryDirectory(prefix="bide-machine-") as folder:
        base = Path(folder)
        _do("mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(base))
        try:
            for name in ("up", "work", "root"):
                (base / name).mkdir()
            options = f"lowerdir=/,upperdir={base / 'up'},workdir={base / 'work'}"
            _do("mount", "-t", "overlay", "overlay", "-o", options, str(base / "root"))
            try:
                yield base / "root"
            finally:
                _do("umount", "-l", str(base / "root"))
        finally:
            _do("umount", "-l", str(base))


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def boot(out: Path, limit_s: float, *names: str) -> dict[str, Any]:
    """Boot, play the scenarios (all, or those named), halt: the results by name. What it said is in `out / "log"`."""
    told = [f"{name}={os.environ[name]}" for name in SAID if os.environ.get(name)]
    words = ["/usr/bin/env", *told, sys.executable, "-m", "tests.systemd.inside", "/out", *names]
    _play(out, " ".join(words), limit_s)
    found = out / "results.json"
    return dict(json.loads(found.read_text())) if found.exists() else {}


def _play(out: Path, command: str, limit_s: float) -> None:
    """Boot, run one command, switch off."""
    with _overlay() as root:
        (root / "etc/machine-id").unlink(missing_ok=True)
        (root / "etc/machine-id").write_text("")
        units = root / "etc/systemd/system"
        (units / "only.target").write_text(BOOTS)
        (units / "only.service").write_text(RUNS.format(root=ROOT, command=command))
        for noise in ("systemd-networkd-wait-online.service", "systemd-resolved.service", "apt-daily.timer"):
            (units / noise).unlink(missing_ok=True)
            (units / noise).symlink_to("/dev/null")
        (root / "srv/bide").mkdir(parents=True, exist_ok=True)
        binds = [f"--bind-ro={place}" for place in _elsewhere()]
        with (out / "console").open("wb") as console:
            machine = subprocess.Popen(
                ["systemd-nspawn", "-q", "-D", str(root), "--private-network", "--register=no", "--keep-unit",
                 "--link-journal=no", "--console=pipe", f"--bind={out}:/out", *binds, "-b", "--", "--unit=only.target"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
            until = time.monotonic() + limit_s
            while machine.poll() is None and not (out / "done").exists() and time.monotonic() < until:
                time.sleep(0.1)
            _switch_off(machine)


def _switch_off(machine: subprocess.Popen[bytes]) -> None:
    """Nothing of it is to be kept: with its PID 1 all of it ends at once."""
    children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children")
    for child in children.read_text().split() if machine.poll() is None else ():
        os.kill(int(child), signal.SIGKILL)
    try:
        machine.wait(20)
    except subprocess.TimeoutExpired:
        machine.kill()
        machine.wait()


def _elsewhere() -> list[Path]:
    """Where Python and bide stand, as far as the overlay of `/` or a container's `/tmp` does not show it."""
    places = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), ROOT.resolve()}
    device = Path("/").stat().st_dev
    hidden = ("/tmp", "/run", "/dev", "/proc", "/sys")
    return sorted(p for p in places if p.stat().st_dev != device or any(p.is_relative_to(h) for h in hidden))


if __name__ == "__main__":
    if why := cannot():
        print(f"no systemd as PID 1 on this machine: {why}")
        sys.exit(1)
