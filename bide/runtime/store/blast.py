"""What spreading asks of the database: versions that are wrong, and what was made of a frontier of versions.

Each question is about the numbers it names: the graph of versions is never loaded. What is declared of the assets
on the way is kept by, in a catalogue of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.blast import BlastRadius, Invalidation
from bide.runtime.assets.catalog import Catalog, Held
from bide.runtime.assets.contract import ContractSpec, SameInterval
from bide.runtime.assets.impact import Made, Use
from bide.runtime.assets.reading import moved
from bide.runtime.assets.schema import breaks
from bide.runtime.assets.spreading import Hop, spread
from bide.runtime.assets.words import Edge, VersionState

MADE: Final = (
    "v.asset_version_id, v.asset_id, v.start_us, v.end_us, v.state, v.created_us, v.dag_version_id, v.dag_id, v.run_id,"
    " v.shadow, v.schema_id"
)
_WIDTH: Final = MADE.count(",") + 1
_EDGES: Final = {kind.value: kind for kind in Edge}
_STATES: Final = {state.value: state for state in VersionState}
_spec = typed.decoder(AssetSpec)
_contract = typed.decoder(ContractSpec)


class Versions:
    """The versions of a database, as spreading looks at them. Good for one snapshot; `catalog` grows with what is met."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self.catalog = Catalog()
        self._names: dict[int, str] = {}
        self._codes: dict[int | None, tuple[str, str]] = {None: ("", "")}
        self._schemas: dict[int, tuple[int, int]] = {}  # version -> (asset, schema), of those that said one
        self._newest: dict[int, int] = {}

    def wrong(self, root: Invalidation, after: int = 0, limit: int = -1) -> list[Made]:
        """The versions of its asset that share something with its interval, those above a number, oldest first."""
        if root.version_id is not None:
            where = "v.asset_version_id = ?1 AND v.asset_version_id > ?2"
            args: list[Any] = [root.version_id, after]
        else:
            where = (
                "v.asset_id = (SELECT asset_id FROM asset WHERE name = ?1) AND v.asset_version_id > ?2"
                " AND v.start_us BETWEEN ?3 - (SELECT end_us - start_us FROM asset_version WHERE asset_id ="
                " (SELECT asset_id FROM asset WHERE name = ?1) ORDER BY end_us - start_us DESC LIMIT 1) AND ?4"
                " AND v.end_us >= ?3"
            )
            args = [root.asset, after, root.start_us, root.end_us]
        found = self._conn.execute(
            f"SELECT {MADE} FROM asset_version v WHERE {where} ORDER BY +v.asset_version_id LIMIT {limit:d}",
            args,
        ).fetchall()
        self._meet({row[1] for row in found})
        return [self._made(row) for row in found]

    def below(self, root: Invalidation) -> list[Use]:
        """Where the asset has no versions at all: those of what is declared to depend on it, over its interval."""
        found: list[Use] = []
        seen = {root.asset}
        edge = [(root.asset, (root.start_us, root.end_us))]
        while edge:
            name, (start, end) = edge.pop()
            if self._has_versions(name):
                continue
            for down, kind, offset in self._declared_below(name):
                if down in seen:
                    continue
                seen.add(down)
                self._meet_named([down])
                there = moved((start, end), -offset, self.catalog.asset(down).tz)
                over = self.wrong(Invalidation(asset=down, start_us=there[0], end_us=there[1]))
                found += [Use(0, kind, made) for made in over]
                edge.append((down, there))
        return found

    def _has_versions(self, name: str) -> bool:
        sql = (
            "SELECT 1 FROM asset_version WHERE asset_id = (SELECT asset_id FROM asset WHERE name = ?) LIMIT 1"
        )
        return self._conn.execute(sql, (name,)).fetchone() is not None

    def _declared_below(self, name: str) -> list[tuple[str, Edge, timedelta]]:
        """(asset, kind, offset) of the contracts on it, and of what tasks make that have it as an inlet."""
        found: dict[str, tuple[str, Edge, timedelta]] = {}
        for (spec,) in self._conn.execute(
            "SELECT spec FROM contract WHERE upstream_id = (SELECT asset_id FROM asset WHERE name = ?)"
            " AND ended_us IS NULL",
            (name,),
        ):
            contract = _contract.decode(spec)
            offsets = [each.offset for each in contract.require if isinstance(each, SameInterval)]
            found[contract.downstream] = contract.downstream, contract.kind, sum(offsets, timedelta())
        for (made,) in self._conn.execute(
            "SELECT DISTINCT o.value FROM dag d JOIN dag_version v ON v.version_id = d.version_id AND d.removed = 0,"
            " json_each(v.spec, '$.tasks') t, json_each(t.value, '$.inlets') i, json_each(t.value, '$.outlets') o"
            " WHERE instr(v.spec, '\"inlets\"') > 0 AND i.value = ?",
            (name,),
        ):
            found.setdefault(made, (made, Edge.READ, timedelta()))
        return list(found.values())

    def hop(self, frontier: Sequence[int]) -> Hop:
        """All that was made of these versions."""
        found = self._conn.execute(
            f"SELECT {MADE}, i.input_id, i.kind FROM json_each(?) f"
            " CROSS JOIN asset_input i INDEXED BY asset_input_used ON i.input_id = f.value"
            " CROSS JOIN asset_version v ON v.asset_version_id = i.asset_version_id",
            (listed(frontier),),
        ).fetchall()
        self._meet({row[1] for row in found})
        made: dict[int, Made] = {}
        uses: list[Use] = []
        for row in found:
            one = made.get(row[0])
            if one is None:
                one = made[row[0]] = self._made(row)
            uses.append(Use(row[_WIDTH], _EDGES[row[_WIDTH + 1]], one))
        return Hop(uses, self._broke(frontier) if self._schemas else frozenset())

    def hop_from(self, version_id: int, after: int, limit: int) -> Hop:
        """What was made of one version, those above a number, oldest first, no more than `limit`."""
        found = self._conn.execute(
            f"SELECT {MADE}, i.kind FROM asset_input i INDEXED BY asset_input_used"
            " CROSS JOIN asset_version v ON v.asset_version_id = i.asset_version_id"
            " WHERE i.input_id = ? AND i.asset_version_id > ? ORDER BY i.asset_version_id LIMIT ?",
            (version_id, after, limit),
        ).fetchall()
        uses = [Use(version_id, _EDGES[kind], made) for made, (kind,) in self.of_rows(found)]
        return Hop(uses, self._broke([version_id]) if self._schemas else frozenset())

    def of_rows(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Made, tuple[Any, ...]]]:
        """Rows that begin with `MADE`, as versions, each with the rest of its row."""
        self._meet({row[1] for row in rows})
        return [(self._made(row), row[_WIDTH:]) for row in rows]

    def blast(self, root: Invalidation) -> BlastRadius:
        """Everything that is affected."""
        wrong = self.wrong(root)
        self._meet_named([root.asset])
        return spread(root, wrong, [] if wrong else self.below(root), self.hop, self.catalog)

    def _made(self, row: tuple[Any, ...]) -> Made:
        version, asset_id, start, end, state, created, code_id, dag_id, run_id, shadow, schema_id = row[
            :_WIDTH
        ]
        if schema_id is not None:
            self._schemas[version] = asset_id, schema_id
        code, dag = self._code(code_id, dag_id)
        return Made(
            version,
            self._names[asset_id],
            start,
            end,
            _STATES[state],
            created,
            code,
            dag,
            run_id,
            bool(shadow),
        )

    def _code(self, code_id: int | None, dag_id: int | None) -> tuple[str, str]:
        """(hash of the version of a DAG, its name); versions recorded before hashes were have the name alone."""
        key = code_id if code_id is not None else None if dag_id is None else -dag_id
        found = self._codes.get(key)
        if found is None:
            sql = (
                "SELECT v.hash, d.name FROM dag_version v JOIN dag d USING (dag_id) WHERE v.version_id = ?"
                if code_id is not None
                else "SELECT '', name FROM dag WHERE dag_id = ?"
            )
            row = self._conn.execute(sql, (code_id if code_id is not None else dag_id,)).fetchone()
            found = self._codes[key] = (row[0], row[1])
        return found

    # --- what is declared --------------------------------------------------------------------------

    def _meet_named(self, names: Iterable[str]) -> None:
        for name in names:
            row = self._conn.execute("SELECT asset_id FROM asset WHERE name = ?", (name,)).fetchone()
            if row is not None:
                self._meet({row[0]})

    def _meet(self, asset_ids: set[int]) -> None:
        """Learn the names of assets, what is declared of them, and their contracts on what they are made of."""
        new = asset_ids - self._names.keys()
        if not new:
            return
        of = (listed(sorted(new)),)
        for asset_id, name, spec in self._conn.execute(
            "SELECT a.asset_id, a.name, a.spec FROM json_each(?) f CROSS JOIN asset a ON a.asset_id = f.value",
            of,
        ):
            self._names[asset_id] = name
            if spec != "{}":
                self.catalog.assets[name] = _spec.decode(spec)
        for contract_id, spec, source in self._conn.execute(
            "SELECT c.contract_id, c.spec, c.source FROM json_each(?) f"
            " CROSS JOIN contract c ON c.downstream_id = f.value AND c.ended_us IS NULL",
            of,
        ):
            self.catalog.put(Held(contract_id, _contract.decode(spec), source))

    # --- schemas -----------------------------------------------------------------------------------

    def _broke(self, frontier: Sequence[int]) -> frozenset[int]:
        """Those of which the asset's schema is another by now, that who read the old one could not go on with."""
        broke: set[int] = set()
        judged: dict[tuple[int, int], bool] = {}
        for version in frontier:
            if (said := self._schemas.get(version)) is None:
                continue
            asset_id, schema_id = said
            newest = self._newest_schema(asset_id)
            if newest == schema_id:
                continue
            if said not in judged:
                old, new = (self._schema(each) for each in (schema_id, newest))
                judged[said] = bool(breaks("forward", new, [old]))
            if judged[said]:
                broke.add(version)
        return frozenset(broke)

    def _newest_schema(self, asset_id: int) -> int:
        found = self._newest.get(asset_id)
        if found is None:
            row = self._conn.execute(
                "SELECT max(schema_id) FROM asset_schema WHERE asset_id = ?", (asset_id,)
            ).fetchone()
            found = self._newest[asset_id] = row[0]
        return found

    def _schema(self, schema_id: int) -> Any:
        (schema,) = self._conn.execute(
            "SELECT schema FROM asset_schema WHERE schema_id = ?", (schema_id,)
        ).fetchone()
        return msgspec.json.decode(schema)


def declared(conn: sqlite3.Connection, asset: str) -> AssetSpec | None:
    """What is declared of an asset, all defaults where nothing is; None: there is none of that name."""
    row = conn.execute("SELECT spec FROM asset WHERE name = ?", (asset,)).fetchone()
    if row is None:
        return None
    return AssetSpec(asset) if row[0] == "{}" else _spec.decode(row[0])


def listed(numbers: Sequence[int]) -> str:
    return msgspec.json.encode(numbers).decode()
