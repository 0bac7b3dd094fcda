"""Branches, skips and tear-downs against a plain reading of their rules: any graph, any order of ends, any crash.

The model knows nothing of counters, turns or orders: it looks at whole graphs whose ends are known.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.engine.messages import Failure
from bide.runtime.graph.spec import TaskSpec, TriggerRule
from tests.engine.declare import job
from tests.engine.machines import stories
from tests.engine.scene import Scene

RULES = [str(rule) for rule in TriggerRule]
PATIENT = ["all_success", "all_done", "none_failed", "none_failed_min_one_success"]
"""Rules that decide nothing before all have ended, but that a failure is one."""
EARLY = {"one_success", "one_failed", "always"}


class Plan(msgspec.Struct):
    """A graph, and how each of its tasks ends if it runs: success, failed, skipped, cut; and what it chooses."""

    tasks: list[TaskSpec]
    ends: dict[str, str]
    chosen: dict[str, list[str]]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    cuts = draw(st.booleans())
    tasks: list[TaskSpec] = []
    ends: dict[str, str] = {}
    for n in range(draw(st.integers(2, 8))):
        name, above = f"t{n}", [task.name for task in tasks]
        ups = (
            draw(st.lists(st.sampled_from(above), unique=True, min_size=n % 4 > 0, max_size=3))
            if above
            else []
        )
        fields: dict[str, Any] = {
            "rule": draw(st.sampled_from(PATIENT if cuts else [*RULES, "all_done", "none_failed"]))
        }
        kind = draw(st.sampled_from(["task", "branch", "branch", "teardown"]))
        if kind == "branch":
            fields["branch"] = True
        elif kind == "teardown" and ups:
            setups = draw(st.lists(st.sampled_from(ups), unique=True, min_size=1))
            fields |= {"rule": "all_done", "teardown": True, "setups": tuple(setups)}
        tasks.append(job(name, *ups, **fields))
        ends[name] = draw(
            st.sampled_from(["success"] * 5 + ["failed", "skipped", *(["cut"] if cuts else [])])
        )
    below = {task.name: [each.name for each in tasks if task.name in each.upstream] for task in tasks}
    chosen = {
        task.name: [name for name in below[task.name] if draw(st.booleans())] for task in tasks if task.branch
    }
    return Plan(tasks, ends, chosen)


def reaches(plan: Plan, start: str, to: str) -> bool:
    return any(
        task.name == to or reaches(plan, task.name, to) for task in plan.tasks if start in task.upstream
    )


def spared(plan: Plan, branch: str, name: str) -> bool:
    chosen = plan.chosen[branch]
    return name in chosen or any(reaches(plan, each, name) for each in chosen)


def by_rule(rule: str, seen: list[str]) -> str:
    """What a rule makes of the ends of all upstreams: run, skipped or upstream_failed."""
    bad, well, skipped = (
        sum(each not in ("success", "skipped") for each in seen),
        seen.count("success"),
        seen.count("skipped"),
    )
    if not seen or rule in ("always", "all_done"):
        return "run"
    if rule in PATIENT and bad:
        return "upstream_failed"
    right = {
        "all_success": not skipped,
        "none_failed": True,
        "none_failed_min_one_success": well > 0,
        "all_failed": bad == len(seen),
        "one_success": well > 0,
        "one_failed": bad > 0,
        "none_skipped": not skipped,
    }[rule]
    if rule == "one_success" and not right and bad:
        return "upstream_failed"
    return "run" if right else "skipped"


def expected(plan: Plan) -> dict[str, str]:
    """task -> state, once all is over."""
    state: dict[str, str] = {}
    cut: set[str] = set()
    for task in plan.tasks:
        held = [
            up for up in task.upstream
            if state[up] == "success" and up in plan.chosen and not spared(plan, up, task.name)
        ]  # fmt: skip
        seen = ["skipped" if up in held else state[up] for up in task.upstream]
        verdict = by_rule(task.rule.value, seen)
        torn = [up for up in task.upstream if up in cut]
        if task.teardown:
            made = [state[up] for up in task.setups]
            if "success" not in made:
                verdict = "skipped" if set(made) == {"skipped"} else "upstream_failed"
        elif verdict != "upstream_failed" and not (verdict == "run" and task.rule.value in EARLY):
            if torn:
                cut.add(task.name)
            if torn or held:
                verdict = "skipped"
        if verdict == "run":
            end = plan.ends[task.name]
            state[task.name] = "skipped" if end == "cut" else end
            cut |= {task.name} if end == "cut" else set()
        else:
            state[task.name] = verdict
    return state


@stories(80)
@given(plan=plans(), data=st.data(), budget=st.sampled_from([2, 300]))
def test_b50_branches_skips_and_tear_downs_are_what_a_plain_reading_says(
    plan: Plan, data: st.DataObject, budget: int
) -> None:
    with tempfile.TemporaryDirectory(prefix="bide-model-") as folder:
        scene = Scene(Path(folder) / "bide.db", slots=8, pools={}, budget=budget)
        try:
            scene.dag("d", *plan.tasks)
            scene.trigger("d")
            while scene.bodies:
                attempt = data.draw(st.sampled_from(sorted(scene.bodies)))
                name = scene.bodies[attempt].task.name
                end = plan.ends[name]
                output = msgspec.json.encode(plan.chosen.get(name)) if end == "success" else None
                ended = scene.ended(
                    attempt, "skipped" if end == "cut" else end, output=output, cuts=end == "cut",
                    failure=None if end == "success" else Failure(end),
                )  # fmt: skip
                if data.draw(st.sampled_from([False, False, False, True])):
                    scene.turn(ended)
                    scene.crash()
                else:
                    scene.feed(ended)
            assert scene.states() == expected(plan)
            bad = [
                task.name for task in plan.tasks if scene.state(task.name) in ("failed", "upstream_failed")
            ]
            assert scene.run_state() == ("failed" if bad else "success")
        finally:
            scene.close()
