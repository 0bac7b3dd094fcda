"""Assets: what tasks make and others use. Pure: plain data in, plain data out."""

from __future__ import annotations

from bide.runtime.assets.asset import AllAssets, AnyAsset, Asset, Condition, holds, names_of

__all__ = ["AllAssets", "AnyAsset", "Asset", "Condition", "holds", "names_of"]
