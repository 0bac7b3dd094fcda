"""Random stories of deliveries: whatever fails, is cancelled, approved, rerun or killed, nothing leaves twice.

A partner stands beside the scene: it notes each body that begins, and those that have left. It is asked at the end
of every step whether the ledger says what it has seen.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from bide.runtime.assets import AssetSpec, ContractSpec
from bide.runtime.assets.words import Edge, Node, Semantics
from bide.runtime.engine.messages import Command, Failure, Input
from bide.runtime.engine.states import State
from bide.runtime.errors import NotFoundError, RefusedError
from bide.runtime.graph.spec import EffectSpec
from tests.engine.declare import HOUR_US, approval, job, seconds
from tests.engine.machines import SceneMachine, stories
from tests.engine.pruning import STAGES, prune, slices_of_prune
from tests.engine.scene import T0, Scene

HOURS = st.integers(0, 1)


class Partner:
    """What the other side has seen: bodies by key, in order; and of which the body said that it had left."""

    def __init__(self) -> None:
        self.begun: dict[int, str] = {}  # attempt -> key
        self.acknowledged: list[tuple[int, str]] = []  # (attempt, key)


class Machine(SceneMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-effects-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=3, budget=300)
        self.partner = Partner()
        self.asked: dict[int, str] = {}  # approval -> the key it is of

    @initialize(
        semantics=st.sampled_from(list(Semantics)), needs=st.booleans(), contract=st.booleans(),
        idempotent=st.booleans(), retries=st.integers(0, 1), gate=st.booleans(), budget=st.sampled_from([3, 300]),
        expires=st.sampled_from([50, 5000]),
    )  # fmt: skip
    def declare(
        self, semantics: Semantics, needs: bool, contract: bool, idempotent: bool, retries: int, gate: bool, budget: int,
        expires: int,
    ) -> None:  # fmt: skip
        self.scene.budget = budget
        self.needs = needs
        spec = EffectSpec(
            asset="export",
            target="partner",
            semantics=semantics,
            requires_approval=needs,
            expires_us=seconds(expires),
        )
        export = job(
            "export", *(("ok",) if gate else ()), effect=spec, outlets=("export",), inlets=("gold",),
            idempotent=idempotent, retries=retries, delay=20,
        )  # fmt: skip
        first = [approval("ok", expires=expires)] if gate else []
        self.scene.dag("make", job("gold", outlets=("gold",)), on_pause="freeze")
        self.scene.dag("d", *first, export, job("tell", "export"), on_pause="freeze")
        if contract:
            self.scene.declare(
                AssetSpec("export", node=Node.EXTERNAL_EFFECT),
                ContractSpec(downstream="export", upstream="gold", kind=Edge.INTERVAL_MATCH),
            )

    # --- the platform ---------------------------------------------------------------------------

    @rule(hour=HOURS)
    def gold(self, hour: int) -> None:
        run = self.scene.trigger("make", logical_us=T0 + hour * HOUR_US, new=True)
        if self.scene.states(run).get("gold") == "running":
            self.scene.end("gold", run=run)

    @rule(hour=HOURS)
    def deliver(self, hour: int) -> None:
        if len(self.scene.world.runs) < 5:
            self.scene.trigger("d", logical_us=T0 + hour * HOUR_US, new=True)

    @precondition(lambda self: self.scene.bodies)
    @rule(
        data=st.data(), how=st.sampled_from(["success", "success", "failed", "skipped"]), stages=STAGES,
    )  # fmt: skip
    def body_ends(self, data: st.DataObject, how: str, stages: list[int]) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        self.scene.feed(*slices_of_prune(self.scene, stages), self._ended(attempt, how))

    @rule(keep=st.sampled_from([0, 0, 60]), dies=st.sampled_from([None, None, 2, 6]))
    def what_is_old_is_pruned(self, keep: float, dies: int | None) -> None:
        self.scene.advance(1)
        prune(self.scene, seconds(keep), 1, dies)

    def _ended(self, attempt: int, how: str = "success") -> Input:
        start = self.scene.bodies[attempt]
        if how == "success" and start.task.effect is not None:
            self.partner.acknowledged.append((attempt, self.partner.begun[attempt]))
        failure = None if how == "success" else Failure(how)
        stop = self.scene.stops.get(attempt)
        if stop is not None and how != "success":
            how = stop.state.value
        output = msgspec.json.encode({"attempt": attempt}) if how == "success" else None
        return self.scene.ended(attempt, how, failure=failure, output=output)

    # --- people ---------------------------------------------------------------------------------

    @precondition(lambda self: self.scene.world.approvals)
    @rule(
        data=st.data(),
        verb=st.sampled_from(["approve", "approve", "reject"]),
        turns=st.sampled_from([0, 0, 1, 2]),
    )
    def somebody_decides(self, data: st.DataObject, verb: str, turns: int) -> None:
        asked = data.draw(st.sampled_from(sorted(self.scene.world.approvals.open)))
        self._order(verb, turns, approval_id=asked, by="ann", why="she says so")

    @rule(
        data=st.data(), verb=st.sampled_from(["cancel", "rerun", "whole", "task", "success", "failed"]),
        turns=st.sampled_from([0, 0, 1, 2, 3]),
    )  # fmt: skip
    def order(self, data: st.DataObject, verb: str, turns: int) -> None:
        runs = [run for run, _ in self.scene.runs("d")]
        if not runs:
            return
        args: dict[str, Any] = {"run_id": data.draw(st.sampled_from(runs))}
        match verb:
            case "whole":
                verb, args["whole"] = "rerun", True
            case "task":
                verb, args["task"] = "rerun", "export"
            case "success" | "failed":
                args |= {"task": "export", "state": verb}
                verb = "mark"
            case _:
                pass
        self._order(verb, turns, **args)

    def _order(self, verb: str, turns: int, **args: Any) -> None:
        self.scene.token += 1
        order = Command(self.scene.token, verb, args)
        if turns:
            self.scene.crash_after(turns, order)
            return
        self.scene.feed(order)
        try:
            self.scene.reply(order.token)
        except (RefusedError, NotFoundError):
            pass

    @rule(verb=st.sampled_from(["pause", "unpause", "unpause"]))
    def pause(self, verb: str) -> None:
        self.scene.command(verb, dag="d")

    # --- time and death -------------------------------------------------------------------------

    @rule(by=st.sampled_from([1, 30, 100]))
    def time_goes_by(self, by: float) -> None:
        self.scene.advance(by)

    @rule(down=st.sampled_from([0, 5, 1000]))
    def crash(self, down: float) -> None:
        self.scene.crash(down)

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data(), turns=st.integers(1, 3))
    def crash_in_the_middle(self, data: st.DataObject, turns: int) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        self.scene.crash_after(turns, self._ended(attempt))

    # --- what must hold -------------------------------------------------------------------------

    @invariant()
    def the_ledger_says_what_the_partner_has_seen(self) -> None:
        rows = self.scene._rows(
            "SELECT d.delivery_id, d.key, d.state, d.corrects, d.receipt, v.start_us, d.asset_version_id FROM delivery d"
            " JOIN asset_version v USING (asset_version_id) ORDER BY 1"
        )
        by_id = {row[0]: row for row in rows}
        for attempt, start in self.scene.bodies.items():
            if start.task.effect is not None and attempt not in self.partner.begun:
                assert start.delivery in by_id, "a body began before its delivery was written"
                _, key, state, *_ = by_id[start.delivery]
                assert state == "pending"
                before = [a for a, k in self.partner.acknowledged if k == key]
                stands = [row for row in rows if row[1] == key and row[2] == "delivered"]
                assert not stands, f"what attempt {before} has delivered is delivered again"
                self.partner.begun[attempt] = key
        corrected = [row[3] for row in rows if row[3] is not None and row[2] not in ("pending", "failed")]
        assert len(corrected) == len(set(corrected)), "a delivery was corrected twice"
        for start_us in {row[5] for row in rows}:
            standing = [row for row in rows if row[5] == start_us and row[2] == "delivered"]
            assert len(standing) <= 1, "two deliveries of one interval stand"
            chain = [
                row
                for row in rows
                if row[5] == start_us and row[2] in ("superseded", "corrected", "delivered")
            ]
            ends = [row for row in chain if row[0] not in corrected]
            assert len(ends) <= 1, "what was delivered of an interval is no chain"
        if self.needs:
            approved = {
                k
                for (k,) in self.scene._rows(
                    "SELECT about FROM approval WHERE kind = 'effect' AND state = 'approved'"
                )
            }
            assert {row[1] for row in rows} <= approved, "something leaves that nobody has approved"

    @invariant()
    def a_receipt_is_of_a_body_that_had_that_key(self) -> None:
        known = dict(self.partner.acknowledged)
        for key, receipt in self.scene._rows("SELECT key, receipt FROM delivery WHERE receipt IS NOT NULL"):
            assert known[msgspec.json.decode(receipt)["attempt"]] == key

    # --- the end --------------------------------------------------------------------------------

    def _to_the_end(self) -> None:
        """With gold for every hour, every person saying yes and every body succeeding, every run ends."""
        scene = self.scene
        scene.command("unpause", dag="d")
        for hour in range(2):
            run = scene.trigger("make", logical_us=T0 + hour * HOUR_US, new=True)
            while scene.state("gold", run) != "running":
                self._one()
            scene.end("gold", run=run)
        for _ in range(500):
            if not scene.world.runs:
                break
            self._one()
        else:
            raise AssertionError(f"these runs do not end: {[scene.states(run) for run in scene.world.runs]}")
        assert scene.world.slots.used == 0
        assert not scene.world.ledger.pending
        assert not scene.world.approvals

    def _one(self) -> None:
        scene = self.scene
        self.the_ledger_says_what_the_partner_has_seen()
        lost = [inst for inst in scene.world.instances.values() if inst.state is State.LOST]
        if lost:
            scene.command("mark", run_id=lost[0].run.run_id, task=lost[0].task.name, state="failed")
        elif scene.bodies:
            scene.feed(self._ended(min(scene.bodies)))
        elif scene.world.approvals:
            asked = min(scene.world.approvals.open)
            scene.command("approve", approval_id=asked, by="ann", why="to the end")
        else:
            due = scene.world.next_timer
            assert due is not None, (
                f"nothing will happen any more: {[scene.states(run) for run in scene.world.runs]}"
            )
            scene.advance(max((due - scene.now) / 1_000_000, 0))


Machine.TestCase.settings = stories(25, steps=40)
TestDeliveriesB45D19 = Machine.TestCase
