"""How long a supervisor waits before a restart, and that nothing waits with it."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime.actors import ChildSpec, Supervisor, actor_system
from runtime.backoff import Backoff
from tests.kernel import Probe, World, settle, states, supervised, tell_all, the

if TYPE_CHECKING:
    from runtime.actors import ActorSystem

STEADY = Backoff(first=1.0, longest=8.0, jitter=0.0)
PATIENT: dict[str, Any] = {"intensity": 1_000_000}


def delays(system: ActorSystem) -> list[float]:
    """Return the delays of all restarts so far."""
    return [report.delay for report in system.reports if report.context == "restart"]


async def test_a_child_that_keeps_failing_waits_twice_as_long_each_time_up_to_the_longest() -> None:
    """Failed starts and crashes alike; each start comes exactly when it was announced."""
    world = World()
    moments: list[float] = []

    class Timed(Probe):
        async def on_start(self) -> Any:
            moments.append(anyio.current_time())
            return await super().on_start()

    timed = ChildSpec("one", partial(Timed, world, "one"))
    async with supervised([timed], backoff=STEADY, **PATIENT) as (system, sup):
        the(sup.child("one")).tell("crash")
        world.fail("one", 4)
        await anyio.sleep(30.0)
        the(sup.child("one")).tell("crash")
        await anyio.sleep(1.5)
        assert delays(system) == [1.0, 2.0, 4.0, 8.0, 8.0, 1.0]  # it had run for a whole period
        gaps = [after - before for before, after in pairwise(moments)]
        assert gaps[:5] == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0], abs=1e-3)


async def test_jitter_shortens_each_delay_by_its_draw() -> None:
    """Drawn anew for each restart, and never more than the share."""
    world = World()
    draws = iter([0.0, 0.5, 0.999])
    backoff = Backoff(first=1.0, longest=1.0, jitter=0.2)
    flags: dict[str, Any] = {"backoff": backoff, "draw": draws.__next__}
    async with supervised([world.spec("one")], **flags, **PATIENT) as (system, sup):
        for _ in range(3):
            the(sup.child("one")).tell("crash")
            await anyio.sleep(1.1)
        assert delays(system) == pytest.approx([1.0, 0.9, 0.8002])


async def test_the_default_is_a_fifth_of_a_second_with_jitter() -> None:
    """What one gets without saying anything."""
    world = World()
    async with actor_system() as system:
        sup = await system.supervise(partial(Supervisor, [world.spec("one")]))
        the(sup.child("one")).tell("crash")
        await settle()
        assert await states(sup) == {"one": "restarting"}
        assert sup.child("one") is None
        await anyio.sleep(0.2)
        assert await states(sup) == {"one": "running"}
        assert 0.16 <= delays(system)[0] <= 0.2


async def test_a_child_that_ran_for_a_period_begins_anew_one_that_did_not_goes_on() -> None:
    """A quiet period forgives."""
    world = World()
    async with supervised([world.spec("one")], backoff=STEADY, **PATIENT) as (system, sup):
        for pause in (4.9, 4.9, 5.0, 4.9):
            the(sup.child("one")).tell("crash")
            await settle()
            await anyio.sleep(delays(system)[-1] + pause)
        assert delays(system) == [1.0, 2.0, 4.0, 1.0]


async def test_each_child_has_a_backoff_of_its_own() -> None:
    """One that fails often does not slow down another."""
    world = World()
    specs = [world.spec("often"), world.spec("once")]
    async with supervised(specs, backoff=STEADY, **PATIENT) as (system, sup):
        world.fail("often", 3)
        the(sup.child("often")).tell("crash")
        await anyio.sleep(8.0)
        the(sup.child("once")).tell("crash")
        await settle()
        assert delays(system) == [1.0, 2.0, 4.0, 8.0, 1.0]


@pytest.mark.parametrize("how", ["stop", "kill", "terminate", "another crash"])
async def test_the_end_does_not_wait_for_a_backoff(how: str) -> None:
    """Nobody waits for a restart that is not wanted any more, and it does not come."""
    world = World()
    hour = Backoff(first=3_600.0, longest=3_600.0)
    specs = [world.spec("one"), world.spec("two")]
    async with supervised(specs, backoff=hour, intensity=1) as (_, sup):
        the(sup.child("one")).tell("crash")
        await settle()
        began = anyio.current_time()
        if how == "terminate":
            await sup.terminate_child("one")
        elif how == "another crash":
            the(sup.child("two")).tell("crash")
            await sup.ended()
        else:
            getattr(sup, how)()
            await sup.ended()
        assert anyio.current_time() == began
        await anyio.sleep(7_200.0)
        assert world.starts == {"one": 1, "two": 1}


async def test_siblings_wait_for_the_backoff_of_the_one_that_took_them_along() -> None:
    """They are down at once, and up together."""
    world = World()
    specs = [world.spec(id_) for id_ in "abc"]
    async with supervised(specs, strategy="one_for_all", backoff=STEADY) as (_, sup):
        the(sup.child("b")).tell("crash")
        await settle()
        assert await states(sup) == {"a": "stopped", "b": "restarting", "c": "stopped"}
        assert (await sup.count_children()).active == 0
        await anyio.sleep(1.0)
        assert await states(sup) == dict.fromkeys("abc", "running")


async def test_a_restart_storm_of_a_thousand_children_lets_everybody_else_go_on() -> None:
    """A hundred ends a turn, then a child at a time, and a bystander is served all the while."""
    world = World()
    count = 1_000
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", "intensity": count}
    async with supervised([world.spec("job")], **flags) as (system, sup):
        bystander = await system.start(partial(Probe, world, "bystander"))
        refs = [sup.spawn() for _ in range(count)]
        await settle()
        tell_all("crash", *refs)
        restarts = [0]
        while restarts[-1] < count:
            await anyio.lowlevel.checkpoint()
            restarts.append(sup.supervision().restarts)
        a_turn = [after - before for before, after in pairwise(restarts)]
        assert max(a_turn) <= 100

        asks = 0
        while world.starts["job"] < 2 * count:
            assert await bystander.ask("there?") == "there?"
            asks += 1
        assert 10 <= asks <= 3 * count
        await settle()
        assert (sup.supervision().active, sup.alive) == (count, True)


class Relapsing(Probe):
    """A probe that crashes as soon as it is up for the second time."""

    async def on_start(self) -> Any:
        await super().on_start()
        if self.world.starts[self.id] == 2:
            self.ref.tell("crash")


class Dawdling(Probe):
    """A probe that takes ten seconds to start."""

    async def on_start(self) -> Any:
        await anyio.sleep(10.0)
        return await super().on_start()


async def test_a_restart_that_was_due_before_its_child_was_started_by_hand_is_void() -> None:
    """A child that fails again meanwhile waits for its new back-off and not for the old one."""
    world = World()
    specs = [ChildSpec("one", partial(Relapsing, world, "one"))]
    five = Backoff(first=5.0, longest=5.0, jitter=0.0)
    async with supervised(specs, backoff=five, **PATIENT) as (system, sup):
        the(sup.child("one")).tell("crash")
        await settle()  # due in five seconds, when the supervisor is busy for another five
        async with anyio.create_task_group() as group:
            group.start_soon(sup.start_child, ChildSpec("two", partial(Dawdling, world, "two")))
            await settle()
            group.start_soon(sup.terminate_child, "one")
            await settle()
            group.start_soon(sup.restart_child, "one")
        await settle()
        assert world.starts == {"one": 2, "two": 1}
        assert await states(sup) == {"one": "restarting", "two": "running"}
        await anyio.sleep(4.9)
        assert world.starts["one"] == 2
        await anyio.sleep(0.2)
        assert await states(sup) == {"one": "running", "two": "running"}
        assert delays(system) == [5.0, 5.0]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_sibling_that_was_started_by_hand_during_a_backoff_is_left_alone(
    strategy: str,
) -> None:
    """When the others come up, it is up already."""
    world = World()
    specs = [world.spec("one"), world.spec("two")]
    async with supervised(specs, strategy=strategy, backoff=STEADY) as (_, sup):
        the(sup.child("one")).tell("crash")
        await settle()
        two = the(await sup.restart_child("two"))
        three = the(await sup.start_child(world.spec("three")))
        await anyio.sleep(1.0)
        assert await states(sup) == dict.fromkeys(("one", "two", "three"), "running")
        assert (sup.child("two"), sup.child("three")) == (two, three)
        assert world.starts == {"one": 2, "two": 2, "three": 1}
