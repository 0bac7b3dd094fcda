"""`@effect`: a task whose output leaves the platform, delivered once for the same inputs and on record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any, Final, NamedTuple, Unpack, get_type_hints

from bide.runtime.assets.asset import Asset, check_asset_name
from bide.runtime.assets.delivery import Delivery
from bide.runtime.assets.words import Node, Output, Semantics
from bide.runtime.errors import GraphError
from bide.runtime.graph.approval import checked_prompt, expiry_us, names
from bide.runtime.graph.building import current_body
from bide.runtime.graph.options import TaskOptions
from bide.runtime.graph.signature import Parameters
from bide.runtime.graph.spec import EffectSpec, Lane
from bide.runtime.graph.task import Task
from bide.runtime.graph.validate import suggestion

CONTEXT: Final = "_bide_context"
_REFUSED: Final = {
    "outlets": "its deliveries are the versions of its own asset",
    "branch": "it chooses nothing",
    "isolate": "its body runs in the runtime's process",
    "memory_limit": "its body runs in the runtime's process",
    "max_map": "there is one delivery of an interval",
    "setup": "what has left cannot be torn down",
    "teardown": "what leaves is no tear-down",
}


_KNOWN: Final = frozenset(
    {
        "target",
        "semantics",
        "reversible",
        "requires_approval",
        "prompt",
        "who",
        "expires",
        "owner",
        "criticality",
    }
)


class Asks(NamedTuple):
    """What the function wants to be handed: parameters by what they get."""

    key: bool
    previous: bool
    deliveries: tuple[str, ...]


class Effect(Task[..., Any]):
    """A function whose call in a DAG's body is a delivery. Called anywhere else it is the plain function."""

    def __init__(self, fn: Any, spec: EffectSpec, options: Mapping[str, Any], given: bool = False) -> None:
        for option, why in _REFUSED.items():
            if option in options:
                raise GraphError(f"the effect {spec.asset!r} has no option {option!r}: {why}")
        super().__init__(fn, options, given)  # which refuses what is no function
        if self._fields["lane"] is Lane.PROCESS:
            raise GraphError(f"the effect {spec.asset!r} has no lane 'process': {_REFUSED['isolate']}")
        self.plain: Callable[..., Any] = fn
        self.fn = _handed(fn)
        self._parameters = Parameters.of(self.fn)
        self.effect = spec
        self._fields["effect"] = spec
        self._fields["outlets"] = (spec.asset,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_body() is None:
            return self.plain(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def map(self, *args: Any, shard: int | None = None, **kwargs: Any) -> Any:
        """Refused: there is one delivery of an interval."""
        raise GraphError(f"the effect {self.effect.asset!r} cannot be mapped: {_REFUSED['max_map']}")

    def partial(self, **given: Any) -> Any:
        """Refused, as `map` is."""
        return self.map(**given)

    def options(self, **overrides: Unpack[TaskOptions]) -> Effect:
        """The same effect with other options of its task at one place."""
        return Effect(
            self.plain, self.effect, {**self._options, **overrides}, "name" in overrides or self._given
        )

    def __repr__(self) -> str:
        return f"<effect {self.effect.asset!r} to {self.effect.target!r}>"


def effect(
    name: str,
    *,
    target: str,
    semantics: Semantics | str,
    reversible: bool = False,
    requires_approval: bool = False,
    prompt: str = "",
    who: Sequence[str] | str = (),
    expires: timedelta = timedelta(days=1),
    owner: str = "",
    criticality: str = "normal",
    **options: Any,
) -> Callable[[Callable[..., Any]], Effect]:
    """Make a function an effect: `@effect("partner-export", target="partner-a", semantics="append_only_export")`.

    `name` is that of an asset: its versions are the deliveries, and contracts say what they need. The same
    inputs (the versions that the run may read) are delivered once: a rerun gets the receipt. Other inputs for
    an interval that was delivered make a correction. The function gets, where it has such parameters,
    `idempotency_key`, `previous` (the delivery that stands, or None) and what is annotated `Delivery`; what
    it returns is the receipt, JSON. `semantics` is idempotent_put, append_only_export, notification,
    stateful_remote_mutation or human_visible_publication. Only an `idempotent_put` is started again unasked
    when its process has died, unless `idempotent` says otherwise.
    """
    owner_words = f"the effect {name!r}"
    check_asset_name(name)
    given_target: object = target
    if not isinstance(given_target, str) or not given_target.strip():
        raise GraphError(f"{owner_words}: target is {target!r}, and must say where it goes")
    known = frozenset(get_type_hints(TaskOptions)) - {"name"}
    for option in options:
        if option not in known:
            raise GraphError(f"{owner_words} has no option {option!r}{suggestion(option, _KNOWN | known)}")
    try:
        kind = Semantics(str(semantics))
    except ValueError:
        raise GraphError(
            f"{owner_words}: semantics is {semantics!r}, and must be one of {', '.join(Semantics)}"
            f"{suggestion(str(semantics), list(Semantics))}"
        ) from None
    spec = EffectSpec(
        asset=name,
        target=target,
        semantics=kind,
        reversible=_flag(owner_words, "reversible", reversible),
        requires_approval=_flag(owner_words, "requires_approval", requires_approval),
        prompt=checked_prompt(owner_words, prompt),
        who=names(owner_words, who),
        expires_us=expiry_us(owner_words, expires),
    )
    Asset(
        name, node=Node.EXTERNAL_EFFECT, owner=owner, criticality=criticality, output=Output.EXPORT,
        doc=str(options.get("doc", "")),
    )  # fmt: skip
    given: dict[str, Any] = {"idempotent": kind is Semantics.IDEMPOTENT_PUT, **options}
    if owner:
        given["owner"] = owner
    return lambda fn: Effect(fn, spec, given)


def _flag(owner: str, option: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise GraphError(f"{owner}: {option} is {value!r}, and must be True or False")
    return value


def _handed(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a task: what it wants of its delivery comes out of the context. Of an `async def` the
    coroutine is returned, which the lane awaits.
    """
    whole = inspect.signature(fn)
    asks = _asks(whole)
    kept = [
        p
        for p in whole.parameters.values()
        if p.name not in ("idempotency_key", "previous", *asks.deliveries)
    ]
    context = inspect.Parameter(CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation="Context")
    place = next((i for i, p in enumerate(kept) if p.kind is inspect.Parameter.VAR_KEYWORD), len(kept))
    signature = whole.replace(parameters=[*kept[:place], context, *kept[place:]])

    @wraps(fn)
    def handed(*args: Any, **kwargs: Any) -> Any:
        delivery = kwargs.pop(CONTEXT).delivery
        return fn(*args, **kwargs, **_given(asks, delivery))

    handed.__signature__ = signature  # type: ignore[attr-defined]
    return handed


def _asks(whole: inspect.Signature) -> Asks:
    every = whole.parameters
    for name in ("idempotency_key", "previous"):
        if name in every and every[name].kind is inspect.Parameter.POSITIONAL_ONLY:
            raise GraphError(
                f"the parameter {name!r} of an effect is handed by name: it cannot stand before `/`"
            )
    return Asks(
        "idempotency_key" in every,
        "previous" in every,
        tuple(p.name for p in every.values() if _is_delivery(p.annotation)),
    )


def _is_delivery(annotation: Any) -> bool:
    return annotation is Delivery or annotation in ("Delivery", "bide.Delivery")


def _given(asks: Asks, delivery: Delivery) -> dict[str, Any]:
    given: dict[str, Any] = dict.fromkeys(asks.deliveries, delivery)
    if asks.key:
        given["idempotency_key"] = delivery.key
    if asks.previous:
        given["previous"] = delivery.previous
    return given
