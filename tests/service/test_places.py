"""Where a database's files stand, and how people name things."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Asset
from bide.runtime.assets.blast import Invalidation as Root
from bide.runtime.clock import DAY
from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import (
    asset_name,
    asset_version_number,
    plan_number,
    read_date,
    read_interval,
    read_params,
    read_span,
    run_number,
    split_address,
)
from bide.runtime.service.listen import Listener
from bide.runtime.service.places import SOCKET_PATH_LIMIT, database, log_of, settings, socket_of
from bide.runtime.service.shapes import Interval
from bide.runtime.service.systemd import Notifier


def test_the_socket_stands_beside_its_database(tmp_path: Path) -> None:
    assert socket_of(tmp_path / "bide.db") == tmp_path / "bide.db.sock"
    assert log_of(tmp_path / "bide.db", 7) == tmp_path / "bide.db.logs" / "7.log"


def test_every_name_of_a_database_leads_to_one_socket(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert socket_of(tmp_path / "link" / "bide.db") == socket_of(tmp_path / "real" / "bide.db")


def test_a_path_too_long_for_a_socket_moves_it_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    place = socket_of(deep / "bide.db")
    assert len(os.fsencode(place)) <= SOCKET_PATH_LIMIT
    assert place != socket_of(deep / "other.db")
    listener = Listener(place)
    listener.close()
    assert not place.exists()


def test_a_listener_removes_its_own_name_only(tmp_path: Path) -> None:
    first = Listener(tmp_path / "s")
    second = Listener(tmp_path / "s")
    assert not first.still_there()
    first.close()
    assert second.still_there()
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    second.close()
    assert not (tmp_path / "s").exists()


def test_the_database_of_flag_environment_project_and_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BIDE_DB", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert database(settings()) == tmp_path / ".bide" / "bide.db"
    (tmp_path / "bide.toml").write_text('db = "data/x.db"\n')
    assert database(settings()) == tmp_path / "data" / "x.db"
    monkeypatch.setenv("BIDE_DB", "env.db")
    assert database(settings()) == tmp_path / "env.db"
    assert database(settings(db="flag.db")) == tmp_path / "flag.db"


def test_systemd_is_told_over_its_socket(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "n"))
        env = {
            "NOTIFY_SOCKET": str(tmp_path / "n"),
            "WATCHDOG_USEC": "3000000",
            "WATCHDOG_PID": str(os.getpid()),
        }
        notifier = Notifier(env)
        assert notifier.watchdog_s == 3.0
        assert notifier.say("READY=1", "STATUS=well")
        assert heard.recv(100) == b"READY=1\nSTATUS=well"
    assert not Notifier({}).say("READY=1")
    assert Notifier({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).watchdog_s is None
    assert not Notifier(env).say("nobody hears this any more")


@given(st.text(max_size=20))
def test_whatever_is_typed_is_read_or_refused_in_words(text: str) -> None:
    for read in (run_number, read_span, read_date, split_address, lambda t: read_params([t])):
        try:
            read(text)
        except UsageError as error:
            assert len(str(error)) > 10  # noqa: PT017


def test_a_date_without_a_zone_is_read_in_the_dags() -> None:
    assert read_date("2026-06-15", "Europe/Berlin") == read_date("2026-06-14T22:00:00Z")
    assert read_date("2026-06-15T00:00:00+00:00", "Europe/Berlin") == read_date("2026-06-15")


@pytest.mark.parametrize(
    "meant",
    [
        "2026-06-15", "2026-06-15..2026-06-16", "2026-06-15/2026-06-16", "2026-06-15 to 2026-06-16",
        "2026-06-14 22:00:00Z to 2026-06-15 22:00:00Z", date(2026, 6, 15), (date(2026, 6, 15), date(2026, 6, 16)),
        [datetime(2026, 6, 14, 22, tzinfo=UTC), datetime(2026, 6, 16)],
        {"start": "2026-06-15", "end": "2026-06-16"}, Interval("2026-06-14T22:00:00Z", "2026-06-15T22:00:00Z"),
        Root(asset="gold", start_us=1781474400000000, end_us=1781560800000000),
    ],
)  # fmt: skip
def test_s1_37_an_interval_is_said_in_words_or_handed_as_it_is(meant: object) -> None:
    assert read_interval(meant, "Europe/Berlin") == (1781474400000000, 1781560800000000)


@pytest.mark.parametrize(
    ("meant", "words"),
    [
        ("2026-06-16..2026-06-15", "'2026-06-16..2026-06-15' is no interval: it ends before it begins"),
        (datetime(2026, 6, 15, tzinfo=UTC), "'2026-06-15T00:00:00+00:00' is no interval: write a day"),
        (7, "'7' is no interval: write a day"),
        ((1, 2), "'(1, 2)' is no interval: write a day"),
    ],
)
def test_s1_37_what_is_no_interval_is_refused_in_words(meant: object, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_interval(meant)
    assert str(refused.value).startswith(words)


def test_things_are_named_by_themselves_or_by_their_numbers() -> None:
    assert asset_name(Asset("gold")) == asset_name("gold") == "gold"
    assert plan_number("3") == plan_number(3) == 3
    for wrong, read in (
        (None, asset_name),
        (True, plan_number),
        (-1, plan_number),
        (None, asset_version_number),
    ):
        with pytest.raises(UsageError):
            read(wrong)


def test_spans() -> None:
    assert read_span("1d") == DAY
    assert read_span("1.5h") == 5_400_000_000
