"""What tests run on is what `locks/` says, package by package: CI installs nothing else, and nothing without its hash."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import distributions
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("base", "test", "lint", "docs", "examples")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
STAMPS = sorted(Path(sys.prefix).glob(".stamp-*"))


@cache
def locked(name: str) -> tuple[Requirement, ...]:
    lines = (ROOT / "locks" / f"{name}.txt").read_text().splitlines()
    return tuple(Requirement(line.rstrip(" \\")) for line in lines if line and line[0] not in " #")


def pins(name: str, **where: str) -> dict[str, str]:
    """Package -> version, as one Python on one system has it."""
    environment = {
        "python_version": "3.11",
        "python_full_version": "3.11.9",
        "sys_platform": "linux",
        **where,
    }
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in locked(name)
        if each.marker is None or each.marker.evaluate(environment)
    }


def group(name: str) -> list[Requirement]:
    found = []
    for each in PROJECT["dependency-groups"][name]:
        found += [Requirement(each)] if isinstance(each, str) else group(each["include-group"])
    return found


def extra(name: str) -> list[Requirement]:
    found = []
    for each in map(Requirement, PROJECT["project"]["optional-dependencies"][name]):
        found += [inner for one in each.extras for inner in extra(one)] if each.name == "bide" else [each]
    return found


def asked(name: str) -> list[Requirement]:
    """What pyproject.toml wants to be in a lock."""
    base = [Requirement(each) for each in PROJECT["project"]["dependencies"]] + extra("all")
    base += [Requirement(each) for each in PROJECT["build-system"]["requires"]]
    return base + (group(name) if name != "base" else []) + (group("test") if name == "lint" else [])


@pytest.mark.parametrize("name", LOCKS)
def test_t17_each_line_of_a_lock_is_one_version_with_its_hashes_and_no_place(name: str) -> None:
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    assert re.search(r"://|--(index|extra|find|trusted)|^\s*(-e|/|\.)|@ ", text, re.MULTILINE) is None
    lines = [line for line in text.splitlines() if not line.startswith("    # via ")]
    for line, after in pairwise([*lines, ""]):
        if line.startswith(" "):
            assert HASH.fullmatch(line)
            assert line.endswith("\\") == after.startswith(" ")
        else:
            assert re.fullmatch(r"[a-z0-9-]+==[^ ]+( ; [^\\]+)? \\", line), line
            assert after.startswith("    --hash="), f"{line} has no hash"


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_t17_every_dependency_is_locked_as_pyproject_asks(name: str, python: str) -> None:
    where = {"python_version": python, "python_full_version": f"{python}.9"}
    found, others = pins(name, **where), pins("lint", **where) | pins("docs", **where)
    for each in asked(name):
        if each.marker is None or each.marker.evaluate({"sys_platform": "linux", **where}):
            version = found.get(canonicalize_name(each.name))
            assert version, f"{each} is not in locks/{name}.txt: make lock"
            assert each.specifier.contains(version, prereleases=True), (
                f"{each} is locked as {version}: make lock"
            )
    assert found.items() <= others.items(), "two locks have one package in two versions: make lock"


def test_t17_what_is_installed_is_what_is_locked() -> None:
    """In CI, and wherever `make` has set up: elsewhere (a checkout in another environment) pyproject's bounds are what holds."""
    installed = {canonicalize_name(each.name): each.version for each in distributions()}
    for each in asked("test"):
        if each.marker is None or each.marker.evaluate():
            assert each.specifier.contains(installed[canonicalize_name(each.name)], prereleases=True), each
    if not os.environ.get("CI"):
        return
    assert STAMPS, "CI runs in what `make test` has set up"
    known = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for name in LOCKS
        for each in locked(name)
        if each.marker is None or each.marker.evaluate()
    }
    strange = {
        f"{name} {version} (locked: {known.get(name, 'not at all')})"
        for name, version in installed.items()
        if known.get(name) != version
        and name not in {"bide", "pip", "setuptools"}  # Python brings the last two
    }
    assert strange == set()


def test_t17_set_up_installs_from_the_locks_and_nothing_without_a_hash() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    installs = [line for line in lines if "pip install" in line]
    assert len(installs) == 4
    for line in installs:
        own = "--no-deps --no-build-isolation -e ." in line
        tool = "lock/bin" in line  # what makes the locks, in an environment of its own
        assert own or tool or "--require-hashes -r" in line, line
    assert "pip install" not in (ROOT / ".ci" / "run").read_text()
