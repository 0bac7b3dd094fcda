"""Arguments as the audit log may have them: secrets masked, large things cut, in bounded time. Pure.

A value is a secret by the name it stands under, by having been resolved as one in this process, or by
standing in a URL as a password. What is long is masked before it is cut: half a secret is one still.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from bide.runtime.secret_names import is_secret
from bide.runtime.values import redactor, storable

LIMIT: Final = 4_000
"""Characters of JSON that one command leaves."""
MASK: Final = "***"
_TEXT: Final = 500
_UNREAD: Final = 65_536  # a longer text is not looked into, and not shown
_DEEP, _WIDE, _MANY = 6, 50, 200
_DEEPEST: Final = 100
_USERINFO: Final = re.compile(r"(?<=://)[^/\s\"']+@")  # up to the last @: a password may hold one
_WHAT: Final = (
    ("dag", "dag"), ("run_id", "run"), ("wait_id", "wait"), ("backfill_id", "backfill"), ("approval_id", "approval"),
    ("alert_id", "alert"), ("incident_id", "incident"), ("plan_id", "plan"), ("invalidation_id", "invalidation"),
    ("asset", "asset"), ("version_id", "version"), ("version", "version"),
    ("route", "route"), ("name", ""),
)  # fmt: skip


def masked(args: dict[str, Any]) -> str:
    """JSON of `args`, an object of at most `LIMIT` characters.

    >>> masked({"dag": "etl", "params": {"password": "hunter2"}})
    '{"dag":"etl","params":{"password":"***"}}'
    """
    text = msgspec.json.encode(_Walk().of(args, 0)).decode()
    if len(text) <= LIMIT:
        return text
    return msgspec.json.encode({"cut": text[: LIMIT // 2]}).decode()


def unmasked_part(value: Any, *, by_name: bool) -> Any:
    """Plain data without its secrets; without `by_name` only those that are known as such or stand in a URL.

    >>> unmasked_part({"auth": "hunter2", "url": "http://ada:pw@host/"}, by_name=True)
    {'auth': '***', 'url': 'http://***@host/'}
    """
    return _Walk(by_name).of(value, 0)


def without_secrets(value: Any, name: str = "", depth: int = 0) -> Any:
    """Plain data as it is stored with its secrets masked, and nothing cut; `name` is what it stands under.

    >>> without_secrets({"day": "2026-03-01", "password": "hunter2"})
    {'day': '2026-03-01', 'password': '***'}
    """
    if name and is_secret(name) and value not in (None, "") and not isinstance(value, bool):
        return MASK
    match value:
        case None | bool():
            return value
        case str():
            return _USERINFO.sub(f"{MASK}@", redactor(value))
        case int() | float():
            return value if redactor(str(value)) == str(value) else MASK
        case dict() if depth < _DEEPEST:
            return {redactor(key): without_secrets(each, key, depth + 1) for key, each in value.items()}
        case list() if depth < _DEEPEST:
            return [without_secrets(each, "", depth + 1) for each in value]
        case _:
            return f"... {len(value):,} items"


def target_of(verb: str, args: dict[str, Any]) -> str:
    """What a command is about, in words.

    >>> target_of("rerun", {"run_id": 12, "task": "load"})
    'run 12/load'
    """
    for key, word in _WHAT:
        value = args.get(key)
        if isinstance(value, str | int) and value != "":
            task = args.get("task") if key == "run_id" else None
            said = f"{word or verb.partition('_')[0]} {value}{f'/{task}' if isinstance(task, str) else ''}"
            return storable(redactor(said)[:200])
    return ""


class _Walk:
    """One walk through arguments, which looks at so many values and no more."""

    def __init__(self, by_name: bool = True) -> None:
        self._left, self._by_name = _MANY, by_name

    def of(self, value: Any, depth: int, name: str = "") -> Any:
        self._left -= 1
        hides = self._by_name and bool(name) and is_secret(name)
        if hides and value not in (None, "") and not isinstance(value, bool):
            return MASK
        match value:
            case str():
                return _said(value)
            case None | bool():
                return value
            case int() | float():
                said = _said(str(value))
                return value if said == str(value) and abs(value) < 2**53 else said
            case dict() if depth < _DEEP:
                return self._dict(value, depth)
            case list() | tuple() if depth < _DEEP:
                return self._list(value, depth)
            case dict() | list() | tuple():
                return f"... {len(value):,} items"
            case _:
                return _said(f"{type(value).__name__}")

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for at, (key, each) in enumerate(value.items()):
            if at >= _WIDE or self._left <= 0:
                found["..."] = f"{len(value) - at:,} more"
                break
            if each is not None:
                found[_said(str(key))] = self.of(each, depth + 1, str(key))
        return found

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        found: list[Any] = []
        for at, each in enumerate(value):
            if at >= _WIDE or self._left <= 0:
                found.append(f"... {len(value) - at:,} more")
                break
            found.append(self.of(each, depth + 1))
        return found


def _said(text: str) -> str:
    if len(text) > _UNREAD:
        return f"... {len(text):,} characters"
    text = _USERINFO.sub(f"{MASK}@", redactor(text))
    return storable(text if len(text) <= _TEXT else f"{text[:_TEXT]}... {len(text):,} characters")
