"""Where the outside is: read from the environment, so that the DAGs hold no address."""

from __future__ import annotations

import os
from pathlib import Path


def kafka() -> str:
    """The brokers."""
    return os.environ.get("CADENCES_KAFKA", "127.0.0.1:9092")


def payments_api() -> str:
    """The origin of the payments API."""
    return os.environ.get("CADENCES_API", "http://127.0.0.1:8000")


def folder() -> Path:
    """The files: `drops/` of the CRM, `landing/` of the batches, `warehouse.duckdb`."""
    return Path(os.environ.get("CADENCES_FOLDER", "."))
