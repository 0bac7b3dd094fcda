"""Outputs in an object store: written to a local file, uploaded aside, compared, copied to the target.

The upload goes under a key of the instance beside the target; readers see the target change at once, by
the store's own copy. What a dead attempt has left aside is removed by the next one of its instance.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bide.outputs.local import FileStage, digest, refuse_when
from bide.runtime.errors import OutputError, UsageError
from bide.runtime.values import Secret, redactor

FOLDER: Final = ".bide-stage"
_TIMEOUT_S: Final = 300.0


class ObjectStage:
    """One object. `owner` names the instance over all its attempts, `attempt` this one."""

    def __init__(self, url: str, owner: str, attempt: str, options: dict[str, Any]) -> None:
        scheme, _, rest = url.partition("://")
        bucket, _, self.key = rest.partition("/")
        self._root = f"{scheme}://{bucket}"
        if not bucket or not self.key or self.key.endswith("/"):
            raise UsageError(f"the output {url!r} names no object: write {self._root}/folder/name")
        self.url = url
        parent, _, name = self.key.rpartition("/")
        mine = hashlib.sha256(owner.encode()).hexdigest()[:16]
        self._aside = "/".join(part for part in (parent, FOLDER, f"{name}.{mine}") if part)
        self._staged = f"{self._aside}/{attempt.replace(':', '.')}"
        self._options = options
        self._here = Path(tempfile.gettempdir(), f"bide-outputs-{os.getuid()}")
        self._local = FileStage(self._here / name, mine, again=True)
        self.path = self._local.path

    def begin(self) -> None:
        _need_obstore()
        self._here.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._here.is_symlink() or self._here.stat().st_uid != os.getuid():
            raise OutputError(f"{self._here} belongs to somebody else: remove it, or set TMPDIR")
        self._local.begin()
        self.path = self._local.path

    def publish(self, stopping: Callable[[], bool]) -> dict[str, Any]:
        import obstore
        from obstore.exceptions import BaseError

        if not self.path.is_file():
            raise OutputError(f"{self.url} is not published: nothing was written to {self.path}")
        found = {"size": self.path.stat().st_size, "sha256": digest(self.path)}
        store = self._store()
        try:
            self._sweep(store)
            obstore.put(store, self._staged, self.path)
            there = obstore.head(store, self._staged)["size"]
            if there != found["size"]:
                raise OutputError(
                    f"{self.url} is not published: {found['size']} bytes were sent and {there} have come"
                )
            refuse_when(stopping(), self.url)
            obstore.copy(store, self._staged, self.key)
        except (BaseError, OSError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise OutputError(redactor(f"{self.url} is not published: {first[:500]}")) from None
        with contextlib.suppress(BaseError, OSError):  # it is published: what is left aside does no harm
            obstore.delete(store, self._staged)
        return found

    def discard(self) -> None:
        self._local.discard()

    def _sweep(self, store: Any) -> None:
        """Only one attempt of an instance goes at a time: what others of it have left is stale."""
        import obstore

        stale = [one["path"] for batch in obstore.list(store, prefix=self._aside) for one in batch]
        if stale:
            obstore.delete(store, stale)

    def _store(self) -> Any:
        from bide.triggers.base import LookFailed
        from bide.triggers.object_source import open_store

        values = {
            key: value.resolve() if isinstance(value, Secret) else value
            for key, value in self._options.items()
        }
        if self._root.startswith("s3:"):
            values.setdefault("disable_bulk_delete", "true")  # not every S3 has it
        try:
            return open_store(self._root, values, _TIMEOUT_S)
        except LookFailed as error:
            raise OutputError(f"{self.url} is not published: {error}") from None


def _need_obstore() -> None:
    try:
        import obstore  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError(
            "an output in an object store needs obstore, which is not installed: pip install 'bide[objects]'"
        ) from None
