"""A command with the run's parameters in it: each is one word of the shell, whatever it holds. Pure.

Parameters come from outside: from a REST call, from what a webhook delivers. Where a field of a command's
template stands in plain text its value is quoted, within quotes it is escaped for those; where a shell would
run what it is given (`$(...)`, backquotes, `${...}`, a here-document), only what a shell reads nothing into
is let in, and everything else is refused with what to do: hand it over in `env`.
"""

from __future__ import annotations

import re
import shlex
from enum import Enum
from typing import Final

from bide.runtime.errors import UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.render import rendered

_TOKEN: Final = re.compile(
    r"""\\. | (?P<deep> \\\Z | \$\Z | \$[({] | ` )       # where quotes within double quotes end as well
    | (?P<plain> \$' | << | (?: (?<=[\s;&|()]) | \A ) \# ) | ['"] | [^\\$`<#'"]+ | .""",
    re.DOTALL | re.VERBOSE,
)
_IN_DOUBLE: Final = re.compile(r'[\\"$`]')
_HARMLESS: Final = re.compile(r"[\w@%+=:,./-]*", re.ASCII)


class _Place(Enum):
    PLAIN = "plain"
    SINGLE = "within single quotes"
    DOUBLE = "within double quotes"
    DEEP = "where a shell runs what it is given"


def render_command(template: str, facts: Facts) -> str:
    """`template` filled in, each parameter as one word; `UsageError` where that cannot be.

    A command whose words come from elsewhere is said by a callable of the facts instead of a template.
    """
    place, parts = _Place.PLAIN, list[str]()
    for text, head, value in rendered(template, facts):
        place = _after(text, place, first=not parts)
        parts.append(text)
        parts.append(_word(template, value, place) if head == "params" else value)
    return "".join(parts)


def _after(text: str, place: _Place, first: bool) -> _Place:
    """Where the shell is when it has read `text`."""
    if place is _Place.DEEP:
        return place
    if not first:
        text = f"x{text}"  # a `#` right after a field begins no comment
    for token in _TOKEN.finditer(text):
        if place is _Place.SINGLE:
            place = _Place.PLAIN if "'" in token[0] else place
        elif token["deep"] or (token["plain"] and place is _Place.PLAIN):
            return _Place.DEEP
        elif token[0] == '"':
            place = _Place.PLAIN if place is _Place.DOUBLE else _Place.DOUBLE
        elif token[0] == "'" and place is _Place.PLAIN:
            place = _Place.SINGLE
    return place


def _word(template: str, value: str, place: _Place) -> str:
    if "\0" in value:
        raise UsageError(
            f"in the command {template!r}, a parameter holds a zero byte, which no command can have"
        )
    match place:
        case _Place.PLAIN:
            return shlex.quote(value)
        case _Place.SINGLE:
            return value.replace("'", "'\"'\"'")
        case _Place.DOUBLE:
            return _IN_DOUBLE.sub(r"\\\g<0>", value)
        case _Place.DEEP if _HARMLESS.fullmatch(value):
            return value
        case _Place.DEEP:
            raise UsageError(
                f"in the command {template!r}, a parameter stands where a shell would run what is in it, and this "
                'run\'s is more than a plain word: hand it over as env={"X": "{params.name}"}, and write "$X"'
            )
