"""What the world holds of the ledger of external effects: the deliveries that may be under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

UNDER_WAY: Final = "waits for delivery"
STOPPING: Final = "its former attempt has not stopped yet"
"""How the reasons begin for which an effect is held up by another delivery, and by no contract."""

if TYPE_CHECKING:
    from bide.runtime.assets.words import Semantics


class Delivery:
    """One that is pending. `corrects` is the delivery whose place it takes, or which it corrects."""

    __slots__ = (
        "asset", "corrects", "delivery_id", "end_us", "instance_id", "key", "limits", "run_id", "semantics", "start_us",
        "target", "version_id", "wrong",
    )  # fmt: skip

    def __init__(
        self, delivery_id: int, version_id: int, instance_id: int, run_id: int, asset: str, span: tuple[int, int],
        target: str, semantics: Semantics, key: str, corrects: int | None, limits: str | None,
    ) -> None:  # fmt: skip
        self.delivery_id = delivery_id
        self.version_id = version_id
        self.instance_id = instance_id
        self.run_id = run_id
        self.asset = asset
        self.start_us, self.end_us = span
        self.target = target
        self.semantics = semantics
        self.key = key
        self.corrects = corrects
        self.limits = limits
        self.wrong = False  # what it is made of was invalidated since


class Ledger:
    """Those that are pending: by the instance that delivers, and by what is delivered, one at a time."""

    __slots__ = ("of", "pending")

    def __init__(self) -> None:
        self.pending: dict[int, Delivery] = {}
        self.of: dict[tuple[str, str, int, int], Delivery] = {}

    def put(self, one: Delivery) -> None:
        self.pending[one.instance_id] = one
        self.of[one.asset, one.target, one.start_us, one.end_us] = one

    def of_version(self, version_id: int) -> Delivery | None:
        """The delivery that is under way as this version."""
        return next((one for one in self.pending.values() if one.version_id == version_id), None)

    def drop(self, one: Delivery) -> None:
        del self.pending[one.instance_id]
        del self.of[one.asset, one.target, one.start_us, one.end_us]
