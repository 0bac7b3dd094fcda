"""Stored schedules, triggers and errors in words. Never raises: what cannot be read is shown as it is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from bide.runtime.errors import BideError


def schedule_words(stored: str) -> str:
    """A schedule as the database holds it, in words."""
    from bide.runtime.schedules import schedule_from_json

    try:
        return schedule_from_json(stored).describe()
    except BideError:
        return stored


def trigger_words(kind: str, stored: str) -> tuple[str, str]:
    """What is waited for, and what sees it.

    >>> trigger_words("http", '{"kind": "http", "url": "http://api.test/ready?day=3"}')
    ('http http://api.test/ready?day=3', 'http http://api.test')
    """
    fields = _fields(stored)
    target = ""
    for name in ("path", "glob", "url", "at_us", "topic", "dag", "asset", "key", "prefix", "fn"):
        value = fields.get(name)
        if value not in (None, ""):
            target = _said(name, value)
            break
    if kind == "external" and fields.get("task"):
        target = f"{target}.{fields['task']}"
    what = f"{kind} {target}".strip()
    return what, _source(kind, fields)


def _source(kind: str, fields: dict[str, Any]) -> str:
    match fields:
        case {"url": str(url)} if "://" in url:
            parts = urlsplit(url)
            return f"{kind} {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        case {"bootstrap": servers}:
            return f"{kind} {_said('bootstrap', servers)}"
        case {"path": str(path)} | {"glob": str(path)}:
            return f"directory {path.rpartition('/')[0] or '/'}"
        case _:
            return kind


def _fields(stored: str) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(stored)
    except msgspec.DecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _said(name: str, value: Any) -> str:
    if name == "at_us" and isinstance(value, int):
        from bide.runtime.service.shapes import iso

        return iso(value)
    if isinstance(value, dict) and len(value) == 1:
        return str(next(iter(value.values())))  # a secret, by its name only
    if isinstance(value, (list, tuple)):
        return ",".join(str(part) for part in value)
    return str(value)


def error_words(stored: str | None) -> str:
    """The message of a stored failure, whether it is a text or a JSON object with a message."""
    if not stored:
        return ""
    if stored.startswith("{"):
        return str(_fields(stored).get("message", stored))
    return stored
