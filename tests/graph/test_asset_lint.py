"""Warnings about assets: what nobody makes, and loops."""

from __future__ import annotations

import pytest

from bide import AnyOf, Asset, Dag, Every, Manual, OnAssets, by, dag, task
from bide.runtime.graph.lint import lint
from bide.runtime.schedules import Schedule
from bide.sensors import AssetSensor

A, B = Asset("raw/a"), Asset("raw/b")


def maker(name: str, makes: Asset, looks_at: Asset | None = None) -> Dag:
    @task(outlets=[makes])
    def make() -> None: ...

    schedule = Manual() if looks_at is None else OnAssets(looks_at, consume="each")

    @dag(name=name, schedule=schedule)
    def body() -> None:
        make()

    return body


def said(*dags: Dag) -> list[tuple[str, str, str]]:
    return [(warn.code, warn.dag, warn.task) for warn in lint(dags, 0)]


def test_c46_an_asset_that_no_dag_makes_is_warned_about() -> None:
    @dag
    def reads() -> None:
        AssetSensor("w", asset="raw/aa")

    consumer = maker("consumer", B, looks_at=Asset("raw/c"))
    assert said(maker("a", A), consumer, reads) == [
        ("asset-not-made", "consumer", ""),
        ("asset-not-made", "reads", "w"),
    ]
    [_, warn] = lint([maker("a", A), consumer, reads], 0)
    assert "did you mean 'raw/a'" in warn.message
    assert said(maker("c", Asset("raw/c")), consumer) == []


def test_b30_a_deadline_before_the_promise_of_an_asset_that_it_is_made_of_is_warned_about() -> None:
    promised = maker("silver", Asset("raw/a", promise=by("04:00", tz="Europe/Berlin")))

    @task
    def build() -> None: ...

    def mart(name: str, at: str) -> Dag:
        @dag(name=name, schedule=OnAssets(A, consume="each"), deadline_alert=by(at, tz="Europe/Berlin"))
        def body() -> None:
            build()

        return body

    @dag
    def waits() -> None:
        AssetSensor("w", asset=A, deadline_alert=by("02:30", tz="UTC"))

    dags = [promised, mart("early", "03:45"), mart("late", "05:45"), waits]
    warnings = [warn for warn in lint(dags, 0) if warn.code == "deadline-before-upstream"]
    assert [(warn.dag, warn.task) for warn in warnings] == [("early", ""), ("waits", "w")]
    assert "by 04:00 Europe/Berlin" in warnings[0].message


def test_dags_whose_runs_make_each_other_for_ever_are_warned_about() -> None:
    assert said(maker("one", A, looks_at=A)) == [("asset-loop", "one", "")]
    [warn] = lint([maker("x", A, looks_at=B), maker("y", B, looks_at=A)], 0)
    assert warn.code == "asset-loop"
    assert "x -> y -> x" in warn.message or "y -> x -> y" in warn.message


@pytest.mark.parametrize(
    ("schedule", "overlap", "codes"),
    [
        (OnAssets(A, consume="each"), "skip", ["overlap-of-assets"]),
        (OnAssets(A, consume="each"), "cancel_running", ["overlap-of-assets"]),
        (OnAssets(A, consume="each"), "queue_all", []),
        (AnyOf(OnAssets(A, consume="each"), Every(hours=1)), "skip", []),
        (Every(hours=1), "skip", []),
    ],
)
def test_c54_an_overlap_that_no_firing_asks_about_is_warned_about(
    schedule: Schedule, overlap: str, codes: list[str]
) -> None:
    @task
    def read() -> None: ...

    @dag(schedule=schedule, overlap=overlap)
    def mart() -> None:
        read()

    assert [warn.code for warn in lint([mart], 0)] == codes
