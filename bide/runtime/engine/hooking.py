"""Deliveries of hooks: the run, what makes the delivery the same again, and its record are one transaction.

One that made a run is answered with that run for ever after (until it is forgotten). One that was refused or
ignored made nothing: when it comes again it is decided anew, so that a mended DAG takes what its sender retries.
Nothing of it is held in the world.
"""

from __future__ import annotations

from typing import Any

from bide.runtime.engine.triggering import trigger
from bide.runtime.engine.turn import Turn
from bide.runtime.errors import BideError
from bide.runtime.hooks.delivery import ACCEPTED, DUPLICATE, IGNORED, REFUSED, Seen
from bide.runtime.values import storable

DELIVER = "hook_deliver"
KIND = "hook"
"""Runs that deliveries make."""
FORGETS = 64
"""Expired deliveries that go with a new one, at most."""


def deliver(t: Turn, args: dict[str, Any]) -> Any:
    """{hook, said, keys, sent_us, keep_us, dag, params, logical_us, new, refused, ignored} -> how it was taken.

    `refused` is [class of the error, sentence] and `ignored` a sentence, of what was seen before it got here.
    """
    hook: str = args["hook"]
    keys: list[str] = args["keys"]
    seen = _seen(t, hook, keys)
    if seen is not None and seen.outcome == ACCEPTED:
        t.changes.hook_again.append((t.now, seen.delivery_id))
        return _answer(args, DUPLICATE, seen.delivery_id, run_id=seen.run_id, dag=seen.dag)
    outcome, run_id, error, said = ACCEPTED, None, "", ""
    if args.get("refused"):
        outcome, (error, said) = REFUSED, args["refused"]
    elif args.get("ignored"):
        outcome, said = IGNORED, args["ignored"]
    else:
        words = f"by the hook {hook}" + (f", delivery {args['said']}" if args["said"] else "")
        asked = {each: args.get(each) for each in ("dag", "logical_us", "params", "new")}
        try:
            run_id = trigger(t, {**asked, "kind": KIND, "reason": storable(words)})["run_id"]
        except BideError as refusal:  # nothing has changed: who sent it learns why, and it is on record
            outcome, error, said = REFUSED, type(refusal).__name__, str(refusal)
    delivery_id = _record(t, args, seen, outcome, run_id, storable(said))
    done = _answer(args, outcome, delivery_id, run_id=run_id, dag=args.get("dag") or "", reason=said)
    if run_id is not None:
        done["paused"] = bool(t.world.runs[run_id].dag.paused)
    return {**done, "error": error} if error else done


def _seen(t: Turn, hook: str, keys: list[str]) -> Seen | None:
    """What the database knows of these keys, or this very batch does."""
    if not keys:
        return None
    before: Seen | None = t.fact("hook_seen", hook, *keys)
    if before is not None and before.outcome == ACCEPTED:
        return before
    for key in keys:
        row = t.changes.hook_keys.get((hook, key))
        if row is not None:
            at = t.changes.hook_deliveries[row[2]]
            found = Seen(row[2], at[4], at[5], at[3], at[9], at[7])
            before = found if before is None or found.outcome == ACCEPTED else before
    return before


def _record(
    t: Turn, args: dict[str, Any], seen: Seen | None, outcome: str, run_id: int | None, said: str
) -> int:
    hook = args["hook"]
    line = t.world.next_id["event"]
    delivery_id = line if seen is None else seen.delivery_id
    t.journal("hook", delivery_id, run_id, "" if seen is None else seen.outcome, outcome, said or hook)
    t.changes.hook_deliveries[delivery_id] = (
        delivery_id, hook, args["said"], args.get("dag") or "", outcome, run_id, said,
        t.now if seen is None else seen.first_us, t.now, 1 if seen is None else seen.times + 1,
        args.get("sent_us"), t.now + args["keep_us"],
    )  # fmt: skip
    for key in args["keys"]:
        t.changes.hook_keys[hook, key] = (hook, key, delivery_id)
    if not t.changes.hook_forgotten:
        t.changes.hook_forgotten.append((t.now, FORGETS))
    return delivery_id


def _answer(args: dict[str, Any], outcome: str, delivery_id: int, **more: Any) -> dict[str, Any]:
    return {"hook": args["hook"], "delivery": args["said"], "outcome": outcome, "id": delivery_id, **more}


def told(answer: dict[str, Any]) -> tuple[str, str]:
    """(why it was refused, what else became of it), as the audit log is to have it; "" where there is nothing to say."""
    outcome: str = answer["outcome"]
    if outcome == REFUSED:
        return answer["reason"], ""
    if outcome == DUPLICATE:
        return "", f"the same as the delivery that has made run {answer['run_id']}"
    return "", f"ignored: {answer['reason']}" if outcome == IGNORED else ""


def declare(t: Turn, args: dict[str, Any]) -> None:
    """{hooks: [[name, spec as JSON], ...]}: those that are loaded, all of them, for whoever lists them."""
    t.changes.hooks_gone.append(())
    t.changes.hooks_new.extend(tuple(row) for row in args["hooks"])


def reject(t: Turn, args: dict[str, Any]) -> None:
    """{rows: [[hook, kind, count, last_us], ...]}: how much came of no known sender; one row a hook and kind."""
    t.changes.hook_refusals.extend(tuple(row) for row in args["rows"])


VERBS = {DELIVER: deliver, "hooks_declare": declare, "hooks_reject": reject}
