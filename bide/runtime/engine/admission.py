"""Who may start now: global slots, pools, caps per DAG and per task, priorities, resumed work first.

Every instance that wants a slot holds a ticket in one queue, ordered by (resumed first, priority,
age). The head of the queue waits for its slot and nobody passes it; an instance that another
resource refuses parks on that resource, and the release of that resource puts it back in its old
place. Nothing is scanned: the work is proportional to what changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from bide.runtime.engine import budgets, fairness
from bide.runtime.engine.states import State
from bide.runtime.engine.turn import BUDGET, Turn
from bide.runtime.engine.world import Attempt, DagState, Instance, Resource, World
from bide.runtime.graph.spec import Mode, TaskSpec

PAUSED = "the DAG is paused"
VOID = 4
"""Tickets that no longer count, for the price of one step."""


def resources_of(world: World, dag: DagState, task: TaskSpec) -> tuple[Resource, ...]:
    """What a task of one version needs beside a global slot; made once, the resources shared by name."""
    found = dag.resources.get(id(task))
    if found is None:
        found = dag.resources[id(task)] = tuple(_resources(world, dag, task))
    return found


def _resources(world: World, dag: DagState, task: TaskSpec) -> Iterator[Resource]:
    if task.pool is not None and task.pool in world.pools:
        executing, in_flight = world.pools[task.pool]
        if executing.capacity is not None:
            yield executing
        if in_flight.capacity is not None:
            yield in_flight
    cap = dag.options.get("max_active_tasks")
    if cap is not None:
        yield world.named(f"DAG {dag.name}", cap)
    if task.max_active is not None:
        yield world.named(f"task {dag.name}.{task.name}", task.max_active)


def need_of(resource: Resource, task: TaskSpec) -> int:
    """`slots` weighs in the task's pool; without a pool it weighs in the global slots."""
    return task.slots if resource.weighted else 1


def global_need(task: TaskSpec) -> int:
    return task.slots if task.pool is None else 1


def enqueue(t: Turn, inst: Instance, *, resumed: bool = False) -> None:
    """Give a ready instance its ticket. A second call makes the older ticket void."""
    world = t.world
    inst.queued = ticket_of(world, inst)
    inst.resumed = resumed
    queue = world.ready if inst.run.backfill is None else world.ready_too
    heappush(queue, ((0 if resumed else 1, -inst.task.priority, inst.queued), inst))


def ticket_of(world: World, inst: Instance) -> int:
    """The next ticket; of a backfill's task one in the order of turns among backfills."""
    world.ticket += 1
    backfill = inst.run.backfill
    return world.ticket if backfill is None else fairness.ticket(world, backfill)


def take_life(t: Turn, inst: Instance) -> Resource | None:
    """Take what is held from the first start to the end. The resource that refused, or None."""
    if inst.held:
        return None
    for resource in resources_of(t.world, inst.run.dag, inst.task):
        if resource.whole_life and not resource.has_room(need_of(resource, inst.task)):
            return resource
    hold_life(t.world, inst)
    return None


def hold_life(world: World, inst: Instance) -> None:
    """Count an instance as in flight. What it holds is noted: a DAG loaded anew may ask for others."""
    inst.held = tuple(r for r in resources_of(world, inst.run.dag, inst.task) if r.whole_life)
    inst.by_backfill = inst.run.backfill is not None
    for resource in inst.held:
        resource.used += need_of(resource, inst.task)
        resource.holders[inst.instance_id] = inst
        if inst.by_backfill:
            resource.by_backfills += need_of(resource, inst.task)


def give_life(t: Turn, inst: Instance) -> None:
    """Give back what was held for the whole life of the instance."""
    held, inst.held = inst.held, ()
    for resource in held:
        resource.holders.pop(inst.instance_id, None)
        _give(t, resource, inst.task, inst.by_backfill)


def take_slot(t: Turn, body: Attempt) -> None:
    """Take the global slot and all else that running needs; admission has found room."""
    hold_slot(t.world, body, t.now)


def hold_slot(world: World, body: Attempt, now: int) -> None:
    task = body.inst.task
    world.slots.used += global_need(task)
    body.holds = tuple(r for r in resources_of(world, body.inst.run.dag, task) if not r.whole_life)
    for resource in body.holds:
        resource.used += need_of(resource, task)
    body.active_from = now
    body.by_backfill = body.inst.run.backfill is not None
    if body.by_backfill:
        world.slots.by_backfills += global_need(task)
        for resource in body.holds:
            resource.by_backfills += need_of(resource, task)


def give_slot(t: Turn, body: Attempt) -> None:
    """Give back what running took; does nothing for a body that has no slot."""
    if body.active_from is None:
        return
    world, task = t.world, body.inst.task
    if world.backfills or body.by_backfill:
        fairness.given_back(world, body, world.slots, global_need(task), t.now)
        for resource in body.holds:
            fairness.given_back(world, body, resource, need_of(resource, task), t.now)
    body.active += t.now - body.active_from
    body.active_from = None
    world.slots.used -= global_need(task)
    if body.by_backfill:
        world.slots.by_backfills -= global_need(task)
    holds, body.holds = body.holds, ()
    for resource in holds:
        _give(t, resource, task, body.by_backfill)


def _give(t: Turn, resource: Resource, task: TaskSpec, by_backfill: bool) -> None:
    resource.used -= need_of(resource, task)
    if by_backfill:
        resource.by_backfills -= need_of(resource, task)
    if resource.parked or resource.parked_too:
        t.freed.append(resource)


