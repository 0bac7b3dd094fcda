"""`bide systemd print|install`: the unit of a service, shown or put where systemd finds it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Database, Slots
from bide.runtime.cli.output import note, write
from bide.runtime.clock import SECOND
from bide.runtime.errors import RefusedError
from bide.runtime.service.addresses import read_span
from bide.runtime.service.places import settings
from bide.runtime.service.unit import Unit, unit_text, untouched
from bide.runtime.service.unit_facts import Wanted, state_of, unit_of

app = App(name="systemd", help="The service as a unit of systemd: print it, or install it.")

Paths = Annotated[str, Parameter(help="DAG files and folders; else `paths` of the settings.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """What a unit is asked to be: the options that both commands have."""

    user: Annotated[bool, Parameter(negative="", help="A person's own service: no root is needed.")] = False
    name: Annotated[str, Parameter(help="The unit's name; that of its state directory too.")] = "bide"
    run_as: Annotated[
        str | None, Parameter(help="The user it runs as; else systemd makes one for it (DynamicUser).")
    ] = None
    slots: Slots = None
    drain: Annotated[str | None, Parameter(help="How long what runs may go on after a stop, such as 2m.")] = (
        None
    )
    write_: Annotated[
        list[str] | None,
        Parameter(name="--write", negative="", help="A folder that tasks may write; may be repeated."),
    ] = None
    credential: Annotated[
        list[str] | None,
        Parameter(
            name="--credential",
            negative="",
            help='NAME:/path, for tasks Secret("credential:NAME"); may be repeated.',
        ),
    ] = None
    for_systemd: Annotated[
        int | None, Parameter(help="The version of systemd it is for; else this machine's.")
    ] = None
    db: Database = None


_PLAIN = Asked()


@app.command(name="print")
def print_(*paths: Paths, asked: Asked = _PLAIN) -> int:
    """Print the unit that `install` would write."""
    write(unit_text(_unit(paths, asked)), end="")
    return 0


@app.command
def install(*paths: Paths, asked: Asked = _PLAIN) -> int:
    """Write the unit to where systemd finds it, and say what to type next. What a person has changed stays."""
    unit = _unit(paths, asked)
    text, place = unit_text(unit), _place(unit)
    if place.is_symlink() or place.exists():
        _may_replace(place)
        if place.read_text() == text:
            write(f"{place} is as it would be written: nothing is changed")
            _say_next(unit)
            return 0
    for line in _complaints(unit, text):
        note(f"bide: systemd-analyze: {line}")
    _put(place, text)
    write(f"written: {place}")
    _say_next(unit)
    return 0


def systemd_version() -> int | None:
    """The version of this machine's systemd; None where there is none."""
    program = shutil.which("systemctl")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)
    words = said.stdout.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def _unit(paths: tuple[str, ...], asked: Asked) -> Unit:
    limit = None if asked.drain is None else read_span(asked.drain) / SECOND
    config = settings(db=asked.db, slots=asked.slots, paths=list(paths) or None, stop_timeout=limit)
    wanted = Wanted(
        name=asked.name.removesuffix(".service"),
        user=asked.user,
        run_as=asked.run_as,
        writes=asked.write_ or (),
        credentials=asked.credential or (),
        systemd=asked.for_systemd if asked.for_systemd is not None else systemd_version(),
    )
    return unit_of(config, wanted, Path.cwd())


def _place(unit: Unit) -> Path:
    if not unit.user:
        return Path("/etc/systemd/system") / unit.file
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "systemd" / "user" / unit.file


def _may_replace(place: Path) -> None:
    if place.is_symlink():
        raise RefusedError(f"{place} is a link to {place.readlink()} (masked?): remove it first")
    try:
        known = untouched(place.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{place} cannot be read ({error}): remove it first") from None
    if not known:
        raise RefusedError(
            f"{place} is not as bide wrote it, and is left alone: compare it with what `bide systemd print` says, "
            "keep your changes with `systemctl edit`, then remove it and install again"
        )


def _put(place: Path, text: str) -> None:
    """Whole or not at all."""
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text)
        part.chmod(0o644)
        part.replace(place)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise RefusedError(
            f"{place} cannot be written ({error.strerror}): say it with sudo, "
            "or `bide systemd install --user` for a service of your own"
        ) from None


def _complaints(unit: Unit, text: str) -> list[str]:
    """What systemd itself finds wrong with the unit; nothing where it cannot be asked."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / unit.file).write_text(text)
        where = ["--user"] if unit.user else []
        said = subprocess.run(
            [program, *where, "verify", str(Path(folder) / unit.file)],
            capture_output=True, text=True, check=False, timeout=60, env={"XDG_RUNTIME_DIR": folder, **os.environ},
        )  # fmt: skip
    return [line for line in said.stderr.splitlines() if unit.file in line]


def _say_next(unit: Unit) -> None:
    ctl, log = ("systemctl --user", "journalctl --user") if unit.user else ("systemctl", "journalctl")
    write("next:")
    write(f"  {ctl} daemon-reload")
    write(f"  {ctl} enable --now {unit.name}")
    if unit.user:
        write("  loginctl enable-linger    # it goes on when you log out")
    write(f"  {ctl} status {unit.name}; {log} -u {unit.name} -f")
    db = state_of(unit) if not unit.user else None
    if db is not None:
        write(f"  bide runs --db {db}")
