"""The evidence of an incident in one ZIP file, and what makes its decisions again from that file alone (D21).

It holds JSON for people and programs, and `evidence.db`, a small database of the rows. `replay` opens no other
database, asks no network and reads no clock: what it decides, it decides with the pure functions of `assets`.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.blast import Impacted
from bide.runtime.assets.evaluate import replay as decide_again
from bide.runtime.assets.judged import Evidence
from bide.runtime.assets.rerun import RerunPlan, hash_of
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.evidence import shown
from bide.runtime.service.evidence_shapes import CheckLine, DecisionShown, Replayed
from bide.runtime.service.shapes import Interval, iso
from bide.runtime.store.evidence import Gathered, decisions, gather, spread_again, write_copy
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

_WHEN: Final = (1980, 1, 1, 0, 0, 0)  # the same evidence is the same file
_README: Final = """\
# Evidence of incident {number}: {title}

Exported {at} by bide {version}. Everything here is data; nothing runs by being opened.

- `incident.json`: the incident, the twelve steps of its runbook and what was noted, by whom and when
- `invalidation.json`: what was said to be wrong, why, since when, with its evidence, and every version it reached
- `decisions.json`: each decision with its issues and with all that was observed when it was made
- `contracts.json`: the contracts and gates, those that were in force then as well
- `plan.json`: the rerun plan, as it was approved
- `evidence.db`: the rows, as an SQLite database; its views answer, such as `safe_wrong`
- `manifest.json`: the SHA-256 of each file

