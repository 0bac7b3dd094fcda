"""A machine whose power can be cut: a guest of qemu (emulated, no rights needed), started once and thawed for each cut.

`python -m tests.power.machine` says whether this machine can hold one (exit 0), or why not (exit 1).
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NEEDED: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mkfs.ext4": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "ldd": "libc-bin",
    "setpriv": "util-linux",
}
DRIVERS: Final = ("virtio_pci", "virtio_blk", "ext4")
MEMORY: Final = 256
DISK: Final = 128 << 20
BOOT_S: Final = 240
"""Some 20 s on an idle machine; all of it is emulated."""


def tool(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def kernel() -> tuple[Path, Path] | None:
    """(the newest Debian kernel here, its modules): of the cloud flavour when there is one, as that is the smallest."""
    found = [
        (image, modules)
        for image in Path("/boot").glob("vmlinuz-*")
        if (modules := Path("/lib/modules") / image.name.removeprefix("vmlinuz-"))
        .joinpath("modules.dep")
        .exists()
        and os.access(image, os.R_OK)
    ]
    return max(found, key=lambda pair: ("cloud" in pair[0].name, pair[0].stat().st_mtime), default=None)


def cannot() -> str:
    """Why no such machine can be made here; "" when it can."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return f"it is {sys.platform} on {os.uname().machine}, and the guest is Linux on x86_64"
    for name, package in NEEDED.items():
        if tool(name) is None:
            return f"{name} is missing (apt-get install {package})"
    if kernel() is None:
        return "there is no kernel in /boot for it (apt-get install linux-image-cloud-amd64)"
    return ""


# --- what it is made of --------------------------------------------------------------------------------


def _drivers(modules: Path) -> Iterator[Path]:
    """The files of the drivers that the kernel has not built in, each after what it needs."""
    needs: dict[str, tuple[str, list[str]]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, rest = line.partition(":")
        needs[Path(file).name.split(".")[0]] = file, rest.split()
    given: set[str] = set()
    for name in DRIVERS:
        if name in needs:
            own, others = needs[name]
            for each in (*reversed(others), own):
                if each not in given:
                    given.add(each)
                    yield modules / each


def _files(folder: Path) -> set[Path]:
    """What the guest's Python needs: what a rehearsal took, bide's own data, and every shared library of it."""
    place = folder / "rehearsal"
    place.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.power.guest", str(place)],
        capture_output=True, text=True, check=True, cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    files = {Path(line) for line in done.stdout.splitlines()}
    files |= {
        file for file in (ROOT / "bide").rglob("*") if file.is_file() and file.suffix not in {".py", ".pyc"}
    }
    binaries = [Path(sys.executable).resolve(), *(file for file in files if ".so" in file.name)]
    listed = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=True).stdout
    libraries = {Path(word) for word in re.findall(r"(/\S+) \(0x", listed)}
    return files | libraries | {binaries[0]}


def _initrd(at: Path, files: Iterable[Path], drivers: Iterable[Path]) -> None:
    """The root of the guest as the kernel unpacks it (cpio, newc): every file where it stands on this machine."""
    entries: dict[str, tuple[int, int, bytes, tuple[int, int]]] = {}

    def put(
        path: str, mode: int, data: bytes = b"", mtime: int = 0, device: tuple[int, int] = (0, 0)
    ) -> None:
        for parent in reversed(Path(path).parents):
            if str(parent) not in {"/", "."}:
                entries.setdefault(str(parent).lstrip("/"), (stat.S_IFDIR | 0o755, 0, b"", (0, 0)))
        entries.setdefault(path.lstrip("/"), (mode, mtime, data, device))

    put("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for each in ("/proc", "/tmp"):
        put(each, stat.S_IFDIR | 0o755)
    for file in files:
        put(str(file), stat.S_IFREG | 0o755, file.read_bytes(), int(file.stat().st_mtime))
    for number, driver in enumerate(drivers):
        image = driver.read_bytes()
        put(
            f"/modules/{number:02d}.ko",
            stat.S_IFREG | 0o644,
            lzma.decompress(image) if driver.suffix == ".xz" else image,
        )
    put("TRAILER!!!", 0)
    with at.open("wb") as out:
        for number, (name, (mode, mtime, data, device)) in enumerate(entries.items(), 1):
            fields = (number, mode, 0, 0, 1, mtime, len(data), 0, 0, *device, len(name) + 1, 0)
            head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
            out.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))


# --- started, thawed, cut ------------------------------------------------------------------------------


