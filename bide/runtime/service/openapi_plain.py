"""What the routes that are no operations take and give, in the words of OpenAPI: hooks, the feed, metrics, probes."""

from __future__ import annotations

from typing import Any, Final

_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ONE: Final = {"$ref": "#/components/schemas/Delivered"}
_MANY: Final = {"$ref": "#/components/schemas/EventTaken"}
_TEXT: Final = {"schema": {"type": "string"}}
_WRONG: Final = {
    "401": "Who sends is not known, or has not signed it.",
    "404": "There is no such hook, or nothing that takes the event.",
    "408": "The body did not come in time.",
    "409": "Refused, as things stand; nothing was changed.",
    "413": "The body is larger than it may be.",
    "415": "The body is of another kind than is taken.",
    "422": "It cannot be meant; nothing was changed.",
    "431": "The headers are larger than they may be.",
    "503": "It cannot be taken now: send it again.",
}
_CHECKS: Final = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean"},
        "checks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "ok": {"type": "boolean"},
                    "detail": {"type": "string"},
                },
                "required": ["name", "ok", "detail"],
            },
        },
    },
    "required": ["ok"],
}


def complete(paths: dict[str, Any]) -> None:
    """Say of the plain routes of a document what is sent to them, and what they answer."""
    for path, verb, said in (
        ("/hooks/{name}", "post", _delivered("hooks_deliver", _SIGNED, {"*/*": {}}, _ONE)),
        ("/api/v1/events", "post", _delivered("events_deliver", _TOLD, _EVENT, {"anyOf": [_ONE, _MANY]})),
        ("/api/v1/events", "get", _FEED),
    ):
        if verb in paths.get(path, {}):
            paths[path][verb].update(said)
    feed = paths.get("/api/v1/events", {}).get("get", {})
    for each in feed.get("parameters", ()):  # what is left out is not null
        each["schema"] = next(one for one in each["schema"]["anyOf"] if one["type"] != "null")
    for name in _PROBES:
        at = paths.get(f"/{name}", {}).get("get")
        if at is not None:
            at.update(_probe(name))


def scrape() -> dict[str, Any]:
    """`GET /metrics`."""
    kinds = ("text/plain", "application/openmetrics-text")
    return {
        "operationId": "metrics",
        "tags": ["metrics"],
        "summary": "What Prometheus scrapes",
        "responses": {
            "200": {"description": "The metrics, as was asked.", "content": dict.fromkeys(kinds, _TEXT)},
            **{
                str(status): {"description": words, "content": _PROBLEM} for status, words in _UNKNOWN.items()
            },
        },
    }


_SIGNED: Final = "Deliver to a webhook; its signature says who sends it"
_TOLD: Final = "Deliver a CloudEvent, in binary or structured mode"
_PROBES: Final = {
    "livez": "Say whether the loop and the writer are alive",
    "readyz": "Say whether work is taken",
    "startupz": "Say whether recovery is over",
    "healthz": "Say whether all is well",
}
_UNKNOWN: Final = {401: "Who calls is not known.", 403: "The token does not reach so far."}
_EVENT: Final = {
    "application/cloudevents+json": {"schema": {"type": "object"}},
    "application/json": {"schema": {}},
}
_FEED: Final = {
    "operationId": "events_live",
    "summary": "Follow events as they are committed",
    "responses": {
        "200": {
            "description": "Server-sent events without an end; the `data` of each is an EventLine, its `id` that line's.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "x-bide-data": {"$ref": "#/components/schemas/EventLine"},
                }
            },
        },
        **{
            str(status): {"description": words, "content": _PROBLEM}
            for status, words in (
                *_UNKNOWN.items(),
                (404, "What is named is not there."),
                (409, "Refused, as things stand."),
                (422, "The request cannot be meant."),
                (503, "There are too many readers, or the service ends."),
            )
        },
    },
}


def _delivered(name: str, summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    taken = {"application/json": {"schema": answer}}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": {"description": "It was known, or is not wanted: no run was made.", "content": taken},
            "201": {"description": "The run that it has made is durable.", "content": taken},
            **{status: {"description": words, "content": _PROBLEM} for status, words in _WRONG.items()},
        },
    }


def _probe(name: str) -> dict[str, Any]:
    checks = {"application/json": {"schema": _CHECKS}}
    verbose = {"name": "verbose", "in": "query", "required": False, "schema": {"type": "string"}}
    return {
        "operationId": name,
        "summary": _PROBES[name],
        "parameters": [{**verbose, "description": "Every check, where it is said."}],
        "responses": {
            "200": {"description": "It is well.", "content": checks},
            "503": {"description": "It is not well.", "content": {**_PROBLEM, **checks}},
        },
    }
