"""What texts in answers are: instants, numbers of things, words of a state. It stands in the OpenAPI document alone.

Nothing is checked by it when an answer is read: a newer service may have a word more.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from bide.runtime.assets.words import VersionState
from bide.runtime.engine.states import (
    ApprovalState,
    AttemptState,
    BackfillState,
    DeliveryState,
    IntervalState,
    PlanState,
    RunState,
    State,
)

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Id = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9]+$"})]
RunWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, RunState))})]
TaskWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, State))})]
AttemptWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, AttemptState))})]
BackfillWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, BackfillState))})]
IntervalWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, IntervalState))})]
PlanWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, PlanState))})]
ApprovalWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, ApprovalState))})]
EffectWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, DeliveryState))})]
VersionWord = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, VersionState))})]
AlertWord = Annotated[str, Meta(extra_json_schema={"enum": ["new", "taken", "acked"]})]
NoticeWord = Annotated[
    str, Meta(extra_json_schema={"enum": ["pending", "sending", "sent", "failed", "gone", "moot"]})
]
DeliveredWord = Annotated[str, Meta(extra_json_schema={"enum": ["accepted", "ignored", "refused"]})]
OpenWord = Annotated[str, Meta(extra_json_schema={"enum": ["open", "closed"]})]
OutcomeWord = Annotated[str, Meta(extra_json_schema={"enum": ["ok", "refused"]})]
TokenWord = Annotated[str, Meta(extra_json_schema={"enum": ["live", "expired", "revoked"]})]
ScopeWord = Annotated[str, Meta(extra_json_schema={"enum": ["read", "run", "admin"]})]
PoolWord = Annotated[
    str, Meta(extra_json_schema={"enum": ["slots", "pool", "in_flight", "budget", "dag", "task", "runs"]})
]
QueueWord = Annotated[str, Meta(extra_json_schema={"enum": ["live", "backfill"]})]
ActionWord = Annotated[str, Meta(extra_json_schema={"enum": ["going", "done"]})]
