"""Lines of tasks on their way to a picture."""

from __future__ import annotations

from bide.runtime.cli.heard import Heard


def test_lines_are_taken_once_in_their_order() -> None:
    heard = Heard()
    heard(1, 10, "a\nb")
    heard(2, 11, "")
    assert [(line.attempt_id, line.text) for line in heard.take()[0]] == [(1, "a"), (1, "b"), (2, "")]
    assert heard.take() == ([], 0)


def test_of_a_flood_the_newest_are_kept_and_the_others_counted() -> None:
    heard = Heard(kept=2)
    heard(1, 0, "a\nb\nc")
    lines, missed = heard.take()
    assert ([line.text for line in lines], missed) == (["b", "c"], 1)
    heard(1, 0, "d")
    assert [line.text for line in heard.take()[0]] == ["d"]
