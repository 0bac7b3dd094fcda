"""The five fields of a cron line: read, checked with an error that points, and told in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bide.runtime.errors import ScheduleError

_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_DAY_WORDS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTH_WORDS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LONGEST: Final = 1_000
_PART: Final = re.compile(r"(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/([0-9]+))?")
_NTH: Final = re.compile(r"([a-z0-9]+)#([0-9]+)|l([a-z0-9]+)")


@dataclass(frozen=True)
class _Kind:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first: int = 0


_KINDS: Final = (
    _Kind("minute", 0, 59),
    _Kind("hour", 0, 23),
    _Kind("day of month", 1, 31),
    _Kind("month", 1, 12, tuple(_MONTHS), 1),
    _Kind("weekday", 0, 7, tuple(_DAYS), 0),
)


@dataclass(frozen=True)
class Fields:
    """A cron line that is known to be good. `line` is what croniter is given: numbers only."""

    line: str
    minutes: frozenset[int]
    hours: frozenset[int]
    texts: tuple[str, ...]

    @property
    def follows_real_time(self) -> bool:
        """The hour field begins with `*`: every matching minute that exists, both passes."""
        return self.texts[1].startswith("*")


def read(expr: str) -> Fields:
    """Read five fields, or an alias such as `@daily`.

    >>> read("0 2 * * mon-fri").line
    '0 2 * * 1-5'
    """
    if not isinstance(expr, str):
        raise ScheduleError(f"a cron line is a string of five fields, not {expr!r}")
    if len(expr) > _LONGEST:
        raise ScheduleError(
            f"a cron line of {len(expr):,} characters cannot be read: {_LONGEST:,} are the most"
        )
    text = expr.strip().lower()
    if text.startswith("@"):
        if text not in _ALIASES:
            raise ScheduleError(f"{expr!r} is no cron alias: there is {', '.join(_ALIASES)}")
        text = _ALIASES[text]
    texts = text.split()
    if len(texts) != 5:
        raise ScheduleError(
            f"the cron line {expr!r} has {len(texts)} fields and needs five: "
            "minute, hour, day of month, month, weekday"
        )
    clean: list[str] = []
    values: list[frozenset[int]] = []
    for nth, (kind, field) in enumerate(zip(_KINDS, texts, strict=True)):
        try:
            line, found = _field(kind, field)
        except _WrongError as error:
            wrong = ScheduleError(f"the cron line {expr!r}: {error}")
            first, end = list(re.finditer(r"\S+", expr))[nth].span()
            wrong.at = (expr, first, end)
            raise wrong from None
        clean.append(line)
        values.append(found)
    return Fields(" ".join(clean), values[0], values[1], tuple(clean))


class _WrongError(Exception):
    pass


def _field(kind: _Kind, text: str) -> tuple[str, frozenset[int]]:
    lines: list[str] = []
    values: set[int] = set()
    for part in text.split(","):
        line, found = _part(kind, part, text)
        lines.append(line)
        values.update(found)
    return ",".join(lines), frozenset(values)


def _part(kind: _Kind, part: str, whole: str) -> tuple[str, range]:
    nothing = range(0)
    if kind.name == "day of month" and part == "l":
        return "l", nothing
    if part == "?" and kind.name in ("day of month", "weekday"):
        return "*", range(kind.low, kind.high + 1)
    if kind.name == "weekday" and (nth := _NTH.fullmatch(part)):
        if nth[3] is not None:
            return f"l{_number(kind, nth[3]) % 7}", nothing
        if not 1 <= int(nth[2]) <= 5:
            raise _WrongError(f"weekday {part}: the number after # is 1 to 5, the week of the month")
        return f"{_number(kind, nth[1]) % 7}#{nth[2]}", nothing
    match = _PART.fullmatch(part)
    if match is None:
        raise _WrongError(
            f"{kind.name} {whole}: {part!r} cannot be read; write a number, a-b, *, */n or a list of these"
        )
    star, first, last, step = match.groups()
    every = 1
    if step is not None:
        every = int(step)
        if every < 1 or every > kind.high:
            raise _WrongError(f"{kind.name} {part}: the step is {every}, and must be 1 to {kind.high}")
        if star is None and last is None:
            raise _WrongError(
                f"{kind.name} {part}: a step needs a range: {first}-{kind.high}/{step} or */{step}"
            )
    suffix = f"/{step}" if step is not None else ""
    if star is not None:
        return f"*{suffix}", range(kind.low, kind.high + 1, every)
    low = _number(kind, first)
    if last is None:
        return str(low), range(low, low + 1)
    high = _number(kind, last)
    if kind.name == "weekday" and high == 0 < low:
        high = 7
    if high < low:
        raise _WrongError(
            f"{kind.name} {part}: the range runs backwards; write {low}-{kind.high},{kind.low}-{high}"
        )
    return f"{low}-{high}{suffix}", range(low, high + 1, every)


def _number(kind: _Kind, text: str) -> int:
    if text[:3] in kind.names and text.isalpha():
        return kind.names.index(text[:3]) + kind.first
    if not text.isdigit():
        names = f", or {kind.names[0]} to {kind.names[-1]}" if kind.names else ""
        raise _WrongError(f"{kind.name} {text}: write {kind.low} to {kind.high}{names}")
    value = int(text)
    if not kind.low <= value <= kind.high:
        raise _WrongError(f"{kind.name} {text}: it goes from {kind.low} to {kind.high}")
    return value


def in_words(fields: Fields) -> str:
    """`at 02:00 on Monday to Friday`."""
    minute, hour, day, month, weekday = fields.texts
    words = [_time(fields, minute, hour)]
    days = []
    if day != "*":
        days.append(_listed(day, "day {} of the month", str, "day"))
    if weekday != "*":
        days.append(_listed(weekday, "{}", lambda n: _DAY_WORDS[int(n) % 7], "weekday"))
    joint = " and " if day.startswith("*") or weekday.startswith("*") else " or "
    if days:
        words.append("on " + joint.join(days))
    elif not hour.startswith("*"):
        words.append("every day")
    if month != "*":
        words.append("in " + _listed(month, "{}", lambda n: _MONTH_WORDS[int(n) - 1], "month"))
    return " ".join(words)


def _time(fields: Fields, minute: str, hour: str) -> str:
    if minute.isdigit() and not hour.startswith("*") and len(fields.hours) <= 6:
        return "at " + _join([f"{h:02}:{int(minute):02}" for h in sorted(fields.hours)])
    if minute == "*":
        at = "every minute"
    elif re.fullmatch(r"\*/\d+", minute):
        at = f"every {minute[2:]} minutes"
    else:
        at = "at " + _listed(minute, "minute {}", str, "minute")
    if hour == "*":
        return at if minute.startswith("*") else f"{at} of every hour"
    if re.fullmatch(r"\*/\d+", hour):
        return f"{at} of every {_ordinal(int(hour[2:]))} hour"
    return f"{at} of the hours {hour.replace(',', ', ')}"


def _listed(text: str, form: str, name: object, unit: str) -> str:
    assert callable(name)
    out = []
    for part in text.split(","):
        if part == "l":
            out.append("the last day of the month")
        elif part.startswith("l"):
            out.append(f"the last {name(part[1:])} of the month")
        elif "#" in part:
            which, nth = part.split("#")
            out.append(f"the {_ordinal(int(nth))} {name(which)} of the month")
        elif part.startswith("*"):
            out.append(f"every {_ordinal(int(part[2:]))} {unit}" if "/" in part else f"every {unit}")
        elif "-" in part:
            bounds, _, step = part.partition("/")
            low, high = bounds.split("-")
            every = f"every {_ordinal(int(step))} {unit} of " if step else ""
            out.append(every + form.format(f"{name(low)} to {name(high)}"))
        else:
            out.append(form.format(name(part)))
    return _join(out)


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _ordinal(n: int) -> str:
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
