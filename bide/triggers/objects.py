"""`ObjectTrigger`: objects of a store (S3, Google, Azure, a folder) are waited for.

Waits under one prefix share one listing a look; a single key is asked for by itself. The store
is reached through obstore, the extra `objects`, which is loaded when the first wait is armed.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import force_setattr

from bide.runtime.errors import UsageError
from bide.triggers.base import Fire, NotYet, Source, SourceWorld, Trigger, Verdict
from bide.triggers.secret_refs import name_secrets

SCHEMES: Final = ("s3", "gs", "az", "file", "memory")
_GLOB: Final = re.compile(r"[*?\[]")
_SECRET_OPTION: Final = re.compile(r"secret|password|token$|account_key|sas_key|private_key")
_EVENT_OBJECTS: Final = 100


class ObjectSeen(msgspec.Struct, frozen=True):
    """One object: its key, bytes, last change and tag."""

    key: str
    size: int
    modified_us: int
    etag: str | None = None


class Listing(msgspec.Struct, frozen=True):
    """The objects a look found, by key; only the awaited ones when keys were asked for."""

    objects: dict[str, ObjectSeen]


class ObjectTrigger(Trigger, frozen=True, kw_only=True, tag="object"):
    """Wait for objects: `s3://bucket/key`, `s3://bucket/prefix/`, `s3://bucket/day/*.csv`.

    A url that ends in `/` is a prefix, one with `*`, `?` or `[` a glob (`*` stays within one
    folder, `**` crosses). The wait is over when `count` objects of at least `min_size` bytes,
    changed after `newer_than_us`, are there. `options` are obstore's for the store (endpoint,
    region, access_key_id, ...), and may hold `Secret`s. `timeout` bounds one look in seconds.
    """

    source_modules: ClassVar = ("bide.triggers.object_source", "obstore.store")

    url: str
    min_size: int = 0
    count: int = 1
    newer_than_us: int | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    timeout: float = 30.0

    def __post_init__(self) -> None:
        _, _, key = split_url(self.url)
        if not key and not self.url.endswith("/"):
            raise UsageError(f"url {self.url!r} names a bucket: add a key, a prefix/ or a glob")
        if self.count < 1 or self.min_size < 0:
            raise UsageError(f"count {self.count} must be at least 1, min_size {self.min_size} at least 0")
        if self.count > 1 and not self.takes_many:
            raise UsageError(f"count {self.count} needs a prefix/ or a glob, and {self.url!r} is one key")
        if not 0 < self.timeout <= 3600:
            raise UsageError(f"timeout {self.timeout} is not between 0 and 3600 seconds")
        force_setattr(self, "options", name_secrets(self.options))
        for name, value in self.options.items():
            if isinstance(value, str) and _SECRET_OPTION.search(name.lower()):
                raise UsageError(
                    f'option {name} holds a secret, which would be stored: write Secret("env:NAME")'
                )

    @property
    def key(self) -> str:
        return split_url(self.url)[2]

    @property
    def takes_many(self) -> bool:
        return not self.key or self.key.endswith("/") or bool(_GLOB.search(self.key))

    @property
    def prefix(self) -> str:
        """The folder that holds everything waited for: `day/` of `day/*.csv`; may be empty."""
        key = self.key
        glob = _GLOB.search(key)
        return key[: key.rfind("/", 0, glob.start() if glob else len(key)) + 1]

    def source_key(self) -> Hashable:
        scheme, bucket, _ = split_url(self.url)
        options = msgspec.json.encode(self.options, order="sorted").decode()
        return ("object", f"{scheme}://{bucket}", *([options] if self.options else []))

    def poll_key(self) -> Hashable:
        return self.prefix

    def judge(self, seen: Listing, memo: Any, now: int) -> Verdict:
        candidates = self._candidates(seen.objects)
        if not candidates:
            return NotYet(f"nothing at {self.url}")
        fit = [one for one in candidates if self._fits(one)]
        if len(fit) < self.count:
            if not self.takes_many:
                return NotYet(f"{self.url} is there, {self._lacks(candidates[0])}")
            return NotYet(f"{len(fit)} of {self.count} objects at {self.url}")
        fit.sort(key=lambda one: one.key)
        event: dict[str, Any] = {
            "url": self.url,
            "count": len(fit),
            "objects": [
                {"key": one.key, "size": one.size, "modified_us": one.modified_us, "etag": one.etag}
                for one in fit[:_EVENT_OBJECTS]
            ],
        }
        if not self.takes_many:
            event |= event["objects"][0]
        marks = {one.key: f"{one.etag or one.modified_us}@{one.size}" for one in fit[:_EVENT_OBJECTS]}
        return Fire(event, marks if self.takes_many else {})

    def only(self, event: Any, marks: dict[str, str]) -> Any:
        objects = [one for one in event["objects"] if one["key"] in marks]
        return None if len(objects) < self.count else {**event, "count": len(objects), "objects": objects}

    def _candidates(self, objects: dict[str, ObjectSeen]) -> Sequence[ObjectSeen]:
        key = self.key
        if not self.takes_many:
            return [objects[key]] if key in objects else []
        if not _GLOB.search(key):
            return [one for name, one in objects.items() if name.startswith(key)]
        fits = _glob(key).fullmatch
        return [one for name, one in objects.items() if fits(name)]

    def _fits(self, one: ObjectSeen) -> bool:
        return one.size >= self.min_size and (
            self.newer_than_us is None or one.modified_us > self.newer_than_us
        )

    def _lacks(self, one: ObjectSeen) -> str:
        if one.size < self.min_size:
            return f"with {one.size} of {self.min_size} bytes"
        return "older than newer_than"

    def describe(self) -> str:
        return self.url if self.count == 1 else f"{self.count} of {self.url}"

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        from bide.triggers.object_source import ObjectSource

        return ObjectSource(key, world)


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme, bucket and key; `UsageError` when it is not the url of an object.

    >>> split_url("s3://drops/day/a.csv")
    ('s3', 'drops', 'day/a.csv')
    >>> split_url("file:///var/drops/a.csv")
    ('file', '', 'var/drops/a.csv')
    """
    scheme, separator, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if not separator or scheme not in SCHEMES or (not bucket and scheme in ("s3", "gs", "az")):
        raise UsageError(
            f"url {url!r} is not the address of an object: write s3://bucket/key, gs://, az://, "
            "file:///folder/key or memory://name/key"
        )
    if "@" in bucket or urlsplit(f"x://{bucket}").username:
        raise UsageError(f"the url for {scheme} holds credentials: put them in options as Secret(...)")
    if scheme == "file" and bucket:
        raise UsageError(f"url {url!r} names a host: write file:///folder/key with three slashes")
    return scheme, bucket, key


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    """`*` and `?` stay within a folder, `**` crosses folders.

    >>> bool(_glob("day/*.csv").fullmatch("day/a.csv")), bool(_glob("day/*.csv").fullmatch("day/x/a.csv"))
    (True, False)
    """
    parts: list[str] = []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern):
        match piece:
            case "**/":
                parts.append("(?:.*/)?")
            case "**":
                parts.append(".*")
            case "*":
                parts.append("[^/]*")
            case "?":
                parts.append("[^/]")
            case _ if piece.startswith("[") and piece.endswith("]"):
                parts.append(translate(piece)[4:-3])
            case _:
                parts.append(re.escape(piece))
    return re.compile("".join(parts), re.DOTALL)
