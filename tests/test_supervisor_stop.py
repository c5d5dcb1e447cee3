"""How a supervisor stops: in order, with grace, and never for longer than was said."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

import anyio
import pytest

from runtime.actors import Actor, ActorRef, ChildSpec, SupervisorRef
from tests.kernel import (
    Crash,
    Probe,
    World,
    reported,
    settle,
    supervised,
    supervisor_spec,
    tell_all,
    the,
    under,
)

HOUR = 3_600.0


async def crash() -> None:
    raise Crash("in its stop hook")


def slow(world: World, id_: str, last: Any, **fields: Any) -> ChildSpec:
    """Return the spec of a probe that awaits ``last`` in its stop hook."""
    return ChildSpec(id_, partial(Probe, world, id_, last=last), **fields)


async def stop(sup: SupervisorRef) -> float:
    """Stop a supervisor and return how many seconds it took."""
    began = anyio.current_time()
    sup.stop()
    assert (await sup.ended()).kind == "shutdown"
    return anyio.current_time() - began


async def test_sup_stop_infinity() -> None:
    """A worker with endless grace, and a supervisor's own children, get all the time they need."""
    world = World()
    hour = partial(anyio.sleep, HOUR)
    sub = supervisor_spec("sub", [slow(world, "inner", hour, shutdown=inf)])
    async with supervised([slow(world, "worker", hour, shutdown=inf), sub]) as (system, sup):
        inner = under(sup.child("sub")).child("inner")
        world.watch(sup.child("worker"), sup.child("sub"), inner)
        assert await stop(sup) == pytest.approx(2 * HOUR)
        assert world.ended() == dict.fromkeys(("inner", "sub", "worker"), "shutdown")
        assert reported(system) == []


async def test_sup_stop_timeout() -> None:
    """A child that does not end in its time is killed; the good one ends by itself."""
    world = World()
    specs = [slow(world, "good", None), slow(world, "hung", anyio.sleep_forever, shutdown=3.0)]
    async with supervised(specs) as (system, sup):
        world.watch(sup.child("good"), sup.child("hung"))
        assert await stop(sup) == pytest.approx(3.0)
        assert world.ended() == {"good": "shutdown", "hung": "killed"}
        assert world.events[2:] == ["hung stops", "hung is killed", "good stops"]
        assert reported(system) == [("shutdown_error", "hung")]


async def test_sup_stop_timeout_while_it_handles_a_message() -> None:
    """The time runs as well for a child that hangs in a message and never sees the request."""
    world = World()
    async with supervised([world.spec("hung", shutdown=3.0)]) as (_, sup):
        hung = the(sup.child("hung"))
        hung.tell("hang")
        await settle()
        world.watch(hung)
        assert await stop(sup) == pytest.approx(3.0)
        assert world.ended() == {"hung": "killed"}
        assert "hung stops" not in world.events


async def test_sup_stop_timeout_dynamic() -> None:
    """A template's children share their time: ten hung ones take no longer than one."""
    world = World()
    template = world.spec("job", shutdown=3.0)
    async with supervised([template], strategy="simple_one_for_one") as (system, sup):
        hung = [the(await sup.start_child()) for _ in range(10)]
        good = the(await sup.start_child())
        tell_all("hang", *hung)
        await settle()
        world.watch(good, *hung)
        assert await stop(sup) == pytest.approx(3.0)
        assert world.ended() == {good.name: "shutdown"} | {ref.name: "killed" for ref in hung}
        assert reported(system) == [("shutdown_error", ref.name) for ref in hung]


async def test_sup_stop_brutal_kill() -> None:
    """A brutal kill gives no time at all, runs no stop hook, and is no error."""
    await _brutally("one_for_one")


async def test_sup_stop_brutal_kill_dynamic() -> None:
    """The same for a template's children."""
    await _brutally("simple_one_for_one")


async def _brutally(strategy: str) -> None:
    world = World()
    template = world.spec("brutal", shutdown="brutal_kill")
    async with supervised([template], strategy=strategy) as (system, sup):
        if strategy == "simple_one_for_one":
            await sup.start_child()
        info = (await sup.which_children())[0]
        world.watch(info.ref)
        assert await stop(sup) == 0.0
        assert world.downs[0][1].kind == "killed"
        assert world.events == ["brutal starts", "brutal is killed"]
        assert reported(system) == []


