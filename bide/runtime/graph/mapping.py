"""A task that runs once for each item of a list: how it is declared, counted, and given its part.

The list may be known only at run time, as the output of another task. What is mapped stands in the
task's keyword arguments as a whole; an instance takes its part by its map index.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from bide.runtime.errors import GraphError
from bide.runtime.graph.binding import references, resolved
from bide.runtime.graph.handle import Linked
from bide.runtime.graph.signature import Parameters
from bide.runtime.graph.spec import MapSpec, TaskSpec

MOST: Final = 10_000
"""Instances of one mapped task, unless `max_map` says otherwise."""


class Unmapped:
    """A value that goes whole to every instance; see `unmapped`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def unmapped(value: Any) -> Any:
    """In `.map(...)`: pass `value` whole to every instance, though it is a list or an output.

    >>> unmapped([1, 2]).value
    [1, 2]
    """
    return Unmapped(value)


class MappedCall(NamedTuple):
    """What `.map(...)` was called with: the mapped arguments are lists or outputs."""

    spec: MapSpec
    kwargs: dict[str, Any]


def mapped_call(
    name: str,
    parameters: Parameters,
    given: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    shard: int | None,
    limit: int,
) -> MappedCall:
    """Tell what is mapped from what is not. `given` is what `partial` was given, never mapped.

    Raises `GraphError` for arguments the function does not take, for nothing to map over, and for
    lists that are known now and are too long or differ in length.
    """
    twice = sorted(given.keys() & kwargs.keys())
    if twice:
        raise GraphError(f"the task {name!r} is given {twice[0]!r} both by partial() and by map()")
    if shard is not None and "shard" in parameters.asked.parameters:
        raise GraphError(
            f"the task {name!r} has a parameter named shard, and map(shard=...) is how many items an instance "
            "gets: give the parameter with partial(shard=...)"
        )
    if shard is not None and (type(shard) is not int or shard < 1):
        raise GraphError(f"the task {name!r}: shard is {shard!r}, and must be a whole number, 1 or more")
    parameters.check(name, args, {**given, **kwargs})
    named = _by_name(name, parameters, args, {**given, **kwargs})
    over = tuple([key for key, value in named.items() if key not in given and is_mapped(value)])
    if not over:
        raise GraphError(
            f"the task {name!r} is mapped over nothing: give map() a list or the output of another task"
        )
    plain = {key: _plain(value, key in over) for key, value in named.items()}
    lengths = {key: len(plain[key]) for key in over if type(plain[key]) is list}
    spec = MapSpec(over=over, shard=shard, limit=limit)
    if lengths:
        check_lengths(f"the task {name!r}", spec, lengths)
    return MappedCall(spec, plain)


def _by_name(
    name: str, parameters: Parameters, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments by the names of their parameters."""
    named: dict[str, Any] = {}
    for key, value in parameters.asked.bind(*args, **kwargs).arguments.items():
        match parameters.asked.parameters[key].kind:
            case inspect.Parameter.VAR_KEYWORD:
                named |= value
            case inspect.Parameter.VAR_POSITIONAL | inspect.Parameter.POSITIONAL_ONLY:
                raise GraphError(
                    f"the task {name!r} takes {key!r} by position only, and what is mapped goes by name: "
                    "give the parameter a name"
                )
            case _:
                named[key] = value
    return named


def is_mapped(value: Any) -> bool:
    """Whether `map(...)` takes it for a list of items."""
    return isinstance(value, (Linked, list, tuple, range))


def _plain(value: Any, mapped: bool) -> Any:
    if isinstance(value, Unmapped):
        return value.value
    return list(value) if mapped and not isinstance(value, Linked) else value


def each(fn: Callable[..., Any], call: MappedCall) -> list[Any]:
    """Outside of a DAG: the function called for each item, and the list of what it returns.

    Of an `async def` these are coroutines, each to be awaited.
    """
    if any(isinstance(value, Linked) for value in call.kwargs.values()):
        raise GraphError(
            f"the task {fn.__name__!r} is mapped over the output of another task outside of a DAG's body: "
            "move the call into the function with @dag"
        )
    lengths = {key: len(call.kwargs[key]) for key in call.spec.over}
    calls = [
        call.kwargs | {key: part(call.spec, call.kwargs[key], index) for key in call.spec.over}
        for index in range(check_lengths(f"the task {fn.__name__!r}", call.spec, lengths))
    ]
    return [fn(**kwargs) for kwargs in calls]


# --- at run time ---------------------------------------------------------------------------------


class Measured(NamedTuple):
    """How many instances a mapped task becomes, and the lists it was given by other tasks, as JSON."""

    items: int
    manifest: bytes


def sources(task: TaskSpec) -> tuple[str, ...]:
    """The upstreams whose outputs a task is mapped over."""
    assert task.map is not None
    over = {key: task.kwargs[key] for key in outer(task)}
    return references(msgspec.structs.replace(task, kwargs=over, sensor=None, shell=None))


def outer(task: TaskSpec) -> Iterable[str]:
    """The mapped arguments that are outputs of other tasks, by name."""
    assert task.map is not None
    return [key for key in task.map.over if type(task.kwargs[key]) is not list]


def shared(task: TaskSpec) -> tuple[str, ...]:
    """The upstreams whose outputs each instance needs beside its part of the manifest."""
    without = dict(task.kwargs)
    for key in outer(task):
        del without[key]
    return references(msgspec.structs.replace(task, kwargs=without))


def measure(task: TaskSpec, outputs: Mapping[str, Any]) -> Measured:
    """Count the instances of a mapped task. Raises `GraphError` for what cannot be mapped over.

    An output that is null (its task was skipped, or returned nothing) is an empty list.
    """
    spec = task.map
    assert spec is not None
    lists: dict[str, list[Any]] = {}
    lengths: dict[str, int] = {}
    for key in spec.over:
        written = task.kwargs[key]
        if type(written) is list:
            lengths[key] = len(written)
            continue
        value = resolved(task.name, written, outputs)
        if value is None:
            value = []
        if type(value) is not list:
            what = f"a {type(value).__name__}"
            raise GraphError(
                f"the task {task.name!r} is mapped over the output of {written['$out']!r}, which is {what}, not a "
                "list: return a list, or pick the one in it by its key"
            )
        lists[key] = value
        lengths[key] = len(value)
    shards = task.sensor is None and task.shell is None
    items = check_lengths(f"the task {task.name!r}", spec, lengths, shards=shards)
    return Measured(items, msgspec.json.encode(lists))


def check_lengths(owner: str, spec: MapSpec, lengths: Mapping[str, int], *, shards: bool = True) -> int:
    """Instances for lists of these lengths, which go side by side. `owner` begins an error's sentence."""
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise GraphError(
            f"{owner} is mapped over lists that go side by side and differ in length: {told} items; "
            "make them equal, or pass one whole with unmapped(...)"
        )
    length = next(iter(lengths.values()))
    items = -(-length // (spec.shard or 1))
    if items > spec.limit:
        fewer = f"give each a list of items with map(..., shard={-(-length // spec.limit)}) or more, or "
        raise GraphError(
            f"{owner} would become {items:,} instances, and the limit is {spec.limit:,}: "
            f"{fewer if shards else ''}raise the limit with max_map={items}"
        )
    return items


def part(spec: MapSpec, whole: Sequence[Any], index: int) -> Any:
    """What instance `index` gets of a mapped list: its item, or its shard.

    >>> part(MapSpec(over=("n",), shard=2), [1, 2, 3], 1)
    [3]
    """
    if spec.shard is None:
        return whole[index]
    return whole[index * spec.shard : (index + 1) * spec.shard]
