"""The families of states are told apart by whoever does not see red or green: by computed differences, and without colour at all.

Colours are read from the one sheet; how they look to somebody is simulated after Machado, Oliveira and Fernandes (2009), and
differences are those of CIE 1976 in L*a*b*, of which about 2.3 can just be seen.
"""

from __future__ import annotations

import math
import re
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest

UI: Final = Path(__file__).parents[2] / "ui" / "src"
FAMILIES: Final = ("good", "bad", "busy", "waiting", "idle", "held", "warned")
KINDS: Final = {
    "all": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
    ),
}  # fmt: skip
"""How much of linear red, green and blue is seen as red, green and blue."""
JUST_SEEN: Final = 2.3
OPPOSED: Final = (("good", "bad"), ("good", "warned"), ("good", "held"), ("busy", "bad"), ("good", "waiting"))
"""What must not be taken for each other at a glance."""
Colour = tuple[float, float, float]


def themes() -> dict[str, dict[str, str]]:
    sheet = (UI / "style.css").read_text()
    light, dark, again = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r"\{[^{}]*--good:[^{}]*\}", sheet)
    ]
    assert dark == again, "the dark theme is the same whether it is chosen or the system's"
    return {"light": light, "dark": dark}


THEMES: Final = themes()


def linear(colour: str) -> Colour:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue))  # type: ignore[return-value]


def seen(colour: str, kind: str) -> Colour:
    rgb = linear(colour)
    return tuple(min(1.0, max(0.0, sum(a * b for a, b in zip(row, rgb, strict=True)))) for row in KINDS[kind])  # type: ignore[return-value]


def lab(rgb: Colour) -> Colour:
    r, g, b = rgb
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883
    fx, fy, fz = (c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def difference(one: str, other: str, kind: str) -> float:
    a, b = lab(seen(one, kind)), lab(seen(other, kind))
    return math.dist(a, b)


def contrast(ink: str, ground: str) -> float:
    one, other = sorted((0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(ink), linear(ground))))
    return (other + 0.05) / (one + 0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theme", THEMES)
def test_no_two_families_of_states_look_the_same_to_anybody(theme: str, kind: str) -> None:
    colours = THEMES[theme]
    near = {
        (one, other): round(difference(colours[one], colours[other], kind), 1)
        for one, other in combinations(FAMILIES, 2)
    }
    assert {pair: d for pair, d in near.items() if d < 2 * JUST_SEEN} == {}
    assert {pair: d for pair, d in near.items() if pair in OPPOSED and d < 5 * JUST_SEEN} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_words_of_states_read_on_their_ground_and_on_paper(theme: str) -> None:
    colours = THEMES[theme]
    for family in FAMILIES:
        for ground in (colours[f"{family}-bg"], colours["paper"], colours["ground"]):
            assert contrast(colours[family], ground) >= 4.5, (family, ground)


def test_a_state_is_told_by_sign_and_word_without_any_colour() -> None:
    """No two states of a family have both the same sign; no two states at all have the same word."""
    text = (UI / "lib" / "states.ts").read_text()
    states = re.findall(r"^  (\w+): of\('([^']+)', '(\w+)', '(\w+)'\)", text, re.MULTILINE)
    assert len(states) >= 30
    assert {family for _, _, family, _ in states} == set(FAMILIES)
    of_tasks = [
        "success",
        "failed",
        "running",
        "deferred",
        "queued",
        "pending",
        "mapped",
        "up_for_retry",
        "awaiting_approval",
        "blocked",
        "lost",
        "skipped",
        "upstream_failed",
        "cancelled",
    ]
    by_name = {name: (word, sign) for name, word, _, sign in states}
    assert len({by_name[name][1] for name in of_tasks}) == len(of_tasks), "one sign for each state of a task"
    assert len({word for word, _ in by_name.values()}) == len(by_name)
