"""T14 for the network triggers: whatever is written or answered, one kind of error, and no hang."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bide.runtime.errors import UsageError
from bide.triggers import decode_trigger, encode_trigger
from bide.triggers.base import Fail, Fire, LookFailed, NotYet
from bide.triggers.http import HttpSeen, HttpTrigger
from bide.triggers.http_match import at_path, parsed, path_steps, status_ranges
from bide.triggers.http_policy import HttpPolicy, why_refused
from bide.triggers.http_source import _next_hop, _retry_at
from bide.triggers.kafka import KafkaOffsetTrigger, KafkaSeen, TopicSeen
from bide.triggers.objects import Listing, ObjectSeen, ObjectTrigger

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
urls = st.one_of(
    st.text(max_size=40),
    st.text("htps:/@[].%0123456789abcdefx-_?#\\ \t", max_size=30).map(lambda rest: f"http://{rest}"),
    st.text(max_size=20).map(lambda rest: f"https://{rest}"),
)


@given(urls)
@example("http://[::1]x/")
@example("http://\u2100.example/")
@example("http://a:80:80/")
@example("http://[fe80::1%25eth0]/")
@settings(max_examples=400)
def test_a_url_is_usable_or_refused_in_words(url: str) -> None:
    try:
        trigger = HttpTrigger(url=url)
    except UsageError:
        return
    assert decode_trigger(encode_trigger(trigger)) == trigger
    trigger.source_key()
    trigger.describe()
    why_refused(url, HttpPolicy())
    why_refused(url, HttpPolicy(allow=("*.example", "10.0.0.0/8")))


@given(urls)
@settings(max_examples=300)
def test_a_redirect_leads_on_or_is_a_failed_look(target: str) -> None:
    try:
        url = _next_hop("http://h/a", target)
    except LookFailed:
        return
    assert url.startswith(("http://", "https://", "HTTP", "Http"))


@given(st.text(max_size=30), anything)
@example("a[0].b", {"a": [{"b": 1}]})
@settings(max_examples=300)
def test_a_path_is_read_or_refused_and_never_fails_on_a_document(path: str, document: Any) -> None:
    try:
        steps = path_steps(path)
    except UsageError:
        return
    at_path(document, steps)


@given(anything)
@settings(max_examples=200)
def test_statuses_are_read_or_refused(written: Any) -> None:
    try:
        ranges = status_ranges(written, "expect_status")
    except UsageError:
        return
    assert all(100 <= low <= high <= 599 for low, high in ranges)


@given(st.text(max_size=40) | st.integers().map(str))
@settings(max_examples=300)
def test_a_retry_after_is_an_instant_ahead_or_nothing(header: str) -> None:
    now = 1_781_481_600_000_000
    at = _retry_at(header, now)
    assert at is None or now <= at <= now + 7 * 86_400 * 1_000_000


@given(
    st.integers(100, 599), st.text(max_size=200) | anything.map(lambda one: msgspec.json.encode(one).decode())
)
@settings(max_examples=200)
def test_any_answer_gets_a_verdict(status: int, text: str) -> None:
    seen = HttpSeen(status=status, url="http://h/", headers={"content-type": "application/json"}, text=text)
    for trigger in (
        HttpTrigger(url="http://h/"),
        HttpTrigger(url="http://h/", json_path="a[0]", contains="x", fail_on="5xx"),
    ):
        verdict = trigger.judge(seen, None, 0)
        assert isinstance(verdict, Fire | Fail | NotYet)
        if isinstance(verdict, Fire):
            msgspec.json.encode(verdict.event)
    assert parsed(text) is not None or text.strip() == "null"


@given(
    st.dictionaries(st.integers(0, 5), st.integers(0, 20), max_size=6),
    st.sets(st.integers(6, 8), max_size=2),
    st.integers(0, 60),
    st.sampled_from(["min", "any", "sum"]),
)
@settings(max_examples=400)
def test_all_partitions_are_judged_as_if_each_was_named(
    ends: dict[int, int], silent: set[int], offset: int, across: Any
) -> None:
    values = ends.values()
    topic = TopicSeen(
        ends=ends,
        silent=dict.fromkeys(silent, "has no leader"),
        lowest=min(values, default=-1),
        highest=max(values, default=-1),
        total=sum(values),
    )
    seen = KafkaSeen(topics={"t": topic})
    verdict = KafkaOffsetTrigger(bootstrap="h", topic="t", offset=offset, across=across).judge(seen, None, 0)
    met = (
        bool(ends)
        and {
            "min": not silent and min(values, default=-1) >= offset,
            "any": max(values, default=-1) >= offset,
            "sum": sum(values) >= offset,
        }[across]
    )
    assert isinstance(verdict, Fire) is met
    if named := tuple(sorted({*ends, *silent})):
        trigger = KafkaOffsetTrigger(bootstrap="h", topic="t", offset=offset, across=across, partitions=named)
        assert trigger.judge(seen, None, 0) == verdict


@given(st.text("ab*?[]!/.-^\\", max_size=12), st.text("ab/.[]", max_size=8))
@example("[!a]*", "b")
@example("[]", "a")
@example("[a-", "a")
@example("[z-a]", "a")
@settings(max_examples=500)
def test_any_glob_is_judged(key: str, name: str) -> None:
    try:
        trigger = ObjectTrigger(url=f"s3://b/{key}")
    except UsageError:
        return
    verdict = trigger.judge(Listing({name: ObjectSeen(name, 1, 1)}), None, 0)
    assert isinstance(verdict, Fire | NotYet)
    assert key.startswith(trigger.prefix)