async def test_sup_stop_race() -> None:
    """Children that end by themselves during the stop do not disturb it; each reason is kept."""
    world = World()
    minute = partial(anyio.sleep, 60.0)
    names = ("crashes", "normal", "shutdown", "killed")
    specs = [*map(world.spec, names), slow(world, "last", minute, shutdown=inf)]
    async with supervised(specs) as (system, sup):
        refs = {info.id: the(info.ref) for info in await sup.which_children()}
        world.watch(*refs.values())
        sup.stop()
        await settle()
        refs["crashes"].tell("crash")
        refs["normal"].tell("normal")
        refs["shutdown"].tell("shutdown")
        refs["killed"].kill()
        await sup.ended()
        assert world.ended() == {
            "crashes": "crashed",
            "normal": "normal",
            "shutdown": "shutdown",
            "killed": "killed",
            "last": "shutdown",
        }
        assert reported(system) == [("shutdown_error", "killed"), ("shutdown_error", "crashes")]
        assert max(world.starts.values()) == 1


async def test_sup_stop_non_shutdown_exit_dynamic() -> None:
    """A template's children may end the stop in whatever way; each reason is kept and reported."""
    world = World()
    template = ChildSpec("job", partial(Ending, world))
    async with supervised([template], strategy="simple_one_for_one") as (system, sup):
        refs = [the(await sup.start_child(last)) for last in (None, crash, crash)]
        world.watch(*refs)
        await stop(sup)
        assert world.ended() == {"job#1": "shutdown", "job#2": "crashed", "job#3": "crashed"}
        assert reported(system) == [("shutdown_error", "job#2"), ("shutdown_error", "job#3")]


class Ending(Probe):
    """A probe whose last act is an argument of its start."""

    def __init__(self, world: World, last: Any) -> None:
        super().__init__(world, "job", last=last)


async def test_a_stop_hook_that_crashes_runs_once_and_does_not_stop_the_stop() -> None:
    """The crash becomes the exit of that child only; its hook is not run again."""
    world = World()
    specs = [world.spec("good"), slow(world, "bad", crash)]
    async with supervised(specs) as (system, sup):
        world.watch(sup.child("good"), sup.child("bad"))
        await stop(sup)
        assert world.events[2:] == ["bad stops", "good stops"]
        assert world.ended() == {"bad": "crashed", "good": "shutdown"}
        exit_ = dict(world.downs)["bad"]
        assert isinstance(exit_.error, Crash)
        assert "on_stop failed" in str(exit_)
        assert reported(system) == [("shutdown_error", "bad")]


async def test_a_system_gives_a_top_level_actor_five_seconds_to_stop() -> None:
    """What nobody supervises is bounded too: leaving the system kills an actor that hangs."""
    world = World()
    async with supervised() as (system, _):
        hung: ActorRef = await system.start(partial(Probe, world, "hung"), name="hung")
        world.watch(hung)
        hung.tell("hang")
        await settle()
        began = anyio.current_time()
    assert world.ended() == {"hung": "killed"}
    assert anyio.current_time() - began == pytest.approx(5.0)


async def test_leaving_a_system_by_an_exception_stops_its_actors_in_order() -> None:
    """Whatever made the owner leave, the youngest stops first and each runs its stop hook."""
    world = World()
    with pytest.raises(Crash):
        async with supervised([world.spec("one"), world.spec("two")]):
            await crash()
    assert world.events[2:] == ["two stops", "one stops"]


async def test_a_cancelled_owner_kills_actors_that_have_no_task() -> None:
    """An idle actor and an idle supervisor, which no cancellation reaches, end all the same."""
    world = World()
    with anyio.move_on_after(1.0):
        async with supervised([world.spec("idle")]) as (_, sup):
            world.watch(sup.child("idle"), sup)
            await anyio.sleep_forever()
    assert world.ended() == {"idle": "killed", "sup": "killed"}


async def test_a_cancelled_owner_kills_whatever_is_left_idle_or_not() -> None:
    """No actor outlives its system, also one without a task; each drops what it holds."""
    world = World()
    idle: Actor | None = None
    with anyio.move_on_after(1.0):
        async with supervised([world.spec("idle"), world.spec("busy")]) as (_, sup):
            tell_all("hang", sup.child("busy"))
            idle = the(sup.child("idle")).actor
            world.watch(sup.child("idle"), sup.child("busy"), sup)
            await anyio.sleep_forever()
    assert idle is not None
    assert not idle.ref.alive
    assert world.ended() == dict.fromkeys(("idle", "busy", "sup"), "killed")
    assert sorted(world.events[2:]) == ["busy is killed", "idle is killed"]
