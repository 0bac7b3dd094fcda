"""Where things stand: the database (flag, environment, project), and its files beside it.

Rising order: the nearest project's `bide.toml` or `[tool.bide]`, `BIDE_DB`, `--db`. A service's
socket is `<db>.sock`; when that path is too long for a socket, a name in the runtime directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bide.runtime.errors import UsageError

SOCKET_PATH_LIMIT: Final = 96  # bytes; the kernel has 108, its final zero and our suffix while binding within


def database(flag: str | None, env: Mapping[str, str] | None = None, here: Path | None = None) -> Path:
    """The database that is meant, absolute; it need not exist."""
    env = os.environ if env is None else env
    here = Path.cwd() if here is None else here
    if flag is not None:
        if not flag:
            raise UsageError("--db is empty: give the path of the database, such as --db .bide/bide.db")
        return here / Path(flag).expanduser()
    if named := env.get("BIDE_DB"):
        return here / Path(named).expanduser()
    project, settings = project_of(here)
    if named := settings.get("db"):
        if not isinstance(named, str):
            raise UsageError(f'db = {named!r} in the settings of {project} is no path: write db = "bide.db"')
        return project / Path(named).expanduser()
    if state := env.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0]) / "bide.db"
    return project / ".bide" / "bide.db"


def project_of(here: Path) -> tuple[Path, dict[str, Any]]:
    """The nearest folder upward with `bide.toml` or `[tool.bide]`, else `here`; and its settings."""
    for folder in (here, *here.parents):
        own, shared = folder / "bide.toml", folder / "pyproject.toml"
        if own.is_file():
            return folder, _toml(own)
        if shared.is_file() and b"[tool.bide" in shared.read_bytes():
            return folder, _toml(shared).get("tool", {}).get("bide", {})
    return here, {}


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML ({error}): correct it") from None


def socket_of(db: Path) -> Path:
    """The socket of the service that holds `db`: the same for every name of the file, every asker."""
    real = Path(os.path.realpath(db))
    beside = real.with_name(real.name + ".sock")
    if len(os.fsencode(beside)) <= SOCKET_PATH_LIMIT:
        return beside
    import hashlib

    owner = owner_of(real)
    folder = Path("/run/user") / str(owner)
    name = hashlib.sha256(os.fsencode(real)).hexdigest()[:24]
    return (folder if folder.is_dir() else Path("/tmp")) / f"bide-{owner}-{name}.sock"  # noqa: S108


def owner_of(db: Path) -> int:
    """Whose database it is, or would be."""
    try:
        return db.stat().st_uid
    except OSError:
        return os.getuid()


def log_of(db: Path, attempt_id: int) -> Path:
    """The log of an attempt: `<db>.logs/<attempt id>.log`."""
    real = Path(os.path.realpath(db))
    return real.with_name(real.name + ".logs") / f"{attempt_id}.log"
