"""T8: the unit in a real systemd as PID 1: one boot, twelve scenarios, each a test; T7: one of them is a soak.

Where no such machine can be made every one of them is skipped, and says why.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.systemd.chaos import TAKES_S
from tests.systemd.machine import boot, cannot

Results = dict[str, Any]
LIMIT_S: Final = 240 + TAKES_S
"""The scenarios take some 70 s on two cores; a machine that is busy gets more."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Results:
    if why := cannot():
        pytest.skip(f"this machine cannot: no systemd as PID 1: {why}")
    out = tmp_path_factory.mktemp("out")
    found = boot(out, LIMIT_S)
    if not found:
        console = (out / "console").read_text(errors="replace")
        log = (out / "log").read_text() if (out / "log").exists() else ""
        pytest.fail(f"nothing was played:\n{console[-3000:]}\n{log[-3000:]}")
    return found


def _well(played: Results, name: str) -> None:
    assert name in played, f"not played within {LIMIT_S} s; {', '.join(played)} were"
    assert not played[name]["wrong"], played[name]["wrong"]


def test_t8_b73_p2_start_returns_when_recovery_is_done(played: Results) -> None:
    _well(played, "started_is_ready")


def test_t8_b73_p3_p8_killed_it_is_restarted_with_its_waits_and_deadlines(played: Results) -> None:
    _well(played, "killed_is_restarted")


def test_t8_b73_p12_a_stop_drains_and_ends_with_0(played: Results) -> None:
    _well(played, "stop_drains")


def test_t8_b73_p12_a_drain_has_its_limit_and_a_second_signal_is_now(played: Results) -> None:
    _well(played, "drain_has_a_limit_and_a_second_signal_is_now")


def test_t8_b73_a_reload_reads_the_dags_again(played: Results) -> None:
    _well(played, "reload_reads_the_dags_again")


def test_t8_b73_p10_a_blocked_loop_is_ended_and_named(played: Results) -> None:
    _well(played, "blocked_loop_is_ended_and_named")


def test_t8_b73_p13_a_hung_commit_is_ended_though_the_loop_turns(played: Results) -> None:
    _well(played, "hung_commit_is_ended")


def test_t8_b73_p13_a_lost_database_fails_and_wrong_use_is_not_repeated(played: Results) -> None:
    _well(played, "lost_store_fails_and_wrong_use_is_not_repeated")


def test_t8_b73_p7_it_is_locked_in_and_alone_on_its_database(played: Results) -> None:
    _well(played, "locked_in_and_alone")


def test_t8_b73_a_person_has_one_of_their_own_without_root(played: Results) -> None:
    _well(played, "a_person_has_one_of_their_own")


def test_t8_b73_a_socket_of_systemd_starts_it_and_keeps_who_asks_waiting(played: Results) -> None:
    _well(played, "a_socket_of_systemd_starts_it")


@pytest.mark.soak
def test_t7_t9_b73_p1_p3_killed_again_and_again_nothing_is_lost_and_nothing_is_done_twice(
    played: Results,
) -> None:
    _well(played, "killed_again_and_again")
