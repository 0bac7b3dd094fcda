"""Which ids a run and its attempts have in traces: made of the database's and their own, so a restart finds the same. Pure."""

from __future__ import annotations

from hashlib import blake2b


def trace_id(database: str, run_id: int) -> int:
    """Of a run: 128 bits, never 0.

    >>> trace_id("a", 1) == trace_id("a", 1) != trace_id("b", 1)
    True
    """
    return _number(16, f"{database}/run/{run_id}")


def run_span(database: str, run_id: int, reopened: int = 0) -> int:
    """The span of a run, 64 bits; `reopened`: how often it was opened again before, each time being a span."""
    return _number(8, f"{database}/run/{run_id}/{reopened}")


def attempt_span(database: str, attempt_id: int) -> int:
    """The span of an attempt."""
    return _number(8, f"{database}/attempt/{attempt_id}")


def traceparent(trace: int, span: int, sampled: bool) -> str:
    """As W3C Trace Context has it.

    >>> traceparent(1, 2, True)
    '00-00000000000000000000000000000001-0000000000000002-01'
    """
    return f"00-{trace:032x}-{span:016x}-{int(sampled):02x}"


def _number(size: int, text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size, person=b"bide").digest()) or 1
