"""`ObjectSource`: one store, one listing per prefix per look; a lone key is asked for by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from bide.runtime.clock import to_us
from bide.runtime.errors import UsageError
from bide.runtime.values import redactor
from bide.triggers._time_limit import TimeLimited
from bide.triggers.base import LookFailed, Registration, SourceWorld, reveal
from bide.triggers.objects import Listing, ObjectSeen, ObjectTrigger

HEADS: Final = 4
"""Up to so many keys under one prefix are asked for one by one; more are listed together."""
LISTED: Final = 100_000


class ObjectSource(TimeLimited):
    """One bucket with one set of options. `store` may be an obstore store of the user's own."""

    max_in_flight = 4

    def __init__(self, key: Hashable, world: SourceWorld, *, store: Any = None) -> None:
        super().__init__()
        self.key = key
        self._world = world
        self._store = store
        _require_obstore()

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> Listing:
        from obstore.exceptions import BaseError

        triggers: list[ObjectTrigger] = [one.trigger for one in registrations]
        limit = max(trigger.timeout for trigger in triggers)
        try:
            async with asyncio.timeout(limit):
                store = await self._opened(triggers[0])
                keys = {trigger.key for trigger in triggers if not trigger.takes_many}
                if len(keys) <= HEADS and all(not trigger.takes_many for trigger in triggers):
                    return Listing(await self._heads(store, keys))
                return Listing(await self._listed(store, str(poll_key)))
        except TimeoutError:
            raise LookFailed(f"no answer within {limit:g} s") from None
        except FileNotFoundError:
            return Listing({})
        except (BaseError, OSError) as error:
            raise LookFailed(redactor(_first_line(error))) from None

    async def close(self) -> None:
        self._store = None

    async def _opened(self, trigger: ObjectTrigger) -> Any:
        if self._store is None:
            _, root, *options = cast("tuple[str, ...]", self.key)
            values = reveal(msgspec.json.decode(options[0])) if options else {}
            self._store = await self._world.in_thread(open_store, root, values, trigger.timeout)
        return self._store

    async def _heads(self, store: Any, keys: set[str]) -> dict[str, ObjectSeen]:
        import obstore

        found: dict[str, ObjectSeen] = {}
        for key in sorted(keys):
            try:
                found[key] = _seen(await obstore.head_async(store, key))
            except FileNotFoundError:
                continue
        return found

    async def _listed(self, store: Any, prefix: str) -> dict[str, ObjectSeen]:
        import obstore

        found: dict[str, ObjectSeen] = {}
        async for batch in obstore.list(store, prefix=prefix.rstrip("/") or None, chunk_size=1000):
            for one in batch:
                found[one["path"]] = _seen(one)
            if len(found) > LISTED:
                raise LookFailed(f"more than {LISTED:,} objects under {prefix!r}: wait on a narrower prefix")
        return found


def _seen(meta: Any) -> ObjectSeen:
    return ObjectSeen(
        key=meta["path"],
        size=meta["size"],
        modified_us=to_us(meta["last_modified"]),
        etag=meta.get("e_tag"),
    )


def _require_obstore() -> None:
    try:
        import obstore  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError(
            "waiting for objects needs obstore, which is not installed: pip install 'bide[objects]'"
        ) from None


def open_store(root: str, options: dict[str, Any], timeout: float) -> Any:
    """An obstore store. Reads credentials of the environment where the options give none."""
    from datetime import timedelta

    from obstore import store as stores
    from obstore.exceptions import BaseError

    scheme, _, name = root.partition("://")
    try:
        match scheme:
            case "memory":
                return memory_store(name)
            case "file":
                return stores.LocalStore("/")
            case _:
                said = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
                allow_http = said or str(options.get("endpoint", "")).startswith("http://")
                from_url: Any = stores.from_url  # its overloads ask for each store's own TypedDict
                return from_url(
                    root,
                    config={key: value for key, value in options.items() if value is not None},
                    client_options={"timeout": timedelta(seconds=timeout), "allow_http": allow_http},
                    retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=timeout)},
                )
    except (BaseError, ValueError, TypeError) as error:
        raise LookFailed(redactor(f"{root} cannot be opened: {_first_line(error)}")) from None


@lru_cache(maxsize=64)
def memory_store(name: str) -> Any:
    """The store behind `memory://name/`: one per name and process, for tests and trials."""
    from obstore.store import MemoryStore

    return MemoryStore()


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:500]
