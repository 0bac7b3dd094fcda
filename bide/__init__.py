"""bide: an asyncio DAG orchestrator in one process, durable on SQLite.

The public names, nothing else. Each is loaded when it is first used: importing bide loads neither
httpx nor aiokafka nor SQLite.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bide.runtime.assets import Asset as Asset
    from bide.runtime.assets import Check as Check
    from bide.runtime.assets import Contract as Contract
    from bide.runtime.assets import Decision as Decision
    from bide.runtime.assets import ExactVersion as ExactVersion
    from bide.runtime.assets import Freshness as Freshness
    from bide.runtime.assets import Latest as Latest
    from bide.runtime.assets import Quality as Quality
    from bide.runtime.assets import SameInterval as SameInterval
    from bide.runtime.assets import SchemaCompat as SchemaCompat
    from bide.runtime.assets.delivery import Delivery as Delivery
    from bide.runtime.assets.gate import gate as gate
    from bide.runtime.assets.staged import Staged as Staged
    from bide.runtime.errors import BideError as BideError
    from bide.runtime.errors import FailTask as FailTask
    from bide.runtime.errors import Skip as Skip
    from bide.runtime.errors import SkipTask as SkipTask
    from bide.runtime.executor.context import Context as Context
    from bide.runtime.executor.context import current as current
    from bide.runtime.graph.approval import approval as approval
    from bide.runtime.graph.builder import LAST_ADDED as LAST_ADDED
    from bide.runtime.graph.builder import TaskChain as TaskChain
    from bide.runtime.graph.builder import TaskGraphBuilder as TaskGraphBuilder
    from bide.runtime.graph.call import call as call
    from bide.runtime.graph.command import shell as shell
    from bide.runtime.graph.dag import Dag as Dag
    from bide.runtime.graph.dag import dag as dag
    from bide.runtime.graph.effect import effect as effect
    from bide.runtime.graph.failure import Failure as Failure
    from bide.runtime.graph.groups import group as group
    from bide.runtime.graph.mapping import unmapped as unmapped
    from bide.runtime.graph.params import Param as Param
    from bide.runtime.graph.spec import TriggerRule as TriggerRule
    from bide.runtime.graph.task import branch as branch
    from bide.runtime.graph.task import task as task
    from bide.runtime.schedules import AnyOf as AnyOf
    from bide.runtime.schedules import Cron as Cron
    from bide.runtime.schedules import Every as Every
    from bide.runtime.schedules import Manual as Manual
    from bide.runtime.schedules import On as On
    from bide.runtime.schedules import OnAssets as OnAssets
    from bide.runtime.schedules import within as within
    from bide.runtime.schedules.promise import by as by
    from bide.runtime.service.limits import Budget as Budget
    from bide.runtime.service.limits import Pool as Pool
    from bide.runtime.service.runtime import Runtime as Runtime
    from bide.runtime.values import Secret as Secret

_HOME = {
    "AnyOf": "bide.runtime.schedules",
    "Asset": "bide.runtime.assets",
    "LAST_ADDED": "bide.runtime.graph.builder",
    "Contract": "bide.runtime.assets",
    "ExactVersion": "bide.runtime.assets",
    "Freshness": "bide.runtime.assets",
    "Latest": "bide.runtime.assets",
    "Quality": "bide.runtime.assets",
    "SameInterval": "bide.runtime.assets",
    "SchemaCompat": "bide.runtime.assets",
    "Check": "bide.runtime.assets",
    "Staged": "bide.runtime.assets.staged",
    "gate": "bide.runtime.assets.gate",
    "Decision": "bide.runtime.assets",
    "BideError": "bide.runtime.errors",
    "Budget": "bide.runtime.service.limits",
    "Context": "bide.runtime.executor.context",
    "Cron": "bide.runtime.schedules",
    "Dag": "bide.runtime.graph.dag",
    "Every": "bide.runtime.schedules",
    "FailTask": "bide.runtime.errors",
    "Failure": "bide.runtime.graph.failure",
    "Manual": "bide.runtime.schedules",
    "On": "bide.runtime.schedules",
    "OnAssets": "bide.runtime.schedules",
    "Param": "bide.runtime.graph.params",
    "Pool": "bide.runtime.service.limits",
    "Runtime": "bide.runtime.service.runtime",
    "Secret": "bide.runtime.values",
    "Skip": "bide.runtime.errors",
    "SkipTask": "bide.runtime.errors",
    "TaskChain": "bide.runtime.graph.builder",
    "TaskGraphBuilder": "bide.runtime.graph.builder",
    "TriggerRule": "bide.runtime.graph.spec",
    "approval": "bide.runtime.graph.approval",
    "branch": "bide.runtime.graph.task",
    "by": "bide.runtime.schedules.promise",
    "call": "bide.runtime.graph.call",
    "current": "bide.runtime.executor.context",
    "dag": "bide.runtime.graph.dag",
    "Delivery": "bide.runtime.assets.delivery",
    "effect": "bide.runtime.graph.effect",
    "group": "bide.runtime.graph.groups",
    "shell": "bide.runtime.graph.command",
    "task": "bide.runtime.graph.task",
    "within": "bide.runtime.schedules",
    "unmapped": "bide.runtime.graph.mapping",
}

__version__ = "0.1.0"
__all__ = [
    "LAST_ADDED",
    "AnyOf",
    "Asset",
    "BideError",
    "Budget",
    "Check",
    "Context",
    "Contract",
    "Cron",
    "Dag",
    "Decision",
    "Delivery",
    "Every",
    "ExactVersion",
    "FailTask",
    "Failure",
    "Freshness",
    "Latest",
    "Manual",
    "On",
    "OnAssets",
    "Param",
    "Pool",
    "Quality",
    "Runtime",
    "SameInterval",
    "SchemaCompat",
    "Secret",
    "Skip",
    "SkipTask",
    "Staged",
    "TaskChain",
    "TaskGraphBuilder",
    "TriggerRule",
    "approval",
    "branch",
    "by",
    "call",
    "current",
    "dag",
    "effect",
    "gate",
    "group",
    "shell",
    "task",
    "unmapped",
    "within",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bide' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
