"""A version has come or changed its state: whoever was refused for it asks again, in the commit after.

Instances that wait before their start and versions that are held back look at assets: those they would
read, and their own. Nothing polls: `versions_changed` wakes them, a few at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bide.runtime.engine.messages import GuardAsked, PublicationAsked

if TYPE_CHECKING:
    from bide.runtime.engine.assets.state import Assets
    from bide.runtime.engine.turn import Turn

Looker = GuardAsked | PublicationAsked
"""Who looks, as the input by which it asks again."""


def versions_changed(t: Turn, asset: str) -> None:
    """To be called with every change of a version's state. What is known of the asset is older than that."""
    t.touched[asset] = None
    lookers = t.world.assets.looking.get(asset)
    if lookers:
        t.later(_AskAgain(lookers))


class _AskAgain:
    __slots__ = ("left",)

    def __init__(self, lookers: Iterable[Looker]) -> None:
        self.left = deque(lookers)

    def __call__(self, t: Turn) -> bool:
        looks = t.world.assets.looks
        while self.left:
            if t.budget <= 0:
                return False
            each = self.left.popleft()
            if each in looks:
                t.budget -= 1
                t.ask(each)
        return True


def looks_at(assets: Assets, who: Looker, names: Iterable[str]) -> None:
    """From now on `who` asks again when one of these assets changes; what it looked at before counts no more."""
    wanted = tuple(dict.fromkeys(names))
    if assets.looks.get(who) == wanted:
        return
    looks_away(assets, who)
    assets.looks[who] = wanted
    for name in wanted:
        assets.looking.setdefault(name, {})[who] = None


def looks_away(assets: Assets, who: Looker) -> None:
    """It waits for nothing any more."""
    for name in assets.looks.pop(who, ()):
        of = assets.looking[name]
        del of[who]
        if not of:
            del assets.looking[name]
