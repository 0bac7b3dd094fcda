"""The play: six days go well, a mistake of the policy desk comes to light, and everything wrong is mended.

Time is simulated, so a day passes in a fraction of a second; all else is real: the engine, the database, the
files, the gates, the ledger. Each scene says what is done and what bide answered.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bide.runtime.errors import RefusedError
from bide.testing import SimRuntime, sim_runtime
from examples.enforcement_lifecycle.business import FIRST, TOLD, WRONG, cases, entered
from examples.enforcement_lifecycle.dags import DASHBOARD, GOLD, POLICY, lifecycle

Say = Callable[[str], None]
EXPORT, ALERTS = "external_regulator_export", "sla_breach_alert_stream"
STRETCH = f"{WRONG[0]}..{WRONG[-1] + timedelta(days=1)}"


class Seen(msgspec.Struct):
    """What was seen on the way, for the claims and the picture."""

    before: dict[str, dict[str, list[str]]] = {}
    marked: dict[str, dict[str, list[str]]] = {}
    after: dict[str, dict[str, list[str]]] = {}
    """asset -> day -> the states of its versions, oldest first"""
    trusted: bool = False
    refused: str = ""
    blast: list[tuple[str, str]] = []
    """(asset, day) of everything the blast radius names"""
    plan: Any = None
    left: tuple[str, ...] = ()
    again: str = ""
    unapproved: str = ""
    waiting: int = 0
    """How many messages the regulator had while the corrections waited for a person."""
    incident: str = ""
    missing: tuple[str, ...] = ()
    bundle: Path | None = None
    replayed: str = ""


class Play:
    """One playing of it, with its files under `place`."""

    def __init__(self, place: Path, say: Say) -> None:
        self.place = place
        self.say = say
        self.seen = Seen()
        self.corrected = False
        self.rt: SimRuntime

    @property
    def db(self) -> Path:
        return self.place / "bide.db"

    async def run(self) -> Seen:
        start = datetime.combine(FIRST, time(12))
        async with sim_runtime(lifecycle(self.place), start=start, db=self.db) as rt:
            self.rt = rt
            await self._six_days()
            await self._first_symptom()
            await self._correction()
            await self._mended()
            await self._life_goes_on()
            await self._closed()
        return self.seen

    # --- the world ---------------------------------------------------------------------------------

    def _world(self, day: date) -> None:
        """What the case desk and the policy desk have written by the end of a day."""
        path = self.place / "source" / f"{day}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["case", "age"])
            writer.writerows([case.case, case.age(day)] for case in cases())
        self._policy(day)

    def _policy(self, day: date) -> None:
        path = self.place / "policy" / f"{day}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"threshold": entered(day, self.corrected)}))

    async def _day(self, day: date) -> None:
        self._world(day)
        await self._while(timedelta(hours=20))
        await self._approved("the morning's report", aloud=False)
        await self._while(timedelta(hours=4))

    async def _while(self, span: timedelta) -> None:
        await self.rt.clock.advance(span)
        await self.rt.settled()

    async def _approved(self, why: str, *, aloud: bool = True) -> None:
        """What people are asked is approved by the steward."""
        for asked in await self.rt.approvals.listed():
            if aloud:
                self.say(f"the steward is asked: {asked.prompt}")
            await self.rt.approvals.approve(asked.id, by="steward", why=why)

    # --- scenes ------------------------------------------------------------------------------------

    async def _six_days(self) -> None:
        day = FIRST
        while day < TOLD:
            await self._day(day)
            day += timedelta(days=1)
        self.seen.before = await self._states()
        self.say(
            f"{TOLD:%-d %B}, noon. {len(self._inbox())} reports are with the regulator, {len(self._alerts())} alerts are out."
        )

    async def _first_symptom(self) -> None:
        """A case handler asks; until somebody knows better, the answer is yes."""
        use = await self.rt.assets.may_use(GOLD.name, str(WRONG[0]), purpose=EXPORT, by="case handler")
        self.seen.trusted = use.allowed
        self.say(f"may the regulator be told {GOLD.name} of {WRONG[0]}? {_yes(use.allowed)}: {use.reason}")
        done = await self.rt.evidence.open(
            "cases near the limit were not reported", asset=GOLD.name, severity="critical", by="ana"
        )
        self.seen.incident = str(done.result["incident_id"])
        await self.rt.evidence.note(
            self.seen.incident,
            "failure_type",
            "reference data: the new threshold was entered three days late",
            by="ana",
        )

    async def _correction(self) -> None:
        done = await self.rt.assets.invalidate(
            POLICY.name,
            interval=STRETCH,
            cause="reference_update",
            severity="critical",
            reason="the threshold of 21 days is in force since 1 July; 30 was entered",
            evidence=["https://gazette.example/2026/171"],
            by="policy-desk",
        )
        await self.rt.settled()
        self.say(done.done)
        self.corrected = True
        for day in WRONG:
            self._policy(day)
        self.seen.marked = await self._states()
        blast = await self.rt.assets.blast(invalidation=done.invalidation_id)
        self.seen.blast = [(node.asset, node.interval.start[:10]) for node in blast.nodes]
        self.say(
            f"blast radius: {len(blast.nodes)} versions of {len(blast.assets)} assets, {blast.exports} of them have left the house"
        )
        use = await self.rt.assets.may_use(GOLD.name, str(WRONG[0]), purpose=EXPORT, by="case handler")
        self.seen.refused = use.reason
        self.say(f"may the regulator be told {GOLD.name} of {WRONG[0]}? {_yes(use.allowed)}: {use.reason}")
        await self.rt.evidence.plan(self.seen.incident, invalidation=done.invalidation_id, by="ana")
        self._invalidation = done.invalidation_id

    async def _mended(self) -> None:
        plan = await self.rt.assets.plan(self._invalidation)
        self.seen.plan = plan
        for line in plan.summary:
            self.say(line)
        (self.place / "plan.json").write_text(
            msgspec.json.format(msgspec.json.encode(plan, order="sorted")).decode()
        )
        await self.rt.evidence.plan(self.seen.incident, plan=plan.id, by="ana")
        try:
            await self.rt.assets.run_plan(plan.id, plan.hash)
        except RefusedError as error:
            self.seen.unapproved = str(error)
            self.say(f"not run: {error}")
        await self._approved("checked against the gazette")
        await self.rt.assets.run_plan(plan.id, plan.hash)
        await self._while(timedelta(minutes=30))
        self.seen.waiting = len(self._inbox())
        await self._approved("the correction was reviewed")
        await self._while(timedelta(minutes=30))
        again = await self.rt.assets.run_plan(plan.id, plan.hash)
        self.seen.again = again.done
        self.say(again.done)

    async def _life_goes_on(self) -> None:
        await self._day(TOLD)
        self.seen.after = await self._states()

    async def _closed(self) -> None:
        for step, text in (
            ("notify", "owners were told by alerts; the regulator has the corrections"),
            ("validate", "counted again apart from the pipeline: the same"),
        ):
            await self.rt.evidence.note(self.seen.incident, step, text, by="ana")
        shown = await self.rt.evidence.incident(self.seen.incident)
        self.seen.missing = tuple(shown.missing)
        closed = await self.rt.evidence.close(self.seen.incident, text="mended by the plan", by="ana")
        self.say(closed.done)
        bundle = await self.rt.evidence.export(self.seen.incident)
        self.seen.bundle = self.place / bundle.name
        self.seen.bundle.write_bytes(bundle.data)

    # --- what there is -------------------------------------------------------------------------------

    async def _states(self) -> dict[str, dict[str, list[str]]]:
        found: dict[str, dict[str, list[str]]] = {}
        for asset in (POLICY.name, GOLD.name, DASHBOARD.name, EXPORT, ALERTS):
            shown = await self.rt.assets.show(asset, limit=1000)
            days = found.setdefault(asset, {})
            for line in reversed(shown.versions):
                days.setdefault(line.interval.start[:10], []).append(line.state)
        return found

    def _inbox(self) -> list[dict[str, Any]]:
        return lines(self.place / "regulator" / "inbox.jsonl")

    def _alerts(self) -> list[dict[str, Any]]:
        return lines(self.place / "alerts" / "stream.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _yes(allowed: bool) -> str:
    return "yes" if allowed else "NO"
