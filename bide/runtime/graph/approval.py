"""`approval`: a node at which a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, TypedDict, Unpack

from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.building import declare
from bide.runtime.graph.code import Code
from bide.runtime.graph.handle import Output
from bide.runtime.graph.options import span, task_fields
from bide.runtime.graph.render import check
from bide.runtime.graph.spec import ApprovalSpec, Lane, TriggerRule
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules.promise import Promise


class ApprovalOptions(TypedDict, total=False):
    """The options that an approval shares with tasks."""

    trigger_rule: TriggerRule | str
    depends_on_past: bool
    fails_run: bool
    deadline_alert: Promise | timedelta | None  # nobody has decided by then: an alert, and nothing else
    on_failure: object  # a task or a call that starts when it is denied
    owner: str
    doc: str


_KNOWN: Final = frozenset(ApprovalOptions.__annotations__)
_OUTCOMES: Final = ("fail", "skip")


def approval(
    name: str,
    *,
    prompt: str = "",
    who: Sequence[str] | str = (),
    expires: timedelta = timedelta(days=1),
    on_reject: str = "fail",
    **options: Unpack[ApprovalOptions],
) -> Output:
    """A node that waits until a person approves: no body, no slot, and it survives every restart.

    `prompt` says what is asked for, a template over the run (`"release {interval.start:%Y-%m-%d}?"`); `who` are
    the names that may decide, nobody named: anybody. What nobody has decided after `expires` is denied, and
    what is denied fails, or is skipped with `on_reject="skip"`; it is not asked again by itself. Its output
    is `{"approval": 12, "by": "ann", "why": "..."}`.
    """
    owner = f"the approval {name!r}"
    for option in options:
        if option in ("timeout", "deadline"):
            raise GraphError(
                f"{owner} has no option {option!r}, as nothing of it runs: expires=timedelta(hours=12) is how long "
                "people have, and then it is denied"
            )
        if option not in _KNOWN:
            known = (*_KNOWN, "prompt", "who", "expires", "on_reject")
            raise GraphError(f"{owner} has no option {option!r}{suggestion(option, known)}")
    if on_reject not in _OUTCOMES:
        raise GraphError(f"{owner}: on_reject is {on_reject!r}, and must be one of {', '.join(_OUTCOMES)}")
    spec = ApprovalSpec(
        prompt=checked_prompt(owner, prompt),
        who=names(owner, who),
        expires_us=expiry_us(owner, expires),
        on_reject=on_reject,
    )
    fields: dict[str, Any] = {**task_fields(owner, options), "lane": Lane.PERSON, "approval": spec}
    return declare(name, fields=fields, code=Code()).output


def checked_prompt(owner: str, prompt: object) -> str:
    """A prompt that can be filled in."""
    if not isinstance(prompt, str):
        raise GraphError(f"{owner}: prompt is {prompt!r}, and must be a string")
    try:
        check(prompt)
    except UsageError as error:
        raise GraphError(f"{owner}: {error}") from None
    return prompt


def names(owner: str, who: object) -> tuple[str, ...]:
    """Who may decide."""
    given = (who,) if isinstance(who, str) else who
    if not isinstance(given, Sequence) or not all(isinstance(one, str) and one.strip() for one in given):
        raise GraphError(f'{owner}: who is {who!r}, and must be names: who=["ann", "bob"]')
    return tuple(given)


def expiry_us(owner: str, expires: object) -> int:
    """How long people have."""
    if expires is None:
        raise GraphError(f"{owner}: expires is None, and nobody is waited for for ever: give a timedelta")
    found = span(expires, f"{owner}: expires")
    if found <= 0:
        raise GraphError(f"{owner}: expires is {expires}, and must be above zero")
    return found
