"""A pattern means what it means to `re`, and no pattern and no text hold the loop."""

from __future__ import annotations

import os
import random
import re
import warnings

import pytest

from bide import Param
from bide.runtime.engine.matching import named
from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.params import checked
from bide.runtime.graph.pattern import LONGEST, STEPS, pattern
from bide.runtime.hooks.mapped import matches
from tests.graph.test_params import spec_of

SIZE = int(os.environ.get("BIDE_SOAK") or 1)
pytestmark = pytest.mark.soak
ATOMS = (
    "a", "b", "c", "A", " ", "\n", ".", r"\d", r"\w", r"\s", r"\D", r"\W", "[ab]", "[^a]", "[a-c\\d]", "[]a]", "[^]\\]]",
    "^", "$", r"\b", r"\A", r"\Z", "é", "-", "_", r"\.", r"\x61", r"\n", "{", "}", "{}", "1", "a{,", "\\\\", "\u017f", "K",
)  # fmt: skip
REPEATS = ("*", "+", "?", "{2}", "{1,2}", "{,2}", "{0}", "{1,}", "*?", "+?", "{0,2}?", "{,}")
BOMBS = (
    "^(a+)+$",
    "^(a|a)*$",
    "^(a|aa)+$",
    "(a*)*b",
    "(.*a){20}b",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(a?){80}a{80}b",
    "(x+x+)+y",
)


def written(rng: random.Random, depth: int) -> str:
    kind = rng.random()
    if depth == 0 or kind < 0.35:
        return rng.choice(ATOMS)
    if kind < 0.6:
        return "".join(written(rng, depth - 1) for _ in range(rng.randint(0, 3)))
    if kind < 0.75:
        ways = "|".join(written(rng, depth - 1) for _ in range(rng.randint(1, 3)))
        return f"({rng.choice(('', '?:', f'?P<x{rng.randrange(10**9)}>'))}{ways})"
    return f"({written(rng, depth - 1)}){rng.choice(REPEATS)}"


def test_t14_a_pattern_finds_what_re_finds() -> None:
    rng, compared = random.Random(20260615), 0
    for _ in range(900 * SIZE):
        said = rng.choice(("", "", "", "(?i)", "(?m)", "(?s)", "(?a)", "(?im)")) + written(rng, 4)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                theirs = re.compile(said)
        except (re.error, Warning):
            with pytest.raises(GraphError, match="cannot be read"):
                pattern(said)
            continue
        ours = pattern(said)
        for _ in range(5):
            text = "".join(rng.choice("abcA \n1é-_.{}]sk\\") for _ in range(rng.randint(0, 7)))
            assert ours.found_in(text) is (theirs.search(text) is not None), (said, text)
            compared += 1
    assert compared > 3000 * SIZE


@pytest.mark.parametrize("bomb", BOMBS)
def test_t14_no_pattern_and_no_text_hold_the_loop(bomb: str) -> None:
    """Counted, not timed: each of these takes `re` longer than the universe has."""
    found = pattern(bomb)
    for text in ("a" * 60 + "!", "x" * 60, "aA" * 30 + "!"):
        assert found.found_in(text) is False
    with pytest.raises(UsageError, match=rf"200,000 characters takes more than {STEPS:,} steps.*shorter"):
        found.found_in("ax" * 100_000)


def test_t14_t17_a_bomb_in_a_request_is_refused_with_the_parameter() -> None:
    spec = spec_of(name=Param(type=str, pattern=r"^(\w+\s?)+$"))
    assert checked(spec, {"name": "ann of the north"}) == {"name": "ann of the north"}
    with pytest.raises(UsageError, match=r"'name' of the DAG .* in which the pattern"):
        checked(spec, {"name": "a" * 5000 + "!"})
    with pytest.raises(UsageError, match=r"100,000 steps to be searched: give a shorter one"):
        checked(spec, {"name": "a" * 90_000 + "!"})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (r"(?=a)", "has '(?=a'"), (r"a(?!b)", "has '(?!b'"), (r"(?<=a)b", "has '(?<='"), (r"(?<!a)b", "has '(?<!'"),
        (r"(a)\1", "has '\\\\1'"), ("(?P<x>a)(?P=x)", "has '(?P='"), ("(?>a)", "has '(?>a'"), ("a*+b", "has '*+b'"),
        ("a{2}++", "cannot be read"), ("(?i:a)", "has '(?i:'"), (r"\Ba", "has '\\\\Ba'"), ("(a)?(?(1)b|c)", "has '(?(1'"),
        ("(?x)a b", "has '(?x)'"), ("(?#a)", "has '(?#a'"), ("(", "cannot be read"), ("a**", "cannot be read"), ("[[a]", "cannot be read"),
        ("(" * 50 + ")" * 50, "nested deeper"), ("(" * 480 + "a" + ")" * 480, "nested deeper"), ("a" * (LONGEST + 1), "1,001 characters"),
        ("((a{100}){100}){100}", "more than 2,000 steps"), ("((){900000}){900000}a{3000}", "more than 2,000 steps"),
        ("a{99999999999}", "cannot be read"), ("x{0,9999}", "more than 2,000 steps"),
    ],
    ids=lambda each: each[:20],
)  # fmt: skip
def test_t14_what_cannot_be_searched_in_bounded_time_is_refused_when_it_is_declared(
    said: str, why: str
) -> None:
    with pytest.raises(GraphError) as refused:
        Param(type=str, pattern=said)
    assert why in str(refused.value)
    assert str(refused.value).startswith("the pattern ")
    assert "\n" not in str(refused.value)


def test_t14_any_text_is_a_pattern_or_refused_in_one_sentence() -> None:
    rng = random.Random(7)
    for _ in range(4000 * SIZE):
        said = "".join(
            rng.choice("()[]{}|*+?.^$\\ab1,-:<>=!P#xuUN&~ \n\0\ud800") for _ in range(rng.randint(0, 16))
        )
        try:
            pattern(said).found_in("ab1-")
        except UsageError as error:
            assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("said", "text", "fits"),
    [
        ("a*b*c", "a-b-c", True), ("a*b*c", "a-c-b", False), ("ab*ba", "aba", False), ("ab*ba", "abba", True), ("*", "", True),
        ("", "", True), ("", "a", False), ("a", "a", True), ("**a**", "xax", True), ("a*a", "a", False), ("a*\n", "a.\n", True),
        ("*a" * 120 + "*b", "a" * 100_000, False), ("*ab*ab*ab", "abababab", True), ("*x*x", "axbx", True), ("a*.c", "a-.c", True),
    ],
)  # fmt: skip
def test_t14_a_pattern_with_stars_takes_each_place_once(said: str, text: str, fits: bool) -> None:
    assert matches(said, text) is fits
    if len(text) < 100:
        assert (re.fullmatch(".*".join(map(re.escape, said.split("*"))), text, re.DOTALL) is not None) is fits


def test_t14_a_pattern_of_tasks_has_a_bounded_length() -> None:
    with pytest.raises(UsageError, match="1,001 characters, and may have 1,000"):
        named(None, "*" * 1_001)  # type: ignore[arg-type]
