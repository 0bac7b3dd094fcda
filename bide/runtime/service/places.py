"""Where a database's files stand: the database itself, its socket, the logs of its attempts.

A service's socket is `<db>.sock`; when that path is too long for a socket, a name in the owner's
runtime directory that every asker finds from the database's path alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from bide.runtime.config import Config, default_db, load_config
from bide.runtime.errors import UsageError

SOCKET_PATH_LIMIT: Final = 96  # bytes; the kernel has 108, less its final zero and our suffix while binding


def settings(**flags: Any) -> Config:
    """The configuration of this process; a flag that is None was not given."""
    if flags.get("db") == "":
        raise UsageError("--db is empty: give the path of the database, such as --db .bide/bide.db")
    return load_config(os.environ, Path.cwd(), flags)


def database(config: Config) -> Path:
    """The database that is meant, absolute; it need not exist."""
    if config.db is None:
        return default_db(os.environ, Path.cwd())
    return Path.cwd() / Path(config.db).expanduser()


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
