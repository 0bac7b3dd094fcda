"""What the picture shows: the run as the database has it, and the process as it tells of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bide.runtime.engine.states import OVER, State
from bide.runtime.store.reader import Reader
from examples.waiting_room.keeper import FOUR, SLOTS, Told

WAITS_FOR = {
    "orders": "the file drops/orders.csv",
    "prices": "GET /prices to answer 200",
    "payments": "500 records in Kafka payments",
    "warehouse": "the DAG warehouse to succeed",
}
SEEN_BY = {
    "orders": "one inotify watch for all files",
    "prices": "one request every 0.5 s",
    "payments": "one question every 0.5 s",
    "warehouse": "the commit that ends it",
}
"""Task -> what sees that it comes true."""


@dataclass
class Scene:
    """Everything on the picture. `refresh` reads the run; the plot sets the rest."""

    setup_s: float = 0.0
    began_us: int = 0
    now_us: int = 0
    run_id: int | None = None
    pid: int | None = None
    told: Told | None = None
    open_waits: dict[str, int] = field(default_factory=dict)  # kind -> how many
    states: dict[str, State] = field(default_factory=dict)  # of the four, and of `report`
    shops: Counter[State] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)
    doing: str = "setting up: an HTTP API, a Kafka broker, a drop folder"

    @property
    def slots(self) -> int:
        return SLOTS

    @property
    def open(self) -> int:
        """Open waits in the database."""
        return sum(self.open_waits.values())

    @property
    def shops_done(self) -> int:
        return sum(count for state, count in self.shops.items() if state in OVER)

    def refresh(self, reader: Reader) -> None:
        """Read the run: this works whether any process runs it or not."""
        if self.run_id is None:
            return
        self.open_waits = reader.counts().waits
        states = {task.task: task.state for task in reader.tasks(self.run_id)}
        if "report" not in states:  # a large run is written in parts, and this is its last task
            return
        self.states = {task: _both(states[task], states[f"{task}_seen"]) for task in FOUR}
        self.states["report"] = states["report"]
        self.shops = Counter(
            _both(state, states[f"{task}_seen"])
            for task, state in states.items()
            if task.startswith("shop_") and not task.endswith("_seen")
        )


def _both(sensor: State, seen: State) -> State:
    """The state of a sensor together with the task behind it."""
    if sensor not in OVER:
        return sensor
    return seen if sensor is not State.SUCCESS or seen is not State.PENDING else State.READY
