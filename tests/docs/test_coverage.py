"""docs/coverage.md is what the names of the tests make of it, and every id of this house has a test."""

from __future__ import annotations

import pytest

from tests.coverage import PAGE, Coverage, gather, page


@pytest.fixture(scope="module")
def found() -> Coverage:
    return gather()


def test_the_page_is_what_the_names_of_the_tests_make(found: Coverage) -> None:
    assert PAGE.read_text() == page(found), "run `python -m tests.coverage`"


def test_every_id_has_a_test_or_an_issue_that_will_bring_it(found: Coverage) -> None:
    assert found.missing == []


def test_names_carry_ids_that_there_are(found: Coverage) -> None:
    assert found.unknown == {}
    assert not (set(found.later) | set(found.scope)) - set(found.texts)
