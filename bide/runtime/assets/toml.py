"""Contracts and assets as TOML files have them: `[[contract]]` and `[[asset]]`, checked word by word (S1-41).

The keys are those of `Contract(...)` and `Asset(...)`; spans are ISO 8601 (`PT2H`, `-P1D`). What is wrong is
told with file, line and column. A file is taken whole, or not at all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import AssetSpec, asset_of
from bide.runtime.assets.contract import (
    ContractSpec,
    ExactVersion,
    Freshness,
    Latest,
    Quality,
    Requirement,
    SameInterval,
    SchemaCompat,
    contract_of,
)
from bide.runtime.assets.declarations import Said
from bide.runtime.errors import GraphError

_CONTRACT: Final = (
    "downstream", "upstream", "kind", "require", "on_failure", "severity", "rationale", "during", "owner",
)  # fmt: skip
_ASSET: Final = ("name", "node", "owner", "criticality", "grain", "tz", "output", "doc")
_REQUIRE: Final = ("interval", "offset", "quality", "freshness", "schema", "version", "latest")
_WRONG: Final = re.compile(r" is '([^']+)'")
_QUOTED: Final = re.compile(r"'([^']+)'")


def read(text: str, file: str) -> Said:
    """What a file says; `GraphError`, `file:line:column: sentence`, when a word of it cannot be meant."""
    try:
        stated = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GraphError(_undecoded(error, file)) from None
    page = _Page(text, file)
    for key in stated:
        if key not in ("contract", "asset"):
            raise page.wrong(0, None, (key,), f"{key!r} is no table of it: write [[contract]] and [[asset]]")
    said = Said()
    for n, table in enumerate(_tables(stated, "asset", page)):
        spec = _asset(table, page.at("asset", n), page)
        if said.assets.setdefault(spec.name, spec) != spec:
            raise page.wrong(
                page.at("asset", n),
                "name",
                (spec.name,),
                f"the asset {spec.name!r} is declared twice, differently",
            )
    for n, table in enumerate(_tables(stated, "contract", page)):
        contract = _contract(table, page.at("contract", n), page)
        if contract.edge in said.contracts:
            raise page.wrong(
                page.at("contract", n), "downstream", (contract.downstream,),
                f"there are two contracts of {contract.downstream!r} on {contract.upstream!r}: one contract an "
                "edge, so put what both require into one",
            )  # fmt: skip
        said.contracts[contract.edge] = contract
    return said


def _undecoded(error: tomllib.TOMLDecodeError, file: str) -> str:
    told = str(error)
    place = re.search(r" \(at line (\d+), column (\d+)\)", told)
    where = f"{file}:{place[1]}:{place[2]}" if place else file
    return f"{where}: this is not TOML: {told.replace(place[0], '') if place else told}"


class _Page:
    """The text of a file, to find where a word of it stands: the parser does not keep that."""

    def __init__(self, text: str, file: str) -> None:
        self._lines, self._file = text.splitlines(), file

    def at(self, table: str, n: int) -> int:
        """The line of the n-th `[[table]]`, counted from 0; the first line when it is written in another way."""
        head = re.compile(rf"\s*\[\[\s*{table}\s*\]\]")
        lines = [number for number, line in enumerate(self._lines) if head.match(line)]
        return lines[n] if n < len(lines) else 0

    def wrong(self, start: int, key: str | None, words: tuple[str, ...], sentence: str) -> GraphError:
        """The error, at the first of the words in the table that begins at a line, after its key if there is one."""
        line, column = self._find(start, key, words)
        return GraphError(f"{self._file}:{line + 1}:{column + 1}: {sentence}")

    def _find(self, start: int, key: str | None, words: tuple[str, ...]) -> tuple[int, int]:
        end = next(
            (n for n, line in enumerate(self._lines) if n > start and line.lstrip().startswith("[[")),
            len(self._lines),
        )
        begin, since = (start, 0), (start, 0)
        if key is not None:
            named = re.compile(rf"(?<![\w.-]){re.escape(key)}\"?\s*[=\]]")
            for n in range(start, end):
                if found := named.search(self._lines[n]):
                    begin, since = (n, found.start()), (n, found.end())
                    break
        for word in words:
            for n in range(since[0], end):
                at = self._lines[n].find(word, since[1] if n == since[0] else 0)
                if at >= 0:
                    return n, at
        return begin


def _tables(stated: Mapping[str, Any], name: str, page: _Page) -> list[dict[str, Any]]:
    tables = stated.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise page.wrong(0, None, (name,), f"[{name}] stands once: write [[{name}]], with two brackets")
    return tables


def _keys(
    table: Mapping[str, Any], known: tuple[str, ...], needed: tuple[str, ...], what: str, at: int, page: _Page
) -> None:
    for key in table:
        if key not in known:
            raise page.wrong(
                at, key, (), f"{key!r} is no key of {what}: it has {', '.join(known)}{_near(key, known)}"
            )
    for key in needed:
        if key not in table:
            raise page.wrong(at, None, (), f"{what} needs the key {key!r}")


def _near(word: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _text(table: Mapping[str, Any], at: int, page: _Page, *keys: str) -> None:
    for key in keys:
        if key in table and not isinstance(table[key], str):
            raise page.wrong(at, key, (), f"{key} is {table[key]!r}, and must be a text")


# --- [[asset]] -----------------------------------------------------------------------------------


def _asset(table: dict[str, Any], at: int, page: _Page) -> AssetSpec:
    if "promise" in table:
        raise page.wrong(
            at, "promise", (),
            "the promise of an asset stands where it is made: @task(outlets=[Asset(..., promise=by(...))])",
        )  # fmt: skip
    _keys(table, _ASSET, ("name",), "[[asset]]", at, page)
    _text(table, at, page, *_ASSET)
    try:
        return asset_of(**table)
    except GraphError as error:
        raise _placed(error, table, at, page) from None


def _placed(error: GraphError, table: Mapping[str, Any], at: int, page: _Page) -> GraphError:
    """The error at the word that it says is wrong: `kind is 'reads', and must be ...`."""
    told = str(error)
    wrong = _WRONG.search(told)
    key = next((key for key in table if f": {key} " in told), None)
    named = _QUOTED.match(told)
    words = (wrong[1],) if wrong else (named[1],) if named else ()
    return page.wrong(at, key, words, told)


# --- [[contract]] --------------------------------------------------------------------------------


def _contract(table: dict[str, Any], at: int, page: _Page) -> ContractSpec:
    _keys(table, _CONTRACT, ("downstream", "upstream"), "[[contract]]", at, page)
    _text(table, at, page, "downstream", "upstream", "kind", "rationale", "during", "owner")
    for key in ("on_failure", "severity"):
        stated = table.get(key, {})
        if not isinstance(stated, dict) or not all(isinstance(each, str) for each in stated.values()):
            raise page.wrong(at, key, (), f'{key} is a table of words: {key} = {{ stale = "..." }}')
    require = _requirements(table.get("require", {}), at, page)
    try:
        return contract_of(
            downstream=table["downstream"],
            upstream=table["upstream"],
            kind=table.get("kind", "read"),
            require=require,
            on_failure=table.get("on_failure", {}),
            severity=table.get("severity", {}),
            rationale=table.get("rationale", ""),
            during=table.get("during", "always"),
            owner=table.get("owner", ""),
        )
    except GraphError as error:
        raise _placed(error, table, at, page) from None


def _requirements(stated: Any, at: int, page: _Page) -> tuple[Requirement, ...]:
    if isinstance(stated, dict):
        return _short(stated, at, page)
    if not isinstance(stated, list):
        raise page.wrong(
            at,
            "require",
            (),
            'require is a table, { interval = "same", freshness = "PT2H" }, or a list of tables',
        )
    found: list[Requirement] = []
    for each in stated:
        if isinstance(each, dict) and "is" not in each:
            found += _short(each, at, page)
            continue
        try:
            found.append(typed.convert(each, Requirement))
        except msgspec.ValidationError as error:
            key = str(error).rpartition("$.")[2].rstrip("`") if "$." in str(error) else "is"
            value = each.get(key) if isinstance(each, dict) else None
            words = (str(value),) if isinstance(value, str) else ()
            raise page.wrong(at, "require", words, f"a requirement cannot be read: {error}") from None
    return tuple(found)


def _short(stated: dict[str, Any], at: int, page: _Page) -> tuple[Requirement, ...]:
    """`{ interval = "same", offset = "-P1D", quality = "critical", freshness = "PT2H", ... }`."""
    _keys(stated, _REQUIRE, (), "require", at, page)
    found: list[Requirement] = []
    if "interval" in stated or "offset" in stated:
        if stated.get("interval", "same") not in ("same", "same_as_downstream"):
            raise page.wrong(
                at, "interval", (str(stated["interval"]),),
                f'interval is {stated["interval"]!r}, and must be "same", moved by offset if need be',
            )  # fmt: skip
        offset = _span(stated, "offset", at, page) if "offset" in stated else timedelta()
        found.append(SameInterval(offset))
    if "quality" in stated:
        found.append(_converted(Quality, {"checks": stated["quality"]}, "quality", stated, at, page))
    if "freshness" in stated:
        found.append(Freshness(_span(stated, "freshness", at, page)))
    if "schema" in stated:
        found.append(_converted(SchemaCompat, {"mode": stated["schema"]}, "schema", stated, at, page))
    if "version" in stated:
        found.append(ExactVersion(str(stated["version"])))
    if stated.get("latest"):
        found.append(Latest())
    return tuple(found)


def _span(stated: dict[str, Any], key: str, at: int, page: _Page) -> timedelta:
    try:
        return typed.convert(stated[key], timedelta)
    except msgspec.ValidationError:
        raise page.wrong(
            at, key, (str(stated[key]),),
            f"{key} is {stated[key]!r}, and must be a span as ISO 8601 has it: PT2H, P1D, -P1D",
        ) from None  # fmt: skip


def _converted(
    kind: type[Quality | SchemaCompat],
    value: dict[str, Any],
    key: str,
    stated: dict[str, Any],
    at: int,
    page: _Page,
) -> Requirement:
    try:
        return typed.convert({"is": kind.__struct_config__.tag, **value}, kind)
    except msgspec.ValidationError as error:
        raise page.wrong(at, key, (str(stated[key]),), f"{key} is {stated[key]!r}: {error}") from None
