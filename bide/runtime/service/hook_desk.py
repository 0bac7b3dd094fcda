"""Where deliveries come in: the loaded hooks, what is checked of a delivery, and the command it becomes.

The answer is given once the run is durable. What is not signed by a known sender costs no commit of its own: it
is counted, and the counts are written at most once a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from bide.runtime.aside import aside
from bide.runtime.assets.declarations import declared
from bide.runtime.clock import Clock
from bide.runtime.engine.messages import Command, Input
from bide.runtime.errors import BideError, NotFoundError, UsageError
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.params import schema_of
from bide.runtime.hooks.cloudevent import Event
from bide.runtime.hooks.hook import CloudEvents, HookSpec, RouteSpec, Webhook
from bide.runtime.hooks.mapped import (
    check_found,
    chosen,
    date_of,
    document_of,
    kept_key,
    key_of,
    matches,
    params_of,
)
from bide.runtime.hooks.pointer import Headers
from bide.runtime.hooks.signing import UNSIGNED, Forged, Signed, Unusable, usable, verified
from bide.runtime.service.addresses import read_date
from bide.runtime.service.caller import Caller, acting, caller
from bide.runtime.service.hook_files import given_hooks, hooks_for
from bide.runtime.store.hook_rows import hooks as stored_hooks
from bide.runtime.store.writer import StorePort
from bide.runtime.values import Secret

log = logging.getLogger("bide.hooks")
_WRITE_EVERY_S: Final = 1.0
UNHEARD: Final = 0
"""The token of a command whose answer nobody waits for."""

Commands = Callable[[str, dict[str, Any]], Awaitable[Any]]
Taken = dict[str, Any]
"""How a delivery was taken, as `hooking.deliver` answers."""


class HookDesk:
    """The hooks of one runtime: those it was given, or those that its DAGs' files declare.

    `dags` are the loaded DAGs by name. It is `open`ed with the means of a running engine.
    """

    def __init__(self, given: Iterable[Webhook | CloudEvents] | None = None) -> None:
        self._given = None if given is None else given_hooks(given)
        self.hooks: dict[str, HookSpec] = {}
        self._stored: tuple[tuple[str, str], ...] = ()
        self._rejected: dict[tuple[str, str], tuple[int, int]] = {}
        self._writes: asyncio.TimerHandle | None = None
        self._post: Callable[[Input], None] = lambda _: None

    async def open(
        self,
        clock: Clock,
        store: StorePort,
        command: Commands,
        post: Callable[[Input], None],
        dags: Mapping[str, Dag],
    ) -> None:
        """Before the first DAGs are loaded."""
        self._clock, self._command, self._post, self._dags = clock, command, post, dags
        self._stored = await store.read(stored_hooks)

    def loads(self) -> list[Input]:
        """Take the hooks as they now are declared; what is to be told of it, if anything has changed."""
        self.hooks = hooks_for(self._dags.values(), declared()) if self._given is None else self._given
        rows = tuple((name, msgspec.json.encode(spec).decode()) for name, spec in sorted(self.hooks.items()))
        if rows == self._stored:
            return []
        self._stored = rows
        return [Command(UNHEARD, "hooks_declare", {"hooks": rows}, None)]

    def webhook(self, name: str) -> HookSpec:
        """`NotFoundError` when no webhook has that name."""
        found = self.hooks.get(name)
        if found is None or found.kind != "webhook":
            raise NotFoundError(
                "there is no webhook of this name: `bide hooks` lists them, and bide.hooks.Webhook(...) beside a DAG "
                "declares one"
            )
        return found

    # --- taking --------------------------------------------------------------------------------

    async def take_webhook(self, hook: HookSpec, headers: Headers, body: bytes) -> Taken:
        """Raises `Forged` for what no known sender signed, `Unusable` when that cannot be checked."""
        now = self._clock.now()
        if hook.scheme == UNSIGNED:
            self._known(hook)
        try:
            secrets = await _resolved(hook.secrets)
            usable(
                hook.scheme, secrets
            )  # before what was sent is looked at: it is not the sender who is wrong
            signed = verified(hook.scheme, secrets, headers, body, now, hook.tolerance_us)
        except Forged as error:
            self.count(hook.name, error.kind)
            raise
        except (Unusable, NotFoundError) as error:
            log.error("the hook %s cannot check signatures: %s", hook.name, error)  # noqa: TRY400 - said in full
            self.count(hook.name, "secret")
            raise Unusable(
                f"the hook {hook.name} cannot check signatures now: its secret is missing or not in its form; "
                "the log of the service says which"
            ) from None
        who = caller.get()
        if hook.scheme == UNSIGNED and who is not None:
            return await self._deliver(hook, signed, headers, body)
        with acting(Caller(hook.name, "hook", who.address if who is not None else "", "run")):
            return await self._deliver(hook, signed, headers, body)

    def _known(self, hook: HookSpec) -> None:
        """Of a hook that nobody signs: whoever sends has a name, and may start runs."""
        who = caller.get()
        if who is None or not who.who or not who.may("run"):
            self.count(hook.name, "nobody")
            raise Forged(
                "nobody", f"nobody signs what comes to the hook {hook.name}: send a token of scope run, as "
                "`Authorization: Bearer ...`, or use the service's socket",
            )  # fmt: skip

    async def _deliver(self, hook: HookSpec, signed: Signed, headers: Headers, body: bytes) -> Taken:
        keys: tuple[str, ...] = signed.keys
        try:
            _check_content(headers, body)
            document = document_of(body)
            if hook.key:
                keys = (f"key:{key_of(hook, document, headers)}",)
        except UsageError as error:
            return await self._record(hook, signed, keys, refused=error)
        return await self._routed(hook, signed, keys, document, headers)

    async def take_event(self, event: Event, headers: Headers) -> list[Taken]:
        """Each `CloudEvents` that matches makes its run. `NotFoundError` when none takes such events."""
        found = [
            hook
            for hook in self.hooks.values()
            if hook.kind == "cloudevents"
            and matches(hook.type, event.type)
            and matches(hook.source, event.source)
        ]
        if not found:
            raise NotFoundError(
                f"nothing takes events of type {event.type!r} from {event.source!r}: bide.hooks.CloudEvents(...) "
                "beside a DAG does; `bide hooks` lists them"
            )
        key = kept_key(msgspec.json.encode([event.source, event.id]).decode())
        signed = Signed(event.id, (f"event:{key}",))
        return [await self._routed(hook, signed, signed.keys, event.document, headers) for hook in found]

    async def _routed(
        self, hook: HookSpec, signed: Signed, keys: tuple[str, ...], document: Any, headers: Headers
    ) -> Taken:
        try:
            route = chosen(hook, document, headers)
            if route is None:
                return await self._record(hook, signed, keys, ignored="no route of the hook wants it")
            params = params_of(route, document, headers)
            if (dag := self._dags.get(route.dag)) is not None:
                check_found(route, params, schema_of(dag.spec)["required"])
            logical_us = self._date(route, document, headers)
        except UsageError as error:
            return await self._record(hook, signed, keys, refused=error)
        asked = {"dag": route.dag, "params": params, "logical_us": logical_us, "new": route.new}
        return await self._record(hook, signed, keys, asked=asked)

    def _date(self, route: RouteSpec, document: Any, headers: Headers) -> int | None:
        text = date_of(route, document, headers)
        return None if text is None else read_date(text, self._zone(route.dag))

    def _zone(self, dag: str) -> str:
        loaded = self._dags.get(dag)
        return loaded.tz if loaded is not None else "UTC"

    async def _record(
        self,
        hook: HookSpec,
        signed: Signed,
        keys: tuple[str, ...],
        *,
        refused: BideError | None = None,
        ignored: str = "",
        asked: Mapping[str, Any] | None = None,
    ) -> Taken:
        args = {
            "hook": hook.name,
            "said": signed.delivery,
            "keys": list(keys),
            "sent_us": signed.sent_us,
            "keep_us": hook.keep_us,
            **(asked or {}),
        }
        if refused is not None:
            args["refused"] = [type(refused).__name__, str(refused)]
        if ignored:
            args["ignored"] = ignored
        taken: Taken = await self._command("hook_deliver", args)
        return taken

    # --- what no known sender signed -------------------------------------------------------------

    def count(self, hook: str, kind: str) -> None:
        """One more of a kind. Written within a second, with all others of that second."""
        count, _ = self._rejected.get((hook, kind), (0, 0))
        self._rejected[hook, kind] = count + 1, self._clock.now()
        if self._writes is None:
            self._writes = asyncio.get_running_loop().call_later(_WRITE_EVERY_S, self.write)

    def write(self) -> None:
        """Write what was counted, now. May be called at any time."""
        if self._writes is not None:
            self._writes.cancel()
            self._writes = None
        if self._rejected:
            rows = tuple((*key, count, last) for key, (count, last) in self._rejected.items())
            self._rejected.clear()
            self._post(Command(UNHEARD, "hooks_reject", {"rows": rows}, None))


async def _resolved(references: Iterable[str]) -> list[str]:
    """The secrets as they are now. One that cannot be read is left out while another can."""
    found: list[str] = []
    missing: NotFoundError | None = None
    for ref in references:
        secret = Secret(ref)
        try:
            quick = ref.startswith("env:")
            found.append(secret.resolve() if quick else await aside(secret.resolve))
        except NotFoundError as error:
            missing = error
    if missing is not None and not found:
        raise missing
    return found


def _check_content(headers: Headers, body: bytes) -> None:
    kind = (headers.get("content-type") or ("",))[0].partition(";")[0].strip().lower()
    if body and kind and kind != "application/json" and not kind.endswith("+json"):
        raise UsageError(
            f"the body is {kind[:80]!a}, and must be JSON: have the sender use application/json "
            "(GitHub: the content type in the webhook's settings)"
        )
