"""Arguments into the form of a spec, and back into Python values when an attempt starts.

The form is described in `values.py`: literals are JSON, everything else is a reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from bide.runtime.errors import GraphError
from bide.runtime.graph.code import Code
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked, Output
from bide.runtime.graph.item import Item
from bide.runtime.graph.quoting import render_command
from bide.runtime.graph.render import render
from bide.runtime.graph.signature import Parameters
from bide.runtime.graph.spec import TaskSpec
from bide.runtime.values import Secret

_MARKS: Final = ("$out", "$code", "$secret", "$lit")
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_MISSING: Final = object()
NO_ITEMS: Final[Mapping[str, Any]] = {}


def encode_value(value: Any, use: Callable[[Output], None]) -> Any:
    """`value` as it stands in a spec; `use` is called with each output found in it.

    >>> encode_value({"day": (1, 2), "$lit": 0}, print)
    {'$lit': {'day': [1, 2], '$lit': 0}}
    """
    kind = type(value)
    if kind in _PLAIN:
        if (kind is float and not math.isfinite(value)) or (kind is int and not -(2**63) <= value < 2**64):
            return {"$code": kind.__name__}
        return value
    if isinstance(value, Linked):
        output: Output = value.output
        use(output)
        ref: dict[str, Any] = {"$out": output.node.name}
        if output.at:
            ref["at"] = list(output.at)
        return ref
    if kind is list or kind is tuple:
        return [encode_value(item, use) for item in value]
    if kind is dict:
        return _encode_dict(value, use)
    if isinstance(value, Secret):
        return {"$secret": value.ref}
    if isinstance(value, Item):
        return {"$code": "item", "of": value.key}
    return {"$code": kind.__name__}


def _encode_dict(value: dict[Any, Any], use: Callable[[Output], None]) -> Any:
    encoded = {key: encode_value(item, use) for key, item in value.items()}
    if not all(type(key) is str for key in value):
        if _refers(value.values()):
            raise GraphError("a dict that holds an output needs keys that are strings")
        return {"$code": "dict"}
    return {"$lit": encoded} if any(mark in encoded for mark in _MARKS) else encoded


def _refers(values: Iterable[Any]) -> bool:
    """Whether an output stands among `values`, however deep."""
    for value in values:
        if isinstance(value, Linked):
            return True
        if isinstance(value, (list, tuple)) and _refers(value):
            return True
        if isinstance(value, dict) and _refers(value.values()):
            return True
    return False


class _Resolver:
    """Resolves the references in the arguments of one task."""

    def __init__(
        self, task: str, outputs: Mapping[str, Any], keep_secrets: bool, items: Mapping[str, Any] = NO_ITEMS
    ) -> None:
        self.task = task
        self.items = items
        self.outputs = outputs
        self.keep_secrets = keep_secrets

    def __call__(self, value: Any, raw: Any = _MISSING) -> Any:
        """The Python value of `value`; `raw` is what stands in its place in the loaded code."""
        if type(value) is list:
            raws = raw if type(raw) in (list, tuple) and len(raw) == len(value) else ()
            items = [self(item, raws[place] if raws else _MISSING) for place, item in enumerate(value)]
            return tuple(items) if type(raw) is tuple and raws else items
        if type(value) is not dict:
            return value
        if "$lit" in value:
            return self._dict(value["$lit"], raw)
        if "$out" in value:
            return self._output(value["$out"], value.get("at", ()))
        if "$secret" in value:
            secret = Secret(value["$secret"])
            return secret if self.keep_secrets else secret.resolve()
        if "$code" in value:
            if value.get("of") in self.items:
                return self.items[value["of"]]
            if raw is _MISSING or isinstance(raw, Linked):
                raise GraphError(
                    f"the task {self.task!r} was declared with a {value['$code']} as an argument, "
                    "and its code as it is now loaded has none in that place: start a new run"
                )
            return raw
        return self._dict(value, raw)

    def _dict(self, value: dict[str, Any], raw: Any) -> dict[str, Any]:
        raws = raw if type(raw) is dict else {}
        return {key: self(item, raws.get(key, _MISSING)) for key, item in value.items()}

    def _output(self, upstream: str, at: Iterable[str | int]) -> Any:
        """A part of the output of `upstream`; of none, or of null, each part is None.

        So a task that may run without its upstream (it was skipped, its sensor went on without)
        gets None where it picks a key.
        """
        value = self.outputs.get(upstream)
        if value is None:
            return None
        done: list[str] = []
        for key in at:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                raise GraphError(
                    f"the task {self.task!r} takes [{key!r}] of the output of {upstream!r}"
                    f"{''.join(done)}, which {_found(value)}"
                ) from None
            done.append(f"[{key!r}]")
        return value


def _found(value: Any) -> str:
    match value:
        case dict():
            keys = ", ".join(repr(key) for key in list(value)[:20])
            return f"has the keys {keys}" if keys else "is an empty dict"
        case list():
            return f"is a list of {len(value)}"
        case None:
            return "is null"
        case _:
            return f"is a {type(value).__name__}"


def resolved(task: str, value: Any, outputs: Mapping[str, Any]) -> Any:
    """The value of a reference to an output, or `GraphError` when a part of it is not there."""
    return _Resolver(task, outputs, keep_secrets=False)(value)


Part = Callable[[Any], Any]
"""What one instance of a mapped task gets of a whole list."""


def bind(
    spec: TaskSpec,
    code: Code,
    outputs: Mapping[str, Any],
    facts: Facts,
    context: object,
    failures: Sequence[object] = (),
    lists: Mapping[str, Any] | None = None,
    part: Part | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments for the function of a task.

    Of a mapped task `lists` has the mapped arguments that other tasks have returned, and `part`
    takes from each mapped argument what is this instance's.

    `outputs` are those of its upstreams by name; one that has none (skipped, failed) reads as
    None. `context` goes to each parameter annotated `Context`, the first of `failures` to one annotated
    `Failure`. A `Secret` arrives as its value,
    or as the `Secret` where the parameter is annotated so. Raises `GraphError` when a part of an
    output is not there or the function no longer takes these arguments.
    """
    if code.fn is None:
        raise GraphError(f"the task {spec.name!r} of the DAG {facts.dag!r} has no function to call")
    parameters = Parameters.of(code.fn)
    resolve = _Resolver(spec.name, outputs, keep_secrets=False)
    keep = _Resolver(spec.name, outputs, keep_secrets=True)
    raws = code.args
    args = [
        (keep if place in parameters.secret_places else resolve)(
            value, raws[place] if place < len(raws) else _MISSING
        )
        for place, value in enumerate(spec.args)
    ]
    mapped = spec.map.over if spec.map is not None and part is not None else ()
    kwargs = {
        key: (keep if key in parameters.secrets else resolve)(value, code.kwargs.get(key, _MISSING))
        for key, value in spec.kwargs.items()
        if key not in mapped
    }
    for key in mapped:
        assert part is not None
        if lists is not None and key in lists:
            kwargs[key] = part(lists[key])
            continue
        written, raw = spec.kwargs[key], code.kwargs.get(key, _MISSING)
        raw = part(raw) if type(raw) is list and len(raw) == len(written) else _MISSING
        kwargs[key] = (keep if key in parameters.secrets else resolve)(part(written), raw)
    return parameters.call(spec.name, tuple(args), kwargs, context, failures)


