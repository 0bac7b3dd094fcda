"""Secrets inside a trigger's options: named there, read at use, never stored.

A trigger holds `{"$secret": "env:TOKEN"}` where a secret goes. `name_secrets` puts a `Secret`
that an author wrote into that form; `read_secrets` gives the values, for one use.
"""

from __future__ import annotations

from typing import Any

from bide.runtime.values import Secret

_REF = "$secret"


def name_secrets(value: Any) -> Any:
    """`value` with each `Secret` written as its reference; lists and tuples become tuples.

    >>> name_secrets({"X-Token": Secret("env:TOKEN")})
    {'X-Token': {'$secret': 'env:TOKEN'}}
    """
    match value:
        case Secret(ref=ref):
            return {_REF: ref}
        case dict():
            if set(value) == {_REF}:
                Secret(value[_REF])
            return {key: name_secrets(part) for key, part in value.items()}
        case list() | tuple():
            return tuple(name_secrets(part) for part in value)
        case _:
            return value


def read_secrets(value: Any) -> Any:
    """`value` with each reference replaced by the secret it names, read now.

    Raises `NotFoundError`, which names the reference and never a value.
    """
    match value:
        case Secret():
            return value.resolve()
        case {"$secret": str(ref)} if len(value) == 1:
            return Secret(ref).resolve()
        case dict():
            return {key: read_secrets(part) for key, part in value.items()}
        case list() | tuple():
            return tuple(read_secrets(part) for part in value)
        case _:
            return value


def holds_secret(value: Any) -> bool:
    """Whether a reference stands anywhere inside `value`."""
    match value:
        case Secret():
            return True
        case dict():
            return set(value) == {_REF} or any(map(holds_secret, value.values()))
        case list() | tuple():
            return any(map(holds_secret, value))
        case _:
            return False
