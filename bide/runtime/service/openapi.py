"""The OpenAPI 3.1 document: made of the table of doors, and of what plain routes say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, get_args, get_type_hints

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from bide.runtime.aside import aside
from bide.runtime.service.event_shapes import EventLine
from bide.runtime.service.hook_shapes import Delivered, EventTaken
from bide.runtime.service.openapi_plain import complete, scrape
from bide.runtime.service.scopes import scopes_of
from bide.runtime.service.shapes import Problem
from bide.runtime.service.table import KEY_HEADER, Operation, operations
from bide.runtime.service.tags import IF_MATCH, IF_NONE_MATCH, LONGEST, PATTERN

_REFERENCE: Final = "#/components/schemas/{name}"
_PATH: Final = re.compile(r":path\}")
_ERRORS: Final = {
    401: "Who calls is not known.",
    403: "The token does not reach so far.",
    404: "What is named is not there.",
    409: "Refused, as things stand; nothing was changed.",
    413: "The request is too large.",
    422: "The request cannot be meant; nothing was changed.",
    503: "The service cannot answer now; `Retry-After` says when to ask again.",
}
_TAGS: Final = {
    IF_MATCH: "Tags as they were answered: it is done only if the entity has not changed since.",
    IF_NONE_MATCH: "Tags as they were answered: 304 when the answer would be one of them.",
}
_TAG: Final = {
    "description": "The entity tag: the entity's number (`If-Match` compares it), and a digest of the answer.",
    "schema": {"type": "string"},
}
_ABOUT: Final = """\
What the terminal can do, over HTTP. Instants are ISO 8601 in UTC, ids are strings, absent is null. Errors are
problems (RFC 9457) with a stable `code`. Over the unix socket no token is needed; over TCP each call carries one."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an app; it is made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _made(app)
    return app.openapi_schema


async def described(app: FastAPI) -> bytes:
    """The document as it is sent: made once, in a thread, as it takes longer than a loop may be held."""
    known = getattr(app.state, "described", b"")
    if not known:
        known = await aside(lambda: msgspec.json.encode(document(app)))
        app.state.described = known
    return known


def _made(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, openapi_version="3.1.0", description=_ABOUT, routes=app.routes
    )
    table = list(operations())
    types: list[Any] = [Problem, Delivered, EventTaken, EventLine]
    for each in table:
        types += [each.result, *(one for one in (each.body, each.query) if one is not None)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schema = {id(kind): said for kind, said in zip(types, schemas, strict=True)}
    for each in table:
        path = found["paths"].setdefault(_PATH.sub("}", each.path), {})
        path[each.route.method.lower()] = _operation(each, schema, components)
    complete(found["paths"])
    if any(path == "/metrics" for _, path in scopes_of(app).said):
        found["paths"]["/metrics"] = {"get": scrape()}
    asked = _named(each.body for each in table if each.body is not None)
    for name, kind in _named([*types[:4], *(each.result for each in table)]).items():
        if name not in asked and not kind.__struct_config__.omit_defaults:
            components[name]["required"] = [field.encode_name for field in msgspec.structs.fields(kind)]
    queries = {f"{each.query.__name__}" for each in table if each.query is not None}
    parts = found.setdefault("components", {})
    parts.setdefault("schemas", {}).update(
        {name: said for name, said in components.items() if name not in queries}
    )
    parts["responses"] = {"Problem": _problem("Something is wrong.")}
    parts["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `bide token create`; not needed over the unix socket.",
        }
    }
    for path in found["paths"].values():
        for at in path.values():
            if "422" in at["responses"]:  # the framework's own words for it are not ours
                at["responses"]["422"] = _problem(_ERRORS[422])
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    for (method, path), scope in scopes_of(app).said.items():
        at = found["paths"].get(_PATH.sub("}", path), {}).get(method.lower())
        if at is not None:
            at["x-bide-scope"] = scope
            at["security"] = [{"token": [scope]}, {}]
    return found


def _named(types: Iterable[Any]) -> dict[str, Any]:
    """The structs that types are made of, by their names: an answer says all their fields."""
    found: dict[str, Any] = {}
    left = list(types)
    while left:
        kind = left.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind.__name__ not in found:
                found[kind.__name__] = kind
                left += get_type_hints(kind).values()
        else:
            left += get_args(kind)
    return found


def _operation(of: Operation, schema: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    summary, _, rest = of.doc.partition("\n\n")
    said: dict[str, Any] = {
        "operationId": of.id,
        "tags": [of.room or of.route.path.split("/")[1]],
        "summary": " ".join(summary.split()).removesuffix("."),
        "parameters": _parameters(of, components),
        "responses": {
            str(of.route.status): {
                "description": "Done." if of.route.method != "GET" else "The answer.",
                "content": {"application/json": {"schema": schema[id(of.result)]}},
            },
            **{str(status): _problem(words) for status, words in _ERRORS.items()},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if of.route.pages:
        link = 'The next page, `rel="next"`; there is none when this is the last one.'
        said["responses"][str(of.route.status)]["headers"] = {
            "Link": {"description": link, "schema": {"type": "string"}}
        }
    if of.route.tagged and of.route.method == "GET":
        said["responses"][str(of.route.status)]["headers"] = {"ETag": _TAG}
        said["responses"]["304"] = {"description": "It is as it was seen.", "headers": {"ETag": _TAG}}
    elif of.route.tagged:
        said["responses"]["412"] = _problem("What it is meant for has changed since; nothing was changed.")
    if rest:
        said["description"] = " ".join(rest.split())
    if of.body is not None:
        said["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(of.body)),
            "content": {"application/json": {"schema": schema[id(of.body)]}},
        }
    return said


def _parameters(of: Operation, components: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in of.of("path"):
        text = {"type": "string", "minLength": 1, "maxLength": 1000}
        found.append({"name": each.said, "in": "path", "required": True, "schema": text})
    if of.query is not None:
        query = components[of.query.__name__]
        for name, schema in query["properties"].items():
            required = name in query.get("required", ())
            found.append({"name": name, "in": "query", "required": required, "schema": _plain(schema)})
    if of.route.method != "GET" and of.route.once:
        about = "The same key does a thing once: a call that is made again gets the answer of the first."
        text = {"type": "string", "minLength": 1, "maxLength": 255}
        found.append({"name": KEY_HEADER, "in": "header", "schema": text, "description": about})
    if of.route.tagged:
        name = IF_NONE_MATCH if of.route.method == "GET" else IF_MATCH
        text = {"type": "string", "pattern": PATTERN, "maxLength": LONGEST}
        found.append({"name": name, "in": "header", "schema": text, "description": _TAGS[name]})
    return found


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: leaving it out is how it is said."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if not kinds:
        return schema
    plain = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {**plain, **({"default": schema["default"]} if schema.get("default") is not None else {})}


def _problem(words: str) -> dict[str, Any]:
    return {
        "description": words,
        "content": {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(name="Problem")}}},
    }
