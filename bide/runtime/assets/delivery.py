"""A delivery as the body of an effect sees it: its key, what it is made of, and what was delivered before."""

from __future__ import annotations

from typing import Any

import msgspec


class Previous(msgspec.Struct, frozen=True):
    """The delivery of the same interval that stands: this one takes its place, or corrects it.

    `receipt` is what its body returned; None where a person said that it was delivered. `inputs` are the
    numbers of the versions it was made of. `delivered_us` is in epoch microseconds, UTC.
    """

    delivery_id: int
    key: str
    delivered_us: int
    receipt: Any
    inputs: tuple[int, ...] = ()


class Delivery(msgspec.Struct, frozen=True):
    """What is delivered now. `key` is the same for the same inputs, over attempts, reruns and restarts."""

    delivery_id: int
    target: str
    key: str
    inputs: tuple[int, ...] = ()
    previous: Previous | None = None
