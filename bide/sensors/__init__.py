"""What an author writes to wait for the world: each sensor is a node whose trigger is built per run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bide.sensors.asset import AssetSensor as AssetSensor
    from bide.sensors.base import Sensor as Sensor
    from bide.sensors.external_task import ExternalTaskSensor as ExternalTaskSensor
    from bide.sensors.file import FileSensor as FileSensor
    from bide.sensors.http import HttpSensor as HttpSensor
    from bide.sensors.kafka import KafkaOffsetSensor as KafkaOffsetSensor
    from bide.sensors.objects import ObjectSensor as ObjectSensor
    from bide.sensors.python import PythonSensor as PythonSensor
    from bide.sensors.time import TimeSensor as TimeSensor

_HOME = {
    "AssetSensor": "bide.sensors.asset",
    "ExternalTaskSensor": "bide.sensors.external_task",
    "FileSensor": "bide.sensors.file",
    "HttpSensor": "bide.sensors.http",
    "KafkaOffsetSensor": "bide.sensors.kafka",
    "ObjectSensor": "bide.sensors.objects",
    "PythonSensor": "bide.sensors.python",
    "Sensor": "bide.sensors.base",
    "TimeSensor": "bide.sensors.time",
}
__all__ = [
    "AssetSensor",
    "ExternalTaskSensor",
    "FileSensor",
    "HttpSensor",
    "KafkaOffsetSensor",
    "ObjectSensor",
    "PythonSensor",
    "Sensor",
    "TimeSensor",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bide.sensors' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
