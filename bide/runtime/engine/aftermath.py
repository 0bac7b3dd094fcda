"""What comes of an input that was refused alone: what it was about ends, and whoever waits is told.

A refusal is a bug of bide, or rows that no store takes. Pure: it says what to decide instead, and
what to tell at once.
"""

from __future__ import annotations

import msgspec

from bide.runtime.engine.messages import (
    Answer,
    AssetAnswered,
    AssetAsked,
    AssetCalled,
    AttemptEnded,
    BackfillDue,
    BuildFailed,
    Command,
    Effect,
    Expanded,
    ExpandFailed,
    Failure,
    GuardAsked,
    Input,
    PastAsked,
    ProcessStarted,
    PublicationAsked,
    Reply,
    RunsAsked,
    StepDone,
    Stop,
    TriggerBuilt,
    Unanswered,
    WaitAsked,
    WaitFailed,
    WaitFired,
    WaitLooked,
)
from bide.runtime.engine.notices import NoticesMoved
from bide.runtime.engine.states import AttemptState
from bide.runtime.errors import RefusedError


def aftermath(culprit: Input, why: str) -> tuple[Input | None, Effect | None]:
    """(what to decide in its place, what to carry out). What is decided in a place has no aftermath."""
    reason = f"rejected as a bug of bide: {why}"
    match culprit:
        case Command():
            return None, Reply(culprit.token, None, RefusedError.__name__, reason)
        case NoticesMoved():
            return None, Reply(culprit.token, None, RefusedError.__name__, reason)
        case TriggerBuilt():
            return BuildFailed(culprit.instance_id, Failure(reason, final=True)), None
        case Expanded():
            failure = Failure(reason, final=True)
            return ExpandFailed(culprit.instance_id, failure, culprit.ticket), None
        case WaitAsked():
            return None, Answer(culprit.attempt_id, culprit.key, None, reason)
        case StepDone() | ProcessStarted():
            failed = AttemptEnded(
                culprit.attempt_id, AttemptState.FAILED, failure=Failure(reason, final=True)
            )
            return failed, Stop(culprit.attempt_id, AttemptState.CANCELLED, reason)
        case AttemptEnded(state=AttemptState.FAILED, failure=Failure() as own):
            # it would have failed anyway: it is tried again as that failure would have been
            failure = msgspec.structs.replace(own, message=reason)
            return AttemptEnded(culprit.attempt_id, AttemptState.FAILED, failure=failure), None
        case AttemptEnded():
            failed = AttemptEnded(
                culprit.attempt_id, AttemptState.FAILED, failure=Failure(reason, final=True)
            )
            return failed, None
        case AssetCalled():
            return None, AssetAnswered(culprit.attempt_id, culprit.call, error=reason)
        case WaitFired() | WaitLooked():
            return WaitFailed(culprit.wait_id, reason), None
        case PastAsked() | RunsAsked() | AssetAsked() | BackfillDue() | GuardAsked() | PublicationAsked():
            return Unanswered(culprit, reason), None
        case _:
            return None, None
