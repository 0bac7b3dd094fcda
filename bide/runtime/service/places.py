"""Where a database's files stand: the database itself, its socket, the logs of its attempts.

A service's socket is `<db>.sock`; when that path is too long for a socket, a name in the owner's
runtime directory that every asker finds from the database's path alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from bide.runtime.config import Config, load_config
from bide.runtime.errors import UsageError
from bide.runtime.project import default_db

SOCKET_PATH_LIMIT: Final = 96  # bytes; the kernel has 108, less its final zero and our suffix while binding


def settings(**flags: Any) -> Config:
    """The configuration of this process; a flag that is None was not given."""
    where: Any = flags.get("db")
    if hasattr(where, "url"):  # what a command takes that may ask elsewhere
        if where.url is not None:
            raise UsageError(
                "this command works on the database where it stands: leave --url out, name it by --db"
            )
        flags["db"] = where.db
    if flags.get("db") == "":
        raise UsageError("--db is empty: give the path of the database, such as --db .bide/bide.db")
    return load_config(os.environ, Path.cwd(), flags)


def meant(*, db: str | None, url: str | None, token_file: str | None) -> Config:
    """The configuration of a command that may ask elsewhere: its `url` is None where a database is meant.

    Of a database and an address, what is said closer counts: a flag before the environment, that before a file.
    """
    if db is not None and url is not None:
        raise UsageError("--db and --url name two places: leave one of them out")
    if url == "":
        raise UsageError(
            "--url is empty: give the address of the service, such as --url http://127.0.0.1:8000"
        )
    config = settings(db=db, url=url, token_file=token_file)
    if config.url is not None and _closeness(config, "db") > _closeness(config, "url"):
        return msgspec.structs.replace(config, url=None)
    return config


def _closeness(config: Config, key: str) -> int:
    origin = config.origins[key]
    return 0 if origin == "default" else 3 if origin == "flag" else 2 if origin.startswith("BIDE_") else 1


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
