"""docs/coverage.md is what the names of the tests make of it, and every id of this house has a test."""

from __future__ import annotations

from tests.coverage import PAGE, gather, page

FOUND = gather()


def test_the_page_is_what_the_names_of_the_tests_make() -> None:
    assert PAGE.read_text() == page(FOUND), "run `python -m tests.coverage`"


def test_every_id_has_a_test_or_an_issue_that_will_bring_it() -> None:
    assert FOUND.missing == []


def test_names_carry_ids_that_there_are() -> None:
    assert FOUND.unknown == {}
    assert not (set(FOUND.later) | set(FOUND.scope)) - set(FOUND.texts)
