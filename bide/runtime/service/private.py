"""Where a service keeps its database and its socket is its own: nobody else may write there, or read.

A folder that others may write to is one where they can put another file in the place of the database,
its log or its socket. It is refused, not mended: whoever made it so may have had a reason.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bide.runtime.errors import RefusedError, StoreError
from bide.runtime.service.places import socket_of

_UMASK = 0o077
_SUFFIXES = ("", "-wal", "-shm", ".lock", ".logs", ".sock")


def private(db: Path) -> None:
    """From here on this process makes files for its own user alone. `RefusedError` for a place that others share.

    The folder is made where there is none.
    """
    os.umask(_UMASK)
    place = Path(os.path.realpath(db))
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder of the database {db} cannot be made ({error.strerror}): use another path"
        ) from None
    _refuse_folders(place.parent)
    for suffix in _SUFFIXES:
        _refuse_file(place.with_name(place.name + suffix))
    if (socket := socket_of(place)).parent != place.parent:
        _refuse_folders(socket.parent, shared=True)


def _refuse_folders(folder: Path, shared: bool = False) -> None:
    """The folder, and those above it: who may rename one of them may put another in its place."""
    for at in (folder, *folder.parents):
        try:
            found = at.stat()
        except OSError:
            return  # opening the database says what is wrong
        sticky = bool(found.st_mode & stat.S_ISVTX)
        if found.st_mode & stat.S_IWOTH and not (sticky and (shared or at != folder)):
            raise RefusedError(
                f"anybody may write to {at} (mode {stat.S_IMODE(found.st_mode):o}), where a service's files would "
                f"stand: `chmod o-w {at}`, or use --db in a folder of your own"
            )
        if at == folder and not shared:
            _refuse_owner(at, found.st_uid)


def _refuse_file(path: Path) -> None:
    """One that is there must be this user's, and for nobody else to write."""
    try:
        found = path.lstat()
    except OSError:
        return
    _refuse_owner(path, found.st_uid)
    if not stat.S_ISLNK(found.st_mode) and found.st_mode & stat.S_IWOTH:
        raise RefusedError(
            f"anybody may write to {path} (mode {stat.S_IMODE(found.st_mode):o}): `chmod o-w {path}` first"
        )


def _refuse_owner(path: Path, owner: int) -> None:
    if owner not in (0, os.geteuid()):
        raise RefusedError(
            f"{path} belongs to user {owner}, and this is user {os.geteuid()}: "
            "run the service as that user, or use --db in a folder of your own"
        )
