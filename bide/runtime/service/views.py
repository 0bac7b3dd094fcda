"""What the world in memory says of one thing: which resource it waits for, whose it is. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.engine.states import State
from bide.runtime.engine.world import Instance, Resource, World
from bide.runtime.service.holds import Owner

if TYPE_CHECKING:
    from bide.runtime.engine.explain import Refusal


def refusal_of(world: World, instance_id: int) -> Refusal | None:
    """Which resource a ready instance waits for; None when it waits for none."""
    from bide.runtime.engine.admission import resources_of
    from bide.runtime.engine.explain import Refusal

    inst = world.instances.get(instance_id)
    if inst is None or inst.state is not State.READY or not inst.queued:
        return None
    for resource in (*resources_of(world, inst.run.dag, inst.task), world.slots):
        parked = (*resource.parked, *resource.parked_too)
        if any(waiting is inst for _, waiting in parked) or resource is world.slots:
            limit = resource.capacity or 0
            holders = tuple(
                f"{holder.task.name} of run {holder.run.run_id}" for holder in _holders(world, resource)
            )
            return Refusal(resource.name, resource.used, limit, holders[:10])
    return None


def _holders(world: World, resource: Resource) -> list[Instance]:
    """Who has taken of a resource: what runs, or of an in-flight limit all that has begun."""
    if resource.whole_life:
        return [inst for inst in world.instances.values() if resource in inst.held]
    bodies = [body for body in world.attempts.values() if body.active_from is not None]
    return [body.inst for body in bodies if resource is world.slots or resource in body.holds]


def owner_of(world: World, kind: str, number: int) -> Owner | None:
    """Whose an `attempt`, a `wait` or the `build` of a sensor's trigger is, by its id."""
    attempt_id: int | None = None
    if kind == "build":
        inst = world.instances.get(number)
    else:
        found = world.attempts.get(number) if kind == "attempt" else world.waits.get(number)
        inst, attempt_id = (found.inst, found.attempt_id) if found is not None else (None, None)
    if inst is None:
        return None
    return Owner(f"{inst.task.name} of run {inst.run.run_id}", inst.instance_id, attempt_id)