`bide incident replay {name}` makes every decision again from this file alone, and says what differs.
"""


def bundle(conn: sqlite3.Connection, incident_id: int, now_us: int, version: str) -> bytes:
    """The bytes of the bundle, from one snapshot."""
    incident = shown(conn, incident_id)
    found = gather(conn, incident_id)
    files = {
        "incident.json": _json(incident),
        "invalidation.json": _json(_invalidation(found)),
        "decisions.json": _json(list(_decisions(found))),
        "contracts.json": _json(_contracts(found)),
        "evidence.db": _copy(found),
    }
    for plan in found.rows("rerun_plan"):
        files["plan.json"] = _json(
            {"hash": plan["hash"], "state": plan["state"], "plan": _decoded(plan["spec"])}
        )
    said = _README.format(
        number=incident_id, title=incident.title, at=iso(now_us), version=version, name=f"incident-{incident_id}.zip"
    )  # fmt: skip
    files["README.md"] = said.encode()
    manifest = {
        "bide": version,
        "incident_id": str(incident_id),
        "exported_at": iso(now_us),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    files["manifest.json"] = _json(manifest)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in sorted(files.items()):
            packed.writestr(zipfile.ZipInfo(name, _WHEN), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def _copy(found: Gathered) -> bytes:
    with tempfile.TemporaryDirectory(prefix="bide-evidence-") as folder:
        path = Path(folder) / "evidence.db"
        write_copy(path, found)
        return path.read_bytes()


def _decoded(text: str) -> Any:
    return msgspec.json.decode(text)


def _names(found: Gathered) -> dict[int, str]:
    return {row["asset_id"]: row["name"] for row in found.rows("asset")}


def _invalidation(found: Gathered) -> Any:
    names = _names(found)
    versions = {row["asset_version_id"]: row for row in found.rows("asset_version")}
    return [
        {
            "invalidation_id": str(one["invalidation_id"]),
            "asset": names.get(one["asset_id"]),
            "interval": _interval(one),
            "effective_at": None if one["effective_us"] is None else iso(one["effective_us"]),
            "cause": one["cause"],
            "severity": one["severity"],
            "reason": one["reason"],
            "evidence": _decoded(one["evidence"]),
            "discovered_at": iso(one["discovered_us"]),
            "by": one["by"],
            "versions": [
                {
                    "version": str(hit["asset_version_id"]),
                    "asset": names.get(versions[hit["asset_version_id"]]["asset_id"]),
                    "interval": _interval(versions[hit["asset_version_id"]]),
                    "via": None if hit["via_id"] is None else str(hit["via_id"]),
                    "edge": hit["kind"],
                    "action": hit["action"],
                    "was": hit["was"],
                    "decision": _decoded(hit["decision"]),
                }
                for hit in found.rows("invalidation_hit")
                if hit["invalidation_id"] == one["invalidation_id"]
            ],
        }
        for one in found.rows("invalidation")
    ]


def _interval(row: dict[str, Any]) -> Interval:
    return Interval(start=iso(row["start_us"]), end=iso(row["end_us"]))


def _decisions(found: Gathered) -> Iterator[DecisionShown]:
    names = _names(found)
    for row in found.rows("decision"):
        yield DecisionShown(
            decision_id=str(row["decision_id"]),
            at=iso(row["at_us"]),
            phase=row["phase"],
            asset=names[row["asset_id"]],
            interval=_interval(row),
            consumer=row["consumer"],
            level=row["level"],
            retryable=bool(row["retryable"]),
            reason=row["reason"],
            issues=_decoded(row["issues"]),
            evidence=_decoded(row["observed"]),
        )


def _contracts(found: Gathered) -> Any:
    def told(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "spec": _decoded(row["spec"]),
            "source": row["source"],
            "since": iso(row["since_us"]),
            "ended": None if row["ended_us"] is None else iso(row["ended_us"]),
        }

    return {
        name: [told(row) for row in found.rows(table)]
        for name, table in (("contracts", "contract"), ("gates", "gate"))
    }


# --- made again ----------------------------------------------------------------------------------


def replay(path: Path) -> Replayed:
    """Make every decision of a bundle again, from the bundle alone. `UsageError` for what is no bundle."""
    try:
        with zipfile.ZipFile(path) as packed:
            files = {name: packed.read(name) for name in packed.namelist()}
        manifest = msgspec.json.decode(files["manifest.json"])
        told = typed.decode(files["decisions.json"], list[DecisionShown])
        checks = [
            _whole(files, manifest["files"]),
            *(_decision(each) for each in told),
            *_plan(files.get("plan.json")),
            *_rows(files["evidence.db"], len(told)),
            *_radius(files["evidence.db"], msgspec.json.decode(files["invalidation.json"])),
        ]
        incident_id = str(manifest["incident_id"])
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no file {path}: `bide incident export ID -o {path}` writes one"
        ) from None
    except (OSError, KeyError, TypeError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise UsageError(
            f"{path} is no bundle of an incident ({type(error).__name__}: {error}): `bide incident export` writes one"
        ) from None
    return Replayed(
        incident_id=incident_id, identical=all(each.identical for each in checks), checks=tuple(checks)
    )


def _whole(files: dict[str, bytes], sums: dict[str, str]) -> CheckLine:
    bad = [name for name, said in sums.items() if hashlib.sha256(files.get(name, b"")).hexdigest() != said]
    bad += [name for name in files if name not in sums and name != "manifest.json"]
    found = (
        f"not as they were written: {', '.join(sorted(bad))}"
        if bad
        else f"{len(sums)} files, as they were written"
    )
    return CheckLine(what="files", identical=not bad, found=found)


def _decision(said: DecisionShown) -> CheckLine:
    what = f"decision {said.decision_id}: {said.phase} {said.asset}, {said.interval.start} to {said.interval.end}"
    try:
        evidence = typed.convert(said.evidence, Evidence)
    except msgspec.ValidationError as error:
        return CheckLine(what=what, identical=False, found=f"what was observed is not on record: {error}")
    made = decide_again(evidence)
    now = {
        "level": made.level.value,
        "retryable": made.retryable,
        "reason": made.reason,
        "issues": list(msgspec.to_builtins(made.issues)),
    }
    was = {"level": said.level, "retryable": said.retryable, "reason": said.reason, "issues": said.issues}
    differs = [f"{name} was {was[name]!r}, and is {now[name]!r}" for name in was if was[name] != now[name]]
    return CheckLine(what=what, identical=not differs, found="; ".join(differs) or f"identical: {said.level}")


def _plan(data: bytes | None) -> Iterator[CheckLine]:
    if data is None:
        return
    said = msgspec.json.decode(data)
    what = f"plan {said['hash'][:12]}"
    try:
        plan = typed.convert(said["plan"], RerunPlan)
    except msgspec.ValidationError as error:
        yield CheckLine(what=what, identical=False, found=f"it cannot be read: {error}")
        return
    now = hash_of(plan)
    same = now == said["hash"]
    yield CheckLine(
        what=what,
        identical=same,
        found="identical: it is the plan with this hash" if same else f"its hash is {now[:12]}",
    )


def _rows(data: bytes, told: int) -> Iterator[CheckLine]:
    """The database of the bundle opens, and holds what the JSON says."""
    with tempfile.TemporaryDirectory(prefix="bide-evidence-") as folder:
        path = Path(folder) / "evidence.db"
        path.write_bytes(data)
        with closing(Reader(path)) as reader:
            count = reader.read(decisions)
    same = count == told
    yield CheckLine(
        what="evidence.db",
        identical=same,
        found=f"opens, {count} decisions" + ("" if same else f", {told} in JSON"),
    )


def _radius(data: bytes, invalidations: list[dict[str, Any]]) -> Iterator[CheckLine]:
    """What each invalidation reached is found again: the same versions, by the same ways, with the same action."""
    for said in invalidations:
        what = f"blast radius of invalidation {said['invalidation_id']}"
        with tempfile.TemporaryDirectory(prefix="bide-evidence-") as folder:
            path = Path(folder) / "evidence.db"
            path.write_bytes(data)
            was, now = spread_again(path, int(said["invalidation_id"]))
        before, again = ({node.version_id: _way(node) for node in each.nodes} for each in (was, now))
        differs = [
            f"version {version} was {before.get(version, 'not reached')}, and is {again.get(version, 'not reached')}"
            for version in sorted({*before, *again})
            if before.get(version) != again.get(version)
        ]
        found = "; ".join(differs[:10]) or f"identical: {len(before)} versions"
        yield CheckLine(what=what, identical=not differs, found=found)


def _way(node: Impacted) -> str:
    by = "itself wrong" if node.via is None else f"reached by {node.via}"
    return f"{node.asset}, {by}: {node.action.value}"
