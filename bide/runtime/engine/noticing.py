"""What becomes of notices, as rows: the sender says what it has planned and found out, people try one again.

Notices stand in the database alone: nothing of the world depends on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bide.runtime.engine.messages import Reply
from bide.runtime.engine.notices import NoticeMade, NoticesMoved
from bide.runtime.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn

PENDING, SENDING, SENT, FAILED, GONE, MOOT = "pending", "sending", "sent", "failed", "gone", "moot"
"""States of a notice. Gone: its receiver said that it is; moot: nobody has to be told any more."""
ENDS: Final = frozenset({SENT, FAILED, GONE, MOOT})
STATES: Final = (PENDING, SENDING, SENT, FAILED, GONE, MOOT)
TEST: Final = "test"


def moved(t: Turn, e: NoticesMoved) -> None:
    """What the sender has planned, tried and learnt, in one transaction; it is told when that is committed."""
    c = t.changes
    numbers = [make(t, each) for each in e.new]
    c.notices_joined += e.joined
    c.notices_alerts += [
        (numbers[-1 - notice] if notice < 0 else notice, alert) for notice, alert in e.alerts
    ]
    for row in e.set:
        c.notices_set.append(row)
        if row[0] in ENDS:
            t.journal("notice", row[-1], None, SENDING, row[0], row[5])
    for route, target, reason in e.off:
        c.notices_off.append((route, target, t.now, reason))
        c.notices_gone.append((t.now, reason, route))
        t.journal("route", 0, None, "on", "off", f"{route}: {reason}")
    c.notices_on += [(route,) for route in e.on]
    if e.routed is not None:
        c.notices_routed.append((1, e.routed))
    if e.token:
        t.effects.append(Reply(e.token, numbers))


def make(t: Turn, each: NoticeMade) -> int:
    number = t.world.take_id("notice")
    t.changes.notices_new.append(
        (number, each.route, each.key, each.kind, each.severity, PENDING, each.count, each.title, t.now, each.from_us,
         each.next_us)
    )  # fmt: skip
    return number


# --- what people do --------------------------------------------------------------------------------


def test(t: Turn, args: dict[str, Any]) -> Any:
    """{route} -> {notice_id}: a notice that says nothing but that it has arrived. Its route is on again."""
    route = args["route"]
    title = test_words(route)
    made = NoticeMade(route, f"{TEST}:{t.world.next_id['notice']}", TEST, "info", title, t.now, t.now)
    number = make(t, made)
    t.changes.notices_on.append((route,))
    t.journal("notice", number, None, "", PENDING, title)
    return {"notice_id": str(number)}


def test_words(route: str) -> str:
    return f"a test of the route {route}: whoever reads it is told of what it takes"


def again(t: Turn, args: dict[str, Any]) -> Any:
    """{notice_id | None, route | None} -> {notices}: those that had failed are tried once more, at once."""
    number, route = args.get("notice_id"), args.get("route")
    found: list[tuple[int, str, str]] = t.fact("notices_to_retry", number, route)
    if number is not None:
        if not found:
            raise NotFoundError(f"there is no notice {number}: `bide notify list` lists them")
        state = found[0][2]
        if state in (SENT, MOOT, SENDING):
            raise RefusedError(
                f"notice {number} is {state}: one that is pending, failed or gone is tried again"
            )
    for notice_id, of, was in found:
        t.changes.notices_again.append((t.now, t.now, notice_id))
        t.journal("notice", notice_id, None, was, PENDING, f"tried again over {of}")
    for of in dict.fromkeys([*(each[1] for each in found), *([route] if route else [])]):
        t.changes.notices_on.append((of,))
    return {"notices": [str(each[0]) for each in found]}


VERBS: Final[dict[str, Callable[[Turn, dict[str, Any]], Any]]] = {
    "notice_test": test,
    "notice_retry": again,
}
