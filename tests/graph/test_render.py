"""Templates: what they can name, and all that they cannot."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.errors import UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.render import check, render

FACTS = Facts(
    dag="orders", task="wait", run_id=12, map_index=-1, attempt=2,
    logical_us=1_767_222_000_000_000, start_us=1_767_222_000_000_000, end_us=1_767_308_400_000_000,
    scheduled_us=1_767_315_600_000_000, tz="Europe/Berlin",
    params={"model": "sales", "nested": {"deep": [1]}, "evil": "{run_id}", "with space": 1},
)  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("drops/{interval.start:%Y-%m-%d}.csv", "drops/2026-01-01.csv"),
        ("{interval.start}", "2026-01-01T00:00:00+01:00"),
        ("{interval}", "2026-01-01T00:00:00+01:00/2026-01-02T00:00:00+01:00"),
        ("{logical_date:%d.%m.} {scheduled_for:%H:%M}", "01.01. 02:00"),
        ("{dag}/{task}/{run_id:05}/{attempt}/{map_index}", "orders/wait/00012/2/-1"),
        ("{params.model} {params[model]} {params[with space]}", "sales sales 1"),
        ("{params.nested.deep}", "[1]"),
        ("{{literal}} {dag!r:>10}", "{literal}   'orders'"),
        ("{params.evil}", "{run_id}"),
    ],
)
def test_s0_14a_a_template_is_filled_in(template: str, text: str) -> None:
    check(template)
    assert render(template, FACTS) == text


@pytest.mark.parametrize(
    "template",
    [
        "{interval.begin}", "{run}", "{}", "{0}", "{dag.__class__}", "{params.__class__}x{params.model.__class__}",
        "{interval.start.__class__}", "{interval.start.year}", "{interval[0]}", "{logical_date.tzinfo}",
        "{__import__}", "{dag!a}", "{run_id:{attempt}}", "{run_id:99999999}", "{dag", "dag}", "{params.}",
        "{params[a}", "{params._x}", "{interval.}",
    ],
)  # fmt: skip
def test_anything_else_is_refused_and_the_template_is_named(template: str) -> None:
    with pytest.raises(UsageError) as raised:
        check(template)
    assert repr(template) in str(raised.value)
    with pytest.raises(UsageError):
        render(template, FACTS)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError) as raised:
        check("{inerval.start}")
    assert "names 'inerval.start', and there is interval.start, interval.end, logical_date" in str(
        raised.value
    )


def test_an_unknown_parameter_lists_those_of_the_run() -> None:
    check("{params.modle}")
    with pytest.raises(
        UsageError, match=r"names 'params.modle', and params of this run has the keys 'model'"
    ):
        render("{params.modle}", FACTS)


def test_a_format_that_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="the format 'd' of 'dag'"):
        render("{dag:d}", FACTS)


@given(st.text(alphabet="{}[].:!_ adginprstuv0%Y", max_size=24))
def test_no_text_brings_out_anything_but_a_string_or_a_usage_error(template: str) -> None:
    result: Any
    try:
        result = render(template, FACTS)
    except UsageError as error:
        result = str(error)
    assert isinstance(result, str)
    assert "object at 0x" not in result