class Verbatim(NamedTuple):
    """An item that another task returned: it is never read as a template."""

    value: Any


def _items(
    spec: TaskSpec, code: Code, outputs: Mapping[str, Any], lists: Mapping[str, Any] | None, part: Part | None
) -> Mapping[str, Any]:
    """What an instance of a mapped sensor or command has of each list."""
    if spec.map is None or part is None:
        return NO_ITEMS
    resolve = _Resolver(spec.name, outputs, keep_secrets=True)
    items: dict[str, Any] = {}
    for key in spec.map.over:
        if lists is not None and key in lists:
            items[key] = Verbatim(part(lists[key]))
            continue
        written, raw = spec.kwargs[key], code.mapped.get(key)
        raw = part(raw) if type(raw) is list and len(raw) == len(written) else _MISSING
        one = part(written)
        value = resolve(one, raw)
        items[key] = Verbatim(value) if type(one) is dict and "$out" in one else value
    return items


def bind_params(
    spec: TaskSpec,
    code: Code,
    outputs: Mapping[str, Any],
    lists: Mapping[str, Any] | None = None,
    part: Part | None = None,
) -> dict[str, Any]:
    """The parameters of a sensor, references resolved; templates as they are, secrets by name.

    Of a mapped one `lists` and `part` are as `bind` has them.
    """
    params = spec.sensor.params if spec.sensor is not None else {}
    items = _items(spec, code, outputs, lists, part)
    resolve = _Resolver(spec.name, outputs, keep_secrets=True, items=items)
    return {key: resolve(value, code.kwargs.get(key, _MISSING)) for key, value in params.items()}


