"""Templates: format strings over a fixed list of facts. No attribute walking, no code, no second pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any, Final

from bide.runtime.errors import UsageError
from bide.runtime.graph.facts import Facts

FIELDS: Final = (
    "interval",
    "logical_date",
    "run_id",
    "dag",
    "params",
    "attempt",
    "task",
    "map_index",
    "scheduled_for",
)
_PATH: Final = re.compile(r"\.([A-Za-z][A-Za-z0-9_]*)|\[([^\[\]]*)\]")
_DIGITS: Final = re.compile(r"\d{4,}")


def render(template: str, facts: Facts) -> str:
    """`template` with its fields filled in: `drops/{interval.start:%Y-%m-%d}.csv`.

    Datetimes are in the DAG's zone, ISO 8601 where no format is given. `{params.key}` and
    `{params[key]}` take a parameter of the run. `{{` and `}}` stand for braces. A value that is
    filled in is never read as a template. Raises `UsageError` naming the template.
    """
    if "{" not in template and "}" not in template:
        return template
    return "".join(f"{text}{value}" for text, _, value in rendered(template, facts))


def rendered(template: str, facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    """(the text before a field, what the field names, what it comes to); after the last field (text, None, "")."""
    for text, head, path, spec, conversion in _fields(template):
        if head is None:
            yield text, None, ""
            continue
        value = _value(template, head, path, facts)
        if conversion == "r":
            value = repr(value)
        elif conversion or not spec:
            value = value.isoformat() if hasattr(value, "isoformat") else str(value)
        try:
            yield text, head, format(value, spec)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"in the template {template!r}, the format {spec!r} of {head!r}: {error}"
            ) from None


def check(template: str) -> None:
    """Refuse a template that can never be rendered; keys of `params` are known only in a run."""
    for _ in _fields(template):
        pass


_Field = tuple[str, str | None, tuple[str, ...], str, str]


def _fields(template: str) -> list[_Field]:
    """(text before, field, path below it, format spec, conversion) of each field."""
    fields: list[_Field] = []
    try:
        for text, name, spec, conversion in Formatter().parse(template):
            if name is None:
                fields.append((text, None, (), "", ""))
                continue
            head, path = _split(template, name)
            if spec and ("{" in spec or _DIGITS.search(spec)):
                raise UsageError(f"in the template {template!r}, the format {spec!r} is not allowed")
            if conversion not in (None, "s", "r"):
                raise UsageError(f"in the template {template!r}, `!{conversion}` is not allowed")
            fields.append((text, head, path, spec or "", conversion or ""))
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"the template {template!r} cannot be read ({error}): "
            "fields stand in braces, a brace of its own is written twice"
        ) from None
    return fields


def _split(template: str, name: str) -> tuple[str, tuple[str, ...]]:
    head = re.split(r"[.\[]", name, maxsplit=1)[0]
    rest = name[len(head) :]
    path: list[str] = []
    while rest:
        match = _PATH.match(rest)
        if match is None:
            raise _unknown(template, name)
        path.append(match[1] if match[1] is not None else match[2])
        rest = rest[match.end() :]
    allowed = (
        head == "params"
        or (head in FIELDS and not path)
        or (head == "interval" and tuple(path) in (("start",), ("end",)))
    )
    if not allowed:
        raise _unknown(template, name)
    return head, tuple(path)


def _unknown(template: str, name: str) -> UsageError:
    listed = ", ".join(
        {"interval": "interval.start, interval.end", "params": "params.<name>"}.get(field, field)
        for field in FIELDS
    )
    return UsageError(f"the template {template!r} names {name!r}, and there is {listed}")


def _value(template: str, head: str, path: tuple[str, ...], facts: Facts) -> Any:
    if head == "interval" and path:
        return facts.interval.start if path[0] == "start" else facts.interval.end
    value = getattr(facts, head)
    if head != "params":
        return value
    for place, key in enumerate(path):
        if not isinstance(value, Mapping) or key not in value:
            where = ".".join(("params", *path[:place]))
            keys = ", ".join(repr(known) for known in value) if isinstance(value, Mapping) else ""
            raise UsageError(
                f"the template {template!r} names {'.'.join(('params', *path))!r}, "
                f"and {where} of this run has {f'the keys {keys}' if keys else 'no keys'}: "
                f"give it with --param {path[0]}=..., or @dag(params={{{path[0]!r}: ...}}) as its default"
            )
        value = value[key]
    return value
