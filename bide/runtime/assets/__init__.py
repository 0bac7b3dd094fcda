"""Assets: what tasks make and others use, and what is safe to use. Pure: plain data in, plain data out."""

from __future__ import annotations

from bide.runtime.assets.asset import AllAssets, AnyAsset, Asset, AssetSpec, Condition, holds, names_of
from bide.runtime.assets.blast import BlastRadius, Impact, Impacted, Invalidation
from bide.runtime.assets.contract import (
    Contract,
    ContractSpec,
    ExactVersion,
    Freshness,
    Latest,
    Quality,
    SameInterval,
    SchemaCompat,
)
from bide.runtime.assets.evaluate import conclude, evaluate, evaluate_all, inlet, replay
from bide.runtime.assets.gate import Check, Gate, GateSpec
from bide.runtime.assets.impact import Made, Use
from bide.runtime.assets.judged import (
    Asked,
    Checked,
    Decision,
    Evidence,
    Found,
    Issue,
    Observed,
    Phase,
    Used,
    Version,
)
from bide.runtime.assets.plan import Known, differences, plan_of
from bide.runtime.assets.policy import DEFAULT, Policy, resolve, severity_of
from bide.runtime.assets.producing import Producer, Work
from bide.runtime.assets.reading import Wanted, wanted
from bide.runtime.assets.rerun import RerunPlan, RerunStep
from bide.runtime.assets.spreading import Hop, spread

__all__ = [
    "DEFAULT",
    "AllAssets",
    "AnyAsset",
    "Asked",
    "Asset",
    "AssetSpec",
    "BlastRadius",
    "Check",
    "Checked",
    "Condition",
    "Contract",
    "ContractSpec",
    "Decision",
    "Evidence",
    "ExactVersion",
    "Found",
    "Freshness",
    "Gate",
    "GateSpec",
    "Hop",
    "Impact",
    "Impacted",
    "Invalidation",
    "Issue",
    "Known",
    "Latest",
    "Made",
    "Observed",
    "Phase",
    "Policy",
    "Producer",
    "Quality",
    "RerunPlan",
    "RerunStep",
    "SameInterval",
    "SchemaCompat",
    "Use",
    "Used",
    "Version",
    "Wanted",
    "Work",
    "conclude",
    "differences",
    "evaluate",
    "evaluate_all",
    "holds",
    "inlet",
    "names_of",
    "plan_of",
    "replay",
    "resolve",
    "severity_of",
    "spread",
    "wanted",
]