def references(spec: TaskSpec) -> tuple[str, ...]:
    """The upstreams whose outputs stand among the arguments or parameters of a task."""
    found: dict[str, None] = {}
    for part in (spec.args, spec.kwargs, spec.sensor and spec.sensor.params, spec.shell and spec.shell.env):
        for value in part.values() if isinstance(part, dict) else part or ():
            _find(value, found)
    return tuple(found)


def _find(value: Any, found: dict[str, None]) -> None:
    if type(value) is dict:
        if "$lit" in value:
            value = value["$lit"]
        elif "$out" in value:
            found[value["$out"]] = None
            return
        for item in value.values():
            _find(item, found)
    elif type(value) in (list, tuple):
        for item in value:
            _find(item, found)


class Command(NamedTuple):
    """A command ready to be started: secrets resolved, templates rendered."""

    command: str
    env: dict[str, str]
    cwd: str


def bind_command(
    spec: TaskSpec,
    code: Code,
    outputs: Mapping[str, Any],
    facts: Facts,
    lists: Mapping[str, Any] | None = None,
    part: Part | None = None,
) -> Command:
    """The command of a shell task. A relative `cwd` is under the folder of the DAG's file.

    Of a mapped one `lists` and `part` are as `bind` has them.
    """
    if spec.shell is None:
        raise GraphError(f"the task {spec.name!r} of the DAG {facts.dag!r} is no command")
    items = _items(spec, code, outputs, lists, part)
    resolve = _Resolver(spec.name, outputs, keep_secrets=True, items=items)
    env: dict[str, str] = {}
    for key, written in spec.shell.env.items():
        value = resolve(written, code.kwargs.get(key, _MISSING))
        if isinstance(value, Verbatim):
            env[key] = _text(value.value)
        elif isinstance(value, Secret):
            env[key] = value.resolve()
        elif isinstance(written, str):
            env[key] = render(written, facts)
        elif key in items:
            env[key] = render(value, facts) if isinstance(value, str) else _text(value)
        elif callable(value):
            env[key] = str(value(facts))
        else:
            env[key] = str(value)
    cwd = render(spec.shell.cwd, facts) if spec.shell.cwd is not None else ""
    command = render_command(spec.shell.command, facts)
    if not command:  # a callable was given in its place
        if code.fn is None:
            raise GraphError(
                f"the command of {spec.name!r} was a function, and is none in the code as it is now"
            )
        command = str(code.fn(facts))
    return Command(command, env, _under(facts.folder, cwd))


def _text(value: Any) -> str:
    """An item as a variable of the environment has it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _under(folder: str, path: str) -> str:
    from pathlib import PurePath

    return str(PurePath(folder) / path) if path else folder
