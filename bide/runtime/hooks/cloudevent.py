"""A CloudEvent 1.0 out of a request, in binary or structured mode; a batch is refused.

The library reads and validates it; before, it is held to limits, and what comes out is the event in its JSON form.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any, Final

import msgspec

from bide.runtime.errors import UsageError
from bide.runtime.hooks.mapped import document_of
from bide.runtime.hooks.pointer import Headers

STRUCTURED: Final = "application/cloudevents"
BATCH: Final = "application/cloudevents-batch"
_LONGEST: Final = 1024
_MOST_ATTRIBUTES: Final = 64
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_SPEC: Final = "see https://cloudevents.io"


class Event(msgspec.Struct, frozen=True):
    """An event. `document` is all of it: its attributes, and `data`."""

    type: str
    source: str
    id: str
    document: dict[str, Any]


class NoEvent(UsageError):  # noqa: N818 - what it says of the request
    """What was sent is no CloudEvent that is taken here. `status` is that of HTTP."""

    def __init__(self, said: str, status: int = 422) -> None:
        super().__init__(said)
        self.status = status


def event_of(headers: Headers, body: bytes) -> Event:
    """The event. `NoEvent` says what is wrong with it."""
    kind = _one(headers, "content-type").partition(";")[0].strip().lower()
    if kind.startswith(BATCH):
        raise NoEvent("a batch of CloudEvents is not taken: send each event in a request of its own", 415)
    structured = kind.startswith(STRUCTURED)
    if structured and kind != f"{STRUCTURED}+json":
        raise NoEvent(f"an event in {kind!r} is not taken: send application/cloudevents+json", 415)
    if not structured and "ce-specversion" not in headers:
        raise NoEvent(
            "this is no CloudEvent: send application/cloudevents+json (structured), or the headers ce-specversion, "
            "ce-type, ce-source and ce-id beside the data (binary)",
            415,
        )
    if not structured and body and kind and not _is_json(kind):
        raise NoEvent(f"data of the type {kind[:80]!a} is not taken: send application/json", 415)
    data = document_of(body)
    if structured and not isinstance(data, dict):
        raise NoEvent("the body is no JSON object, as a structured CloudEvent is")
    attributes = _in_body(data) if structured else _in_headers(headers)
    if attributes.get("specversion") != "1.0":
        raise NoEvent(f"the specversion is {_shown(attributes.get('specversion'))}, and must be '1.0'")
    for name in ("type", "source", "id"):  # the library would make an id up: no event would be the same again
        if not isinstance(attributes.get(name), str) or not attributes[name].strip():
            raise NoEvent(f"the {name} of the event is {_shown(attributes.get(name))}, and must be a text")
    said = _said(data) if structured else data
    found = _checked(attributes, headers, body, structured=structured)
    return Event(found["type"], found["source"], found["id"], {**found, "data": said})


def _said(event: dict[str, Any]) -> Any:
    """The data of a structured event, also where its sender has it in base64; None of what is no JSON then."""
    if "data_base64" not in event:
        return event.get("data")
    if "data" in event:
        raise NoEvent("the event has both data and data_base64: send one of them")
    try:
        raw = base64.b64decode(event["data_base64"], validate=True)
    except (ValueError, TypeError):
        raise NoEvent("the data_base64 of the event is no base64") from None
    kind = str(event.get("datacontenttype") or "application/json").partition(";")[0].strip().lower()
    return document_of(raw) if _is_json(kind) else None


def _checked(
    attributes: dict[str, Any], headers: Headers, body: bytes, *, structured: bool
) -> dict[str, Any]:
    """The attributes as the library reads them: percent-decoded, checked; times in ISO 8601."""
    from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
    from cloudevents.core.exceptions import BaseCloudEventException
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    plain = {name: values[0] for name, values in headers.items() if name.startswith("ce-")}
    if not structured:
        plain["content-type"] = _one(headers, "content-type") or "application/json"
    message = HTTPMessage(plain, body)
    try:
        event = (from_structured if structured else from_binary)(message, JSONFormat(), CloudEvent)
    except BaseCloudEventException as error:
        raise NoEvent(f"this is no CloudEvent 1.0: {_short(str(error))}") from None
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise NoEvent(f"this is no CloudEvent 1.0: {_short(str(error))}; {_SPEC}") from None
    # what it adds of its own, a time of now, is not the event's
    return {name: _plain(value) for name, value in event.get_attributes().items() if name in attributes}


def _in_body(found: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a structured event, each a text, number or truth value of bounded length."""
    attributes = {name: value for name, value in found.items() if name not in ("data", "data_base64")}
    _bounded(attributes)
    return attributes


def _in_headers(headers: Headers) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name, values in headers.items():
        if name.startswith("ce-"):
            if len(values) != 1:
                raise NoEvent(f"the header {name} was given {len(values)} times: send it once")
            [attributes[name.removeprefix("ce-")]] = values
    _bounded(attributes)
    return attributes


def _bounded(attributes: dict[str, Any]) -> None:
    if len(attributes) > _MOST_ATTRIBUTES:
        raise NoEvent(f"the event has {len(attributes)} attributes, and the limit is {_MOST_ATTRIBUTES}")
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise NoEvent(f"{_shown(name)} is no name of an attribute: lower-case letters and digits")
        if isinstance(value, str) and len(value) > _LONGEST:
            raise NoEvent(f"the {name} of the event is {len(value)} characters, and the limit is {_LONGEST}")
        if isinstance(value, (dict, list)):
            raise NoEvent(f"the {name} of the event is no text, number or truth value")


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _one(headers: Headers, name: str) -> str:
    found = headers.get(name, ())
    if len(found) > 1:
        raise NoEvent(f"the header {name} was given {len(found)} times: send it once")
    return found[0] if found else ""


def _is_json(kind: str) -> bool:
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _shown(value: Any) -> str:
    return "missing" if value is None else _short(ascii(value))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:199]}…"
