"""The published schemas of OpenLineage, as its official client has them: the client's classes are made of them.

`check(event)` holds an event, as it was written or received, against the schema of each of its parts: every
facet against the one that its `_schemaURL` names, bide's own against the schema that bide ships.
"""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any, Union

import attr
import jsonschema
import msgspec
from openlineage.client import event_v2, generated
from openlineage.client.generated import base

OURS = msgspec.json.decode(
    resources.files("bide.runtime.lineage").joinpath("schemas/facets.json").read_bytes()
)


@cache
def facets() -> dict[str, type]:
    """Every facet that the standard has, by the URL of its schema."""
    for module in pkgutil.iter_modules(generated.__path__):
        importlib.import_module(f"{generated.__name__}.{module.name}")
    found: dict[str, type] = {}
    left: list[Any] = list(base.BaseFacet.__subclasses__())
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.startswith(generated.__name__):
            found[kind._get_schema()] = kind
    return found


@cache
def schema_of(kind: type) -> dict[str, Any]:
    """The JSON schema of a class of the client; facets within are left open, and looked at one by one."""
    parts: dict[str, Any] = {}
    return {**_object(kind, parts), "$defs": parts}


def _object(kind: type, parts: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    properties, required = {}, []
    for field in attr.fields(kind):
        is_facets = "acets" in field.name
        properties[field.name] = {"type": "object"} if is_facets else _of(hints[field.name], parts)
        if field.name == "runId":
            properties[field.name]["format"] = "uuid"
        if field.default is attr.NOTHING or field.name in (
            "_producer",
            "_schemaURL",
            "producer",
            "schemaURL",
        ):
            required.append(field.name)
    if issubclass(kind, base.BaseFacet):
        properties["_schemaURL"] = {"const": kind._get_schema()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _of(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(each, parts) for each in arguments if each is not type(None)]}
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], parts)}
    if origin is dict:
        return {"type": "object"}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    plain = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if hint in plain:
        return {"type": plain[hint]}
    if not attr.has(hint):
        return {}
    name = f"{hint.__module__}.{hint.__name__}"
    if name not in parts:
        parts[name] = None  # it may hold itself
        parts[name] = _object(hint, parts)
    return {"$ref": f"#/$defs/{name}"}


def _hold(data: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(data)


def check(event: dict[str, Any]) -> None:
    """Raises when an event is not as the schemas say."""
    kind: type = event_v2.DatasetEvent if "dataset" in event else event_v2.RunEvent
    assert event["schemaURL"] == kind._get_schema()  # type: ignore[attr-defined]
    _hold(event, schema_of(kind))
    if "dataset" in event:
        return _facets(event["dataset"].get("facets"), base.DatasetFacet)
    _facets(event["run"].get("facets"), base.RunFacet)
    _facets(event["job"].get("facets"), base.JobFacet)
    for dataset in event["inputs"]:
        _facets(dataset.get("facets"), base.DatasetFacet)
        _facets(dataset.get("inputFacets"), base.InputDatasetFacet)
    for dataset in event["outputs"]:
        _facets(dataset.get("facets"), base.DatasetFacet)
        _facets(dataset.get("outputFacets"), base.OutputDatasetFacet)
    return None


def _facets(said: dict[str, Any] | None, of: type) -> None:
    for key, facet in (said or {}).items():
        url = facet["_schemaURL"]
        if url.startswith(OURS["$id"]):
            assert key.startswith("bide_")
            _hold(facet, {"$defs": OURS["$defs"], "$ref": f"#/$defs/{url.rpartition('/')[2]}"})
        else:
            assert issubclass(facets()[url], of), f"{key} is no {of.__name__}"
            _hold(facet, schema_of(facets()[url]))
