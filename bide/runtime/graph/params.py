"""Parameters of a DAG: what a run may be given, checked before there is a run.

Declared by their defaults, or by `Param` where more is to be said. What is declared is kept as JSON
Schema with the version, so that a form can be made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.pattern import pattern as readable
from bide.runtime.graph.spec import DagSpec
from bide.runtime.graph.validate import suggestion
from bide.runtime.secret_names import is_secret
from bide.runtime.values import decode, encode, redactor

_TYPES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_WORDS: Final = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a string",
    "array": "a list",
    "object": "an object",
}
_REQUIRED: Final[Any] = object()


class Param:
    """A parameter of a DAG, where its default does not say all: `Param("eu", enum=["eu", "us"])`.

    Without a default it is required. `type` is int, float, str, bool, list or dict, that of the
    default where it is not given. `ge`, `gt`, `le`, `lt` bound numbers; `min_length` and `max_length`
    strings and lists; `pattern` must be found in a string, and be one that
    can be searched in bounded time; `nullable` lets null in. Raises `GraphError` for what contradicts itself, its
    default included.

    >>> Param(1, ge=1, doc="how many").schema
    {'type': 'integer', 'minimum': 1, 'default': 1, 'description': 'how many'}
    """

    def __init__(
        self,
        default: Any = _REQUIRED,
        *,
        type: type | None = None,  # noqa: A002 - what it is called everywhere
        enum: list[Any] | tuple[Any, ...] | None = None,
        ge: float | None = None,
        gt: float | None = None,
        le: float | None = None,
        lt: float | None = None,
        min_length: int | None = None,
        max_length: int | None = None,
        pattern: str | None = None,
        nullable: bool = False,
        doc: str = "",
    ) -> None:
        self.required = default is _REQUIRED
        self.default: Any = None if self.required else _json(default, "the default of a Param")
        schema: dict[str, Any] = {}
        name = _type_name(type, enum, self.default)
        if name:
            schema["type"] = [name, "null"] if nullable else name
        if enum is not None:
            schema["enum"] = _json(list(enum), "the enum of a Param") + ([None] if nullable else [])
        bounds = {
            "minimum": ge, "exclusiveMinimum": gt, "maximum": le, "exclusiveMaximum": lt,
            ("minItems" if name == "array" else "minLength"): min_length,
            ("maxItems" if name == "array" else "maxLength"): max_length,
            "pattern": pattern,
        }  # fmt: skip
        schema |= {key: value for key, value in bounds.items() if value is not None}
        if pattern is not None:
            readable(pattern)
        if not self.required:
            if self.default is not None or nullable:
                wrong = _wrong(schema, self.default)
                if wrong:
                    raise GraphError(f"the default of a Param is {self.default!r}, and must be {wrong}")
            schema["default"] = self.default
        if doc:
            schema["description"] = doc
        self.schema = schema


def _type_name(kind: type | None, enum: Any, default: Any) -> str:
    if kind is not None:
        if kind not in _TYPES:
            raise GraphError(
                f"the type of a Param is {kind!r}, and must be int, float, str, bool, list or dict"
            )
        return _TYPES[kind]
    if default is not None:
        return _TYPES.get(type(default), "")
    kinds = {_TYPES.get(type(each), "") for each in enum or ()}
    return kinds.pop() if len(kinds) == 1 else ""


def _json(value: Any, what: str) -> Any:
    return decode(encode(value, what))


def declared(owner: str, params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(defaults, schemas of those that are a `Param`) of `@dag(params=...)`; a plain value is its default."""
    if not isinstance(params, Mapping) or not all(isinstance(key, str) for key in params):
        raise GraphError(f"{owner}: params is {params!r}, and must be a dict with string keys")
    plain = {key: value for key, value in params.items() if not isinstance(value, Param)}
    given = {key: value for key, value in params.items() if isinstance(value, Param)}
    defaults = _json(plain, f"params of {owner}")
    for key, param in given.items():
        if not param.required:
            defaults[key] = param.default
    order = {key: defaults[key] for key in params if key in defaults}
    return order, {key: param.schema for key, param in given.items()}


def required(spec: DagSpec) -> list[str]:
    """The parameters that a run has to be given."""
    return [name for name, schema in spec.param_schemas.items() if "default" not in schema]


