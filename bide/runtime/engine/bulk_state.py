"""The input by which an action on many goes on."""

from __future__ import annotations

import msgspec


class BulkOn(msgspec.Struct, frozen=True):
    """An action on many goes on with its next slice."""

    bulk_id: int
