"""The forms that a secret is written in: as it is, and as those write it who quote, encode or print it. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_SHORTEST: Final = 3
_SHORTEST_LINE: Final = 8
_SHORTEST_ENCODED: Final = 6
"""Of a piece of base64 or hex: less would be found in what is none."""


def forms(value: str) -> set[str]:
    """Every form to mask; none of a value that is too short to be a secret. Each line of a long one is one, too.

    >>> sorted(forms("a b"))[:4]
    ['612062', 'YSBi', 'a b', 'a%20b']
    """
    if len(value) < _SHORTEST:
        return set()
    lines = [line.strip() for line in value.splitlines()] if "\n" in value or "\r" in value else []
    parts = [line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
    return {form for part in (value, *parts) for form in _written(part) if len(form) >= _SHORTEST}


def _written(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield repr(value)[1:-1]
    yield repr(value + "'\"")[1:-4]  # as repr has it beside a quote of each kind
    yield repr(data)[2:-1]
    yield html.escape(value)
    yield html.escape(value, quote=False)
    as_json = (json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1])
    yield from as_json
    yield from (json.dumps(each, ensure_ascii=False)[1:-1] for each in as_json)
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield _PERCENT.sub(lambda found: found[0].lower(), quoted)
    yield base64.b64encode(data).decode().rstrip("=")
    for encoded in (*_within_base64(data), data.hex(), data.hex().upper()):
        if len(encoded) >= _SHORTEST_ENCODED:
            yield encoded
            yield encoded.replace("+", "-").replace("/", "_")


def _within_base64(data: bytes) -> Iterator[str]:
    """What of base64 is the same whatever stands before and after: `user:secret`, a document that holds it."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        yield encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