def schema_of(spec: DagSpec) -> dict[str, Any]:
    """What a run of this DAG takes, as a JSON Schema. A DAG that declares none takes anything."""
    names = sorted({*spec.param_schemas, *spec.params})
    return {
        "type": "object",
        "properties": {name: _schema(spec, name) for name in names},
        "required": required(spec),
        "additionalProperties": not names,
    }


def _schema(spec: DagSpec, name: str) -> dict[str, Any]:
    found = spec.param_schemas.get(name)
    if found is not None:
        return dict(found)
    default = spec.params[name]
    kind = _TYPES.get(type(default))
    return {"type": kind, "default": default} if kind else {"default": default}


def checked(spec: DagSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run that is given these; `UsageError` names the first that cannot be."""
    schema = schema_of(spec)
    known = schema["properties"]
    for name in sorted(given):
        if known and name not in known:
            near = suggestion(name, known)
            raise UsageError(
                f"the DAG {spec.name!r} has no parameter {name!r}{near}; it has: {', '.join(sorted(known))}"
            )
        if known and (wrong := _wrong(known[name], given[name])):
            raise UsageError(
                f"the parameter {name!r} of the DAG {spec.name!r} is {_shown(name, given[name])}, and must be {wrong}"
            )
    for name in schema["required"]:
        if name not in given:
            raise UsageError(
                f"the DAG {spec.name!r} needs the parameter {name!r}: "
                f"give it with --param {name}=..., or params={{{name!r}: ...}}"
            )
    return {**spec.params, **given}


def _shown(name: str, value: Any) -> str:
    """What was given: this sentence is kept in the audit log, and by whoever sent it."""
    if is_secret(name):
        return "not shown"
    if isinstance(value, dict):
        return "an object"
    text = redactor(repr(value))  # before it is cut: half a secret is one still
    return text if len(text) <= 80 else f"{text[:79]}…"


def _wrong(schema: Mapping[str, Any], value: Any) -> str:
    """What the value must be and is not, in words; "" when it is."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    nullable = "null" in kinds or (kinds and "default" in schema and schema["default"] is None)
    or_null = " or null" if nullable else ""
    if value is None and nullable:
        return ""
    named = [kind for kind in kinds if kind != "null"]
    if named and not any(_IS[kind](value) for kind in named):
        return _WORDS[named[0]] + or_null
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        return f"one of {', '.join(repr(each) for each in schema['enum'])}"
    for key, holds, words in _BOUNDS:
        if key in schema and not holds(value, schema[key]):
            return words.format(schema[key]) + or_null
    return ""


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) is isinstance(other, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_IS: Final[dict[str, Callable[[Any], bool]]] = {
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_BOUNDS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", lambda value, least: not _is_number(value) or value >= least, "{} or more"),
    ("exclusiveMinimum", lambda value, least: not _is_number(value) or value > least, "more than {}"),
    ("maximum", lambda value, most: not _is_number(value) or value <= most, "{} or less"),
    ("exclusiveMaximum", lambda value, most: not _is_number(value) or value < most, "less than {}"),
    ("minLength", lambda value, n: not isinstance(value, str) or len(value) >= n, "{} characters or more"),
    ("maxLength", lambda value, n: not isinstance(value, str) or len(value) <= n, "{} characters or fewer"),
    ("minItems", lambda value, n: not isinstance(value, list) or len(value) >= n, "a list of {} or more"),
    ("maxItems", lambda value, n: not isinstance(value, list) or len(value) <= n, "a list of {} or fewer"),
    (
        "pattern",
        lambda value, pattern: not isinstance(value, str) or readable(pattern).found_in(value),
        "a string in which the pattern {!r} is found",
    ),
)


def from_texts(schema: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as they were typed, turned into what their declaration says.

    What cannot be turned is left as it is, to be refused with all else; of a parameter without a
    type what is JSON is JSON and anything else text.

    >>> from_texts({"properties": {"n": {"type": "integer"}, "id": {"type": "string"}}}, {"n": "7", "id": "007"})
    {'n': 7, 'id': '007'}
    """
    known = schema.get("properties", {})
    return {name: _from_text(known.get(name, {}), text) for name, text in texts.items()}


def _from_text(schema: Mapping[str, Any], text: str) -> Any:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if text == "null" and ("null" in kinds or not kinds):
        return None
    if "string" in kinds:
        return text
    if "boolean" in kinds and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    try:
        value = decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text
    if kinds == ["number"] and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < _LARGEST else text
    return value


_LARGEST: Final = 10**308
_TRUTH: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
