"""How a long answer is read page by page: what of it is on a page, where the next one begins, how pages are put together.

A page begins behind the last item of the page before, which `before` (over HTTP `cursor`) names. Where an answer is a
struct, lists in it are read so (`Route.parts`). A listing that can also be read onwards (`Route.onward`) gives its
last items without a place to begin at, and then the page before these comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from bide.runtime.service.table import Operation

T = TypeVar("T")


def page_of(of: Operation, given: Mapping[str, Any], found: Any, limit: int) -> tuple[Any, dict[str, str]]:
    """What is on a page of an answer that may have one item too many, and what the next page is asked with beside."""
    items = items_of(of, found)
    if len(items) <= limit:
        return found, {}
    if _backwards(of, given):
        kept = items[-limit:]
        return kept, {"before": getattr(kept[0], of.route.pages)}
    kept = items[:limit]
    if of.route.parts:
        names = {getattr(each, of.route.pages) for each in kept}
        found = msgspec.structs.replace(
            found,
            **{
                part: tuple(each for each in getattr(found, part) if getattr(each, field) in names)
                for part, field in of.route.parts.items()
            },
        )
    else:
        found = kept
    return found, {of.route.onward or "before": getattr(kept[-1], of.route.pages)}


def next_of(of: Operation, given: Mapping[str, Any], found: Any) -> dict[str, str]:
    """What the page after all that was found is asked with beside."""
    items = items_of(of, found)
    if _backwards(of, given):
        return {"before": getattr(items[0], of.route.pages)}
    return {of.route.onward or "before": getattr(items[-1], of.route.pages)}


def joined(of: Operation, given: Mapping[str, Any], found: Any, page: Any) -> Any:
    """What was found and the page after it, as one answer."""
    if of.route.parts:
        return msgspec.structs.replace(
            found, **{part: (*getattr(found, part), *getattr(page, part)) for part in of.route.parts}
        )
    return page + found if _backwards(of, given) else found + page


def items_of(of: Operation, found: Any) -> Any:
    """The items by which an answer is read page by page."""
    return getattr(found, next(iter(of.route.parts))) if of.route.parts else found


def behind(found: Sequence[T], name: Callable[[T], str], before: str | None, limit: int) -> list[T]:
    """A page of what is read whole: what follows the item of that name; where it is gone, of the names after it.

    >>> behind(["a", "b", "d"], str, "a", 1), behind(["a", "b", "d"], str, "c", 9)
    (['b'], ['d'])
    """
    if before is None:
        return list(found[:limit])
    at = next((n for n, each in enumerate(found, 1) if name(each) == before), None)
    rest = found[at:] if at is not None else [each for each in found if name(each) > before]
    return list(rest[:limit])


def _backwards(of: Operation, given: Mapping[str, Any]) -> bool:
    return bool(of.route.onward) and given[of.route.onward] is None
