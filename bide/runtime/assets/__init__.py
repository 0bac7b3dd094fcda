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
from bide.runtime.assets.gate import Check, Gate, GateSpec
from bide.runtime.assets.judged import Checked, Decision, Issue, Observed, Phase, Version

__all__ = [
    "AllAssets",
    "AnyAsset",
    "Asset",
    "AssetSpec",
    "BlastRadius",
    "Check",
    "Checked",
    "Condition",
    "Contract",
    "ContractSpec",
    "Decision",
    "ExactVersion",
    "Freshness",
    "Gate",
    "GateSpec",
    "Impact",
    "Impacted",
    "Invalidation",
    "Issue",
    "Latest",
    "Observed",
    "Phase",
    "Quality",
    "SameInterval",
    "SchemaCompat",
    "Version",
    "holds",
    "names_of",
]
