"""The facts of a unit: what is run, from where, as whom, and whether that can work at all.

What would only fail at the first start is refused here, with words.
"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

import bide
from bide.runtime.config import Config
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.places import SOCKET_PATH_LIMIT
from bide.runtime.service.unit import Unit, hidden

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks of a unit."""

    name: str = "bide"
    user: bool = False
    run_as: str | None = None
    writes: Sequence[str] = ()
    credentials: Sequence[str] = ()
    systemd: int | None = None


def unit_of(config: Config, wanted: Wanted, cwd: Path) -> Unit:
    """The unit that serves what `bide serve` in `cwd` would. Raises what would stop it at its start."""
    if not _NAME.fullmatch(wanted.name):
        raise UsageError(
            f"--name {wanted.name!r}: a unit's name is of a-z, 0-9, - and _, and begins with a letter"
        )
    if wanted.user and wanted.run_as:
        raise UsageError("--user and --run-as: a person's own unit runs as that person; leave one out")
    if wanted.user and wanted.writes:
        raise UsageError("--user and --write: a person's own unit may write what the person may")
    if find_spec("uvicorn") is None:
        raise UsageError("`bide serve` needs the extra `server`: pip install 'bide[server]'")
    folder = Path(config.folder)
    paths = [(cwd / path).resolve() for path in config.paths]
    if not paths:
        raise UsageError("serve what? name DAG files or folders: `bide systemd print dags/`")
    for path in paths:
        if not path.exists():
            raise NotFoundError(f"there is no file or folder {str(path)!r}: name DAG files or folders")
    db = _database(config, wanted, folder)
    writes = [_written(path, cwd) for path in wanted.writes]
    if db is not None and not wanted.user:
        writes.append(db.parent)
    unit = Unit(
        name=wanted.name,
        command=(*_program(), "serve", *_words(config, paths, db)),
        folder=folder,
        reads=_apart([folder, *paths, *_code()]),
        writes=_apart(writes),
        credentials=tuple(_credential(each) for each in wanted.credentials),
        drain_s=config.stop_timeout,
        run_as=wanted.run_as,
        user=wanted.user,
        systemd=wanted.systemd,
    )
    if not wanted.user and not wanted.run_as:
        _strangers_may_read(unit)
    return unit


def state_of(unit: Unit) -> Path | None:
    """The database that the unit makes in its state directory; None when it is told of one."""
    return None if "--db" in unit.command else Path("/var/lib") / unit.name / "bide.db"


def _database(config: Config, wanted: Wanted, folder: Path) -> Path | None:
    """A person's own unit serves the database of the project, a system unit its state directory's."""
    if config.db is None and not wanted.user:
        return None
    db = Path(config.db).expanduser() if config.db is not None else folder / ".bide" / "bide.db"
    db = (Path.cwd() / db).resolve()
    if not wanted.user and not wanted.run_as:
        raise RefusedError(
            f"the database {db} is nobody's who is made for the service: leave it to the state directory "
            f"(/var/lib/{wanted.name}), or name whose it is: --run-as USER"
        )
    if not wanted.user and len(str(db)) + 5 > SOCKET_PATH_LIMIT:
        raise RefusedError(
            f"the path of the database {db} is too long for a socket beside it: "
            "a locked-in service has no other place for it; use a shorter one"
        )
    return db


def _program() -> tuple[str, ...]:
    script = Path(sys.executable).with_name("bide")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "bide")


def _words(config: Config, paths: Sequence[Path], db: Path | None) -> Iterable[str]:
    """What was said on this command line is said to the service; what stands in files it reads itself."""
    if config.origins.get("paths") in ("flag", "BIDE_PATHS"):
        yield from (str(path) for path in paths)
    for key, flag in (("slots", "--slots"), ("stop_timeout", "--drain")):
        if config.origins.get(key) in ("flag", f"BIDE_{key.upper()}"):
            value = getattr(config, key)
            yield from (flag, f"{value:g}s" if key == "stop_timeout" else str(value))
    if db is not None:
        yield from ("--db", str(db))


def _code() -> list[Path]:
    """Where the interpreter and bide stand: a service must see them."""
    roots = [sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent)]
    return [*(Path(root).resolve() for root in roots), Path(bide.__file__).resolve().parents[1]]


def _apart(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Without those that stand within another one; in their order."""
    found = list(dict.fromkeys(paths))
    return tuple(p for p in found if not any(p != other and p.is_relative_to(other) for other in found))


def _written(path: str, cwd: Path) -> Path:
    place = (cwd / path).resolve()
    if not place.exists():
        raise NotFoundError(
            f"--write {path}: there is no {place}: make it, owned by whom the service runs as"
        )
    return place


def _credential(said: str) -> tuple[str, str]:
    name, _, path = said.partition(":")
    if not _CREDENTIAL.fullmatch(name) or not Path(path).is_absolute():
        raise UsageError(f"--credential {said!r}: say NAME:/absolute/path")
    return name, path


def _strangers_may_read(unit: Unit) -> None:
    """A user made for the service is a stranger everywhere: everything must be readable to all.

    Folders above a place in a home are not asked: such a place is shown to the service by itself.
    """
    for place in unit.reads:
        above = [] if hidden(place) else [folder for folder in place.parents if folder != Path("/")]
        for each, right in [(place, stat.S_IROTH), *((folder, stat.S_IXOTH) for folder in above)]:
            mode = each.stat().st_mode
            need = right | (stat.S_IXOTH if each.is_dir() else 0)
            if mode & need != need:
                raise RefusedError(
                    f"a user made for the service cannot read {each} (mode {stat.S_IMODE(mode):04o}): "
                    f"chmod o+rX {each}, or name a user who can: --run-as USER"
                )