class Guest:
    """One qemu; what it says over the serial line is in the file `said`. `cut` is the power cut."""

    def __init__(self, words: list[str], folder: Path, log: Path) -> None:
        self.said = folder / "said"
        self._log = log
        self.marks: list[tuple[int, int]] = []
        """Instants: (bytes that it had said, bytes that the log of its disk had a moment later)."""
        self._errors = (folder / "qemu").open("wb")
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=out, stderr=self._errors)

    def lines(self, until: int | None = None) -> list[str]:
        """The whole lines so far, or of its first `until` bytes."""
        return self.said.read_bytes()[:until].decode(errors="replace").replace("\r", "").split("\n")[:-1]

    def watch(self, span_s: float) -> None:
        """Let it work for so long, and take marks."""
        until = time.monotonic() + span_s
        while (left := until - time.monotonic()) > 0:
            said = self.said.stat().st_size
            self.marks.append((said, self._log.stat().st_size))
            time.sleep(min(left, 0.01))

    def until(self, begins: str, limit_s: float) -> None:
        until = time.monotonic() + limit_s
        while not any(line.startswith(begins) for line in self.lines()):
            failed = any(line.startswith("failed") for line in self.lines())
            if failed:
                time.sleep(1)  # for the rest of it
            if failed or self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(
                    f"the guest did not say {begins!r} within {limit_s} s: {self.lines()[-20:]}"
                )
            self.watch(0.02)

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def cut(self) -> None:
        """All that the guest had in its memory is gone: its page cache, its journal, what it had not yet sent."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._errors.close()


class Machine:
    """A started guest in a file, from which each cut begins: everything is loaded, the disk not yet looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._frozen = folder / "frozen"
        found = kernel()
        assert found is not None
        image, modules = found
        self.release = modules.name
        self._initrd = folder / "initrd"
        _initrd(self._initrd, _files(folder), _drivers(modules))
        path = os.pathsep.join([str(ROOT), *(each for each in sys.path if "site-packages" in each)])
        python = Path(sys.executable).resolve()
        tells = (
            f"console=ttyS0 quiet loglevel=1 panic=1 random.trust_cpu=on rdinit={python} PYTHONPATH={path}"
            f" PYTHONHOME={sys.base_prefix} PYTHONDONTWRITEBYTECODE=1 -- -P -m tests.power.guest"
        )
        self._kernel = ["-kernel", str(image), "-initrd", str(self._initrd), "-append", tells]
        self._freeze()

    def _freeze(self) -> None:
        disk = self.blank(self.folder / "first.img")
        monitor = self.folder / "monitor"
        guest = Guest(
            [*self._words(disk), "-monitor", f"unix:{monitor},server,nowait"], self.folder, _log_of(disk)
        )
        try:
            guest.until("ready", BOOT_S)
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(str(monitor))
                line.settimeout(60)
                _heard(line)
                line.sendall(f'migrate "exec:cat > {self._frozen}"\n'.encode())
                _heard(line)
        finally:
            guest.cut()
        assert self._frozen.exists(), (self.folder / "qemu").read_text()
        disk.unlink()

    def _words(self, disk: Path) -> list[str]:
        log = _log_of(disk)
        log.write_bytes(b"")
        return [
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(MEMORY), "-no-reboot",
            "-display", "none", "-nodefaults", "-serial", "stdio", *self._kernel,
            "-blockdev", f"driver=file,node-name=file,filename={disk}",
            "-blockdev", f"driver=file,node-name=log,filename={log}",
            "-blockdev", "driver=blklogwrites,node-name=disk,file=file,log=log",
            "-device", "virtio-blk-pci,drive=disk",
        ]  # fmt: skip

    def blank(self, at: Path) -> Path:
        """A disk with an empty file system."""
        at.unlink(missing_ok=True)
        with at.open("wb") as file:
            file.truncate(DISK)
        mkfs = tool("mkfs.ext4")
        assert mkfs is not None
        subprocess.run([mkfs, "-q", "-F", "-N", "32768", str(at)], check=True, capture_output=True)
        return at

    def start(self, disk: Path, level: str) -> Guest:
        """Thaw it before a disk, and let it work there. What it writes is logged beside the disk, in `<disk>.log`."""
        guest = Guest(
            [*self._words(disk), "-incoming", f"exec:cat {self._frozen}"], self.folder, _log_of(disk)
        )
        guest.tell(f"go {level} {time.time_ns()}")
        return guest


def _log_of(disk: Path) -> Path:
    return Path(f"{disk}.log")


def _heard(line: socket.socket) -> str:
    """What the monitor answers, up to its prompt."""
    heard = b""
    while not heard.endswith(b"(qemu) "):
        heard += line.recv(4096)
    return heard.decode(errors="replace")


if __name__ == "__main__":
    if why := cannot():
        print(f"no power can be cut on this machine: {why}")
        sys.exit(1)