def park(t: Turn, inst: Instance, refused: Resource) -> None:
    """Wait for one resource; the room that the others have goes to whoever parks on them."""
    key = (0 if inst.resumed else 1, -inst.task.priority, inst.queued)
    heappush(refused.parked if inst.run.backfill is None else refused.parked_too, (key, inst))
    pass_on(t, inst, but=refused)


def pass_on(t: Turn, inst: Instance, but: Resource | None = None) -> None:
    """It takes no room that it was woken for, or kept from others: that is for the next who parks there."""
    for resource in resources_of(t.world, inst.run.dag, inst.task):
        waited_for = resource.parked or resource.parked_too
        if resource is not but and waited_for and resource.has_room(1):
            t.freed.append(resource)


def admitted(t: Turn) -> Iterator[Instance]:
    """Instances that may begin, best first. The caller takes the slot of each before the next."""
    world = t.world
    ready, slots, too = world.ready, world.slots, world.ready_too
    slotless = world.slotless
    void = 0
    while True:
        while t.freed:
            _wake(t, t.freed.pop())
        queue = slotless or (_turn_of(t) if too else ready)
        if t.freed:
            continue
        if not queue:
            return
        key, inst = queue[0]
        if not _stands(t, inst, key[2]):
            heappop(queue)
            pass_on(t, inst)
            void += 1
            if not void % VOID:
                t.budget -= 1
                if t.budget < -BUDGET:
                    return
            continue
        if queue is slotless:
            heappop(slotless)
            refused = take_life(t, inst)
            if refused is not None:
                park(t, inst, refused)
            else:
                yield inst
            continue
        if not slots.has_room(global_need(inst.task)):
            return
        heappop(queue)
        if inst.task.cost and budgets.refuses(t, inst):
            pass_on(t, inst)
            continue
        refused = _refused(t, inst)
        if refused is not None:
            park(t, inst, refused)
            continue
        if queue is too:
            fairness.called(world, key[2])
        other = ready if queue is too else too
        if other:  # the other side was kept waiting
            fairness.chosen(
                world, slots, (inst, other[0][1]), global_need(inst.task), t.now, backfill=queue is too
            )
        yield inst


def _turn_of(t: Turn) -> list[tuple[tuple[int, int, int], Instance]]:
    """The queue whose head is next: that of live runs, or that of backfills."""
    world = t.world
    ready, too, slots = world.ready, world.ready_too, world.slots
    for queue in (ready, too):
        while queue and not _stands(t, queue[0][1], queue[0][0][2]):
            pass_on(t, heappop(queue)[1])
    if not ready or not too:
        return ready or too
    backfill = fairness.backfill_is_next(slots, world.backfill_share, global_need(too[0][1].task))
    return too if backfill else ready


def _stands(t: Turn, inst: Instance, ticket: int) -> bool:
    """Whether the ticket still counts. A paused DAG keeps what it has until it goes on."""
    if inst.queued != ticket or inst.state is not State.READY:
        return False
    backfill = inst.run.backfill
    if inst.run.dag.paused or (backfill is not None and backfill.paused):
        inst.queued = 0
        inst.run.dag.stuck[inst.instance_id] = inst
        t.touch(inst, f"{backfill.name} is paused" if backfill is not None and backfill.paused else PAUSED)
        return False
    return True


def needs_no_slot(task: TaskSpec) -> bool:
    """A sensor that waits without a slot."""
    return task.sensor is not None and task.sensor.mode is Mode.DEFERRED


def _refused(t: Turn, inst: Instance) -> Resource | None:
    resources = resources_of(t.world, inst.run.dag, inst.task)
    if not resources:
        return None
    for resource in resources:
        if not resource.whole_life and not resource.has_room(need_of(resource, inst.task)):
            return resource
    return take_life(t, inst)


def _wake(t: Turn, resource: Resource) -> None:
    """Put back into their queues as many as there is room for, in their old places."""
    parked, too = resource.parked, resource.parked_too
    room = len(parked) + len(too)
    if resource.capacity is not None:
        room = max(resource.capacity - resource.used, 0)
    world, woken = t.world, 0
    while (parked or too) and room > 0:
        queue = _parked_next(t, resource, woken) if too else parked
        if not queue:
            return
        key, inst = heappop(queue)
        if inst.queued != key[2] or inst.state is not State.READY:
            continue
        need = need_of(resource, inst.task)
        if needs_no_slot(inst.task):
            heappush(world.slotless, (key, inst))
        else:
            heappush(world.ready if queue is parked else world.ready_too, (key, inst))
        room -= need
        woken += need if queue is too else 0


def _parked_next(t: Turn, resource: Resource, woken: int) -> list[tuple[tuple[int, int, int], Instance]]:
    """Of those who wait for a resource: live runs or backfills, whose turn it is."""
    world, parked, too = t.world, resource.parked, resource.parked_too
    for queue in (parked, too):
        while queue and (queue[0][1].queued != queue[0][0][2] or queue[0][1].state is not State.READY):
            heappop(queue)
    if not parked or not too:
        return parked or too
    need = need_of(resource, too[0][1].task)
    backfill = fairness.backfill_is_next(resource, world.backfill_share, need, woken)
    heads = parked[0][1], too[0][1]
    fairness.chosen(world, resource, heads, need, t.now, backfill=backfill)
    return too if backfill else parked
