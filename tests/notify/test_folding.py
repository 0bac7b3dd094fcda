"""Alerts into notices: one for each subject and window, one for a storm, nothing lost and nothing counted twice."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.clock import DAY, MINUTE, SECOND
from bide.runtime.engine.notices import NoticesMoved
from bide.runtime.notify.folding import STORM, folded, taken
from bide.runtime.notify.retrying import DELAYS_US, Outcome, asked_for, judged, next_try
from bide.runtime.notify.routes import RANK, Route
from bide.runtime.store.notice_rows import AlertRead, LastRead

T0 = 1_800_000_000 * SECOND
OPS = Route("json://ops", name="ops", burst=3)


def alert(number: int, subject: str = "orders", severity: str = "major", at: int = T0) -> AlertRead:
    return AlertRead(number, "failure", subject, severity, "[]", "[]", None, at, f"{subject} failed", "{}")


class Table:
    """The notices of one route, as their rows would stand."""

    def __init__(self, route: Route = OPS) -> None:
        self.route = route
        self.rows: list[dict[str, object]] = []
        self.alerts: dict[int, list[int]] = {}

    def tell(self, now: int, *alerts: AlertRead) -> NoticesMoved:
        pairs, asked = taken(alerts, [self.route], now)
        last = [row for key in asked.keys if (row := self.last(key[1])) is not None]
        since = now - self.route.window_us
        told = {"ops": sum(int(str(r["from_us"])) > since and r["key"] != STORM for r in self.rows)}
        moved = folded(pairs, last, told, now)
        numbers = []
        for new in moved.new:
            self.rows.append({"id": len(self.rows) + 1, "key": new.key, "severity": new.severity, "count": new.count,
                              "title": new.title, "from_us": new.from_us, "next_us": new.next_us, "sent": False})  # fmt: skip
            numbers.append(len(self.rows))
        for count, severity, title, next_us, number in moved.joined:
            self.rows[number - 1].update(count=count, severity=severity, title=title, next_us=next_us)
        for notice, number in moved.alerts:
            self.alerts.setdefault(numbers[-1 - notice] if notice < 0 else notice, []).append(number)
        return moved

    def last(self, key: str) -> LastRead | None:
        of = [r for r in self.rows if r["key"] == key]
        told = next((r["severity"] for r in reversed(of) if r["sent"]), "")
        names = ("severity", "count", "title", "from_us", "next_us")
        rows = [(r["id"], "ops", key, *(r[name] for name in names), int(bool(r["sent"])), told) for r in of]
        return msgspec.convert(rows[-1], LastRead) if rows else None

    def send(self, now: int) -> None:
        for r in self.rows:
            if int(str(r["next_us"])) <= now:
                r["sent"] = True

    @property
    def shown(self) -> list[tuple[object, ...]]:
        return [(r["key"], r["count"], (int(str(r["next_us"])) - T0) // SECOND) for r in self.rows]


def test_b66_the_first_goes_at_once_and_what_is_like_it_at_the_end_of_the_window() -> None:
    table = Table()
    table.tell(T0, alert(1))
    table.send(T0)
    for n in range(2, 102):
        table.tell(T0 + n * SECOND, alert(n, at=T0 + n * SECOND))
    assert table.shown == [("failure:orders", 1, 0), ("failure:orders", 100, 300)]
    assert table.rows[1]["title"] == "orders failed (100 times)"
    table.send(T0 + 5 * MINUTE)
    table.tell(T0 + 6 * MINUTE, alert(200))
    assert table.shown[2] == ("failure:orders", 1, 600), "no more than one in a window"
    table.send(T0 + 10 * MINUTE)
    table.tell(T0 + 30 * MINUTE, alert(300))
    assert table.shown[3] == ("failure:orders", 1, 1800), "it has been quiet: at once"


def test_b66_many_subjects_at_once_are_one_storm() -> None:
    table = Table()
    table.tell(T0, *(alert(n, f"dag_{n}") for n in range(1, 501)))
    assert table.shown == [
        ("failure:dag_1", 1, 0), ("failure:dag_2", 1, 0), ("failure:dag_3", 1, 0), (STORM, 497, 0),
    ]  # fmt: skip
    assert table.rows[3]["title"] == "497 alerts of many subjects, the last: dag_500 failed"
    assert table.alerts[4] == list(range(4, 501))


def test_b66_what_is_worse_than_what_was_told_goes_at_once() -> None:
    table = Table()
    table.tell(T0, alert(1, severity="minor"))
    table.send(T0)
    table.tell(T0 + SECOND, alert(2, severity="minor"))
    table.tell(T0 + 2 * SECOND, alert(3, severity="critical"))
    assert table.shown == [("failure:orders", 1, 0), ("failure:orders", 2, 2)]
    assert table.rows[1]["severity"] == "critical"


def test_b66_what_was_raised_days_ago_is_no_news() -> None:
    table = Table()
    assert not table.tell(T0 + 4 * DAY, alert(1)).new


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["minor", "major", "critical"]), st.integers(0, 400)),
        max_size=60,
    ),
    st.integers(1, 5),
)
def test_b66_every_alert_is_told_once_and_no_subject_too_often(
    story: list[tuple[int, str, int]], burst: int
) -> None:
    table = Table(Route("json://ops", name="ops", burst=burst, window=timedelta(minutes=5)))
    now = T0
    for number, (subject, severity, wait) in enumerate(story, 1):
        now += wait * SECOND
        table.send(now)
        table.tell(now, alert(number, f"dag_{subject}", severity, now))
    assert sorted(n for those in table.alerts.values() for n in those) == list(range(1, len(story) + 1))
    assert all(row["count"] == len(table.alerts[number]) for number, row in enumerate(table.rows, 1))
    for key in {str(row["key"]) for row in table.rows}:
        of = [row for row in table.rows if row["key"] == key]
        for one, following in pairwise(of):
            worse = RANK[str(following["severity"])] > RANK[str(one["severity"])]
            assert worse or int(str(following["next_us"])) - int(str(one["from_us"])) >= 5 * MINUTE


def test_b66_it_is_tried_again_over_days_with_jitter_and_as_the_receiver_says() -> None:
    down = Outcome(error="no connection", down=True)
    early = [next_try(down, n, T0, T0, 0.0) for n in range(1, 12)]
    late = [next_try(down, n, T0, T0, 1.0) for n in range(1, 12)]
    assert [round((at or 0) - T0) for at in early] == [round(d * 0.8) for d in DELAYS_US]
    assert [round((at or 0) - T0) for at in late] == [round(d * 1.2) for d in DELAYS_US]
    assert sum(DELAYS_US) > 3 * DAY
    assert next_try(down, 12, T0, T0, 0.5) is None
    assert next_try(down, 3, T0, T0 + 5 * DAY, 0.5) is None
    busy = judged(429, "3600", "slow down", T0)
    assert next_try(busy, 1, T0, T0, 0.5) == T0 + 3600 * SECOND
    assert judged(410, None, "", T0).gone
    assert "redirects" in judged(307, None, "", T0).error
    assert asked_for("Fri, 15 Jan 2027 08:01:00 GMT", T0) == T0 + 60 * SECOND
    assert asked_for("99999999999", T0) == T0 + DAY
    assert asked_for("Fri, 15 Jan 99999999999 08:01:00 GMT", T0) is None
    assert (
        asked_for("soon", T0) is asked_for(None, T0) is asked_for("Fri, 15 Jan 2021 08:01:00 GMT", T0) is None
    )
