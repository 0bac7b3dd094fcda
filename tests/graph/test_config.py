"""Configuration: four layers, their origins, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from bide.runtime.config import PoolLimits, load_config
from bide.runtime.errors import UsageError
from bide.runtime.project import default_db


def project(folder: Path, pyproject: str = "", own: str = "") -> Path:
    if pyproject:
        (folder / "pyproject.toml").write_text(pyproject)
    if own:
        (folder / "bide.toml").write_text(own)
    below = folder / "src" / "deep"
    below.mkdir(parents=True)
    return below


def test_each_layer_overrules_the_one_below_and_says_so(tmp_path: Path) -> None:
    below = project(
        tmp_path,
        '[tool.bide]\nslots = 1\nlog_level = "debug"\nstop_timeout = 1.0\nsynchronous = "FULL"\n',
        'slots = 2\nstop_timeout = 2.0\nsynchronous = "NORMAL"\n',
    )
    config = load_config(
        {"BIDE_SLOTS": "3", "BIDE_STOP_TIMEOUT": "3"}, below, {"slots": 4, "stop_timeout": None}
    )
    assert (config.slots, config.stop_timeout, config.synchronous, config.log_level) == (
        4,
        3,
        "NORMAL",
        "debug",
    )
    assert config.origins["slots"] == "flag"
    assert config.origins["stop_timeout"] == "BIDE_STOP_TIMEOUT"
    assert config.origins["synchronous"] == str(tmp_path / "bide.toml")
    assert config.origins["log_level"] == str(tmp_path / "pyproject.toml")
    assert config.origins["pools"] == "default"
    assert config.folder == str(tmp_path)


def test_paths_in_a_file_are_relative_to_its_folder(tmp_path: Path) -> None:
    below = project(tmp_path, own='db = "state/x.db"\npaths = ["dags", "/etc/dags"]\n')
    config = load_config({}, below)
    assert config.db == str(tmp_path / "state/x.db")
    assert config.paths == [str(tmp_path / "dags"), "/etc/dags"]


def test_pools_are_a_number_of_slots_or_limits(tmp_path: Path) -> None:
    below = project(tmp_path, own="[pools]\na = 2\nb = {slots = 4, in_flight = 50}\n")
    assert load_config({}, below).pools == {"a": 2, "b": PoolLimits(4, 50)}
    assert load_config({"BIDE_POOLS": '{"gpu": 1}'}, below).pools == {"gpu": 1}


@pytest.mark.parametrize(
    ("own", "env", "says"),
    [
        ("slot = 3", {}, "bide.toml: there is no setting 'slot': did you mean 'slots'?"),
        ("slots = 'many'", {}, "bide.toml: slots is 'many': Expected `int`"),
        ("slots = '8'", {}, "bide.toml: slots is '8': Expected `int`"),
        ("slots = 0", {}, "slots is 0, and must be 1 or more"),
        ("[[notify]]\nownr = 'a'", {}, "bide.toml: notify has no key 'ownr': did you mean 'owner'?"),
        ("[[notify]]\nwebhook = 'shop.example'", {}, "the webhook of a route is no address: write https://"),
        ("stop_timeout = -1", {}, "stop_timeout is -1"),
        ("door = 8080", {}, "there is no setting 'door'"),
        ("synchronous = 'OFF'", {}, "synchronous is 'OFF'"),
        ("pools = {gpu = 0}", {}, "a limit of the pool 'gpu' is 0"),
        ("slots = ", {}, "bide.toml is not TOML"),
        ("", {"BIDE_SLOTS": "many"}, "BIDE_SLOTS: slots is 'many'"),
        ("", {"BIDE_SLOT": "3"}, "BIDE_SLOT: there is no setting 'slot': did you mean 'slots'?"),
        ("", {"BIDE_POOLS": "gpu=1"}, "must be JSON"),
    ],
)
def test_a_wrong_setting_names_its_place(tmp_path: Path, own: str, env: dict[str, str], says: str) -> None:
    below = project(tmp_path, own=own)
    with pytest.raises(UsageError) as raised:
        load_config(env, below)
    assert says in str(raised.value)


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    assert load_config({"BIDE_HTTP_ALLOW": "example.org", "BIDE_SEED": "7"}, tmp_path).slots == 64


@pytest.mark.parametrize(
    ("env", "own", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/bide:/var/lib/other"}, "slots = 1", "/var/lib/bide/bide.db"),
        ({}, "slots = 1", "{project}/.bide/bide.db"),
        ({}, "", "{cwd}/.bide/bide.db"),
    ],
)
def test_the_database_stands_where_it_is_expected(
    tmp_path: Path, env: dict[str, str], own: str, expected: str
) -> None:
    below = project(tmp_path, own=own)
    assert str(default_db(env, below)) == expected.format(project=tmp_path, cwd=below)


def test_a_pyproject_without_a_table_of_ours_is_no_project(tmp_path: Path) -> None:
    below = project(tmp_path, "[project]\nname = 'x'\n")
    assert default_db({}, below) == below / ".bide" / "bide.db"


def test_flags_are_judged_like_everything_else(tmp_path: Path) -> None:
    flags: dict[str, Any] = {"log_level": "loud"}
    with pytest.raises(UsageError, match="--log-level is 'loud'"):
        load_config({}, tmp_path, flags)
