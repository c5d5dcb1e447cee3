"""Two things happen under one supervisor at the same time; nothing outlives it, nothing is lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from runtime.actors import ActorGone, ChildSpec, Mailbox, StartError, Supervisor
from runtime.backoff import Backoff
from tests.kernel import (
    Crash,
    Probe,
    World,
    reported,
    resist_once,
    settle,
    states,
    supervised,
    supervisor_spec,
    tell_all,
    the,
    under,
    waking,
)

SIMPLE: dict[str, Any] = {"strategy": "simple_one_for_one"}
MINUTE = Backoff(first=60.0, longest=60.0, jitter=0.0)


async def test_a_crash_that_nobody_has_heard_of_when_its_child_is_terminated() -> None:
    """The child stays stopped: the request is the later word."""
    world = World()
    async with supervised([world.spec("one")]) as (_, sup):
        the(sup.child("one")).tell("crash")
        await sup.terminate_child("one")
        await settle()
        assert await states(sup) == {"one": "stopped"}
        assert world.starts == {"one": 1}


async def test_a_crash_while_its_child_is_being_terminated() -> None:
    """The same when it crashes in its last moment."""
    world = World()
    async with supervised([world.spec("one")]) as (system, sup):
        one = the(sup.child("one"))
        one.tell("hang")
        await settle()
        async with anyio.create_task_group() as group:
            group.start_soon(sup.terminate_child, "one")
            await settle()
            one.kill()
        await settle()
        assert await states(sup) == {"one": "stopped"}
        assert reported(system) == [("shutdown_error", "one")]


async def test_nothing_is_spawned_once_the_supervisor_stops() -> None:
    """From the first moment of its stop, and for ever after."""
    world = World()
    async with supervised([world.spec("job", shutdown=3.0)], **SIMPLE) as (_, sup):
        sup.spawn().tell("hang")
        await settle()
        sup.stop()
        await settle()
        with pytest.raises(ActorGone):
            sup.spawn()
        await sup.ended()
        with pytest.raises(ActorGone):
            sup.spawn()
        with pytest.raises(ActorGone):
            sup.child("job#1")
        with pytest.raises(ActorGone):
            sup.supervision()
        assert world.starts == {"job": 1}


async def test_what_cannot_be_addressed_leaves_nothing_in_the_table() -> None:
    """A mailbox that cannot be made fails the spawn, and that is all."""

    def broken() -> Mailbox:
        raise Crash("mailbox")

    async with supervised([World().spec("job", mailbox=broken)], **SIMPLE) as (_, sup):
        with pytest.raises(Crash):
            sup.spawn()
        with pytest.raises(StartError):
            await sup.start_child()
        assert await sup.which_children() == []


@pytest.mark.parametrize("kept", [False, True])
async def test_a_supervisor_killed_while_it_restarts_a_child_takes_it_along(*, kept: bool) -> None:
    """The child in its ``on_start`` dies too, and so does its address."""
    world = World()
    spec = waking(world, "one", keep_address=kept)
    async with supervised([spec]) as (_, sup):
        the(sup.child("one")).tell("crash")
        await settle()
        starting = the(sup.child("one"))
        sup.kill()
        await settle()
        assert not starting.alive
        assert world.events[-1] == "one is killed"
        world.release.set()
        await settle()
        assert not starting.alive


async def test_a_supervisor_killed_while_it_stops_its_children_takes_the_rest_along() -> None:
    """Those that were not asked yet, and the one that it waits for."""
    world = World()
    specs = [world.spec("a"), world.spec("b", shutdown=100.0), world.spec("c")]
    async with supervised(specs) as (_, sup):
        refs = [the(sup.child(id_)) for id_ in "abc"]
        refs[1].tell("hang")
        await settle()
        world.watch(*refs, sup)
        sup.stop()
        await settle()
        sup.kill()
        await settle()
        assert world.ended() == {"c": "shutdown", "sup": "killed", "a": "killed", "b": "killed"}


async def test_a_killed_supervisor_takes_a_whole_tree_along() -> None:
    """Supervisors below it, their children, and those that wait for a restart."""
    world = World()
    inner = supervisor_spec("inner", [world.spec("leaf", keep_address=True)], backoff=MINUTE)
    async with supervised([supervisor_spec("outer", [inner])], intensity=0) as (_, root):
        outer = under(root.child("outer"))
        leaf = the(under(outer.child("inner")).child("leaf"))
        leaf.tell("crash")
        await settle()
        world.watch(outer, outer.child("inner"), leaf)
        ask = leaf.ask("are you there?")
        outer.kill()
        with pytest.raises(ActorGone):
            await ask
        await root.ended()
        assert world.ended() == dict.fromkeys(("outer", "inner", "leaf"), "killed")
        await anyio.sleep(100.0)
        assert world.starts == {"leaf": 1}


class Fragile(Supervisor):
    """A supervisor with a fault of its own."""

    async def receive(self, message: Any) -> Any:
        if message == "crash":
            raise Crash("the supervisor")
        return await super().receive(message)


async def test_a_supervisor_that_crashes_stops_its_children_in_order() -> None:
    """Its own supervisor starts it again with its static children."""
    world = World()
    specs = [world.spec("a"), world.spec("b")]
    fragile = ChildSpec("fragile", partial(Fragile, specs), type="supervisor")
    async with supervised([fragile]) as (_, root):
        the(root.child("fragile")).tell("crash")
        await settle()
        assert world.events == [
            "a starts", "b starts", "b stops", "a stops", "a starts", "b starts",
        ]  # fmt: skip
        assert await states(under(root.child("fragile"))) == {"a": "running", "b": "running"}


async def test_a_child_that_ends_its_own_supervisor_or_itself_hurts_nobody_else() -> None:
    """By dismissing itself, and by killing its supervisor, in a message that awaits nothing."""
    world = World()

    class Rebel(Probe):
        async def receive(self, message: Any) -> Any:
            if message == "dismiss me":
                jobs.dismiss(self.ref)
            else:
                jobs.kill()
            return message

    rebels = supervisor_spec("rebels", [ChildSpec("job", partial(Rebel, world, "job"))], **SIMPLE)
    async with supervised([world.spec("by"), rebels], intensity=1) as (_, root):
        by, jobs = the(root.child("by")), under(root.child("rebels"))
        rebel = jobs.spawn()
        assert await rebel.ask("dismiss me") == "dismiss me"
        await settle()
        assert not rebel.alive
        rebel = jobs.spawn()
        await rebel.ask("kill you")
        await settle()
        assert not rebel.alive
        assert under(root.child("rebels")) is not jobs
        assert await by.ask("still there?") == "still there?"


async def test_a_child_that_never_comes_up_cannot_keep_its_supervisors_supervisor_waiting() -> None:
    """A supervisor stuck in a child's start is killed after its grace, and the child with it."""
    world = World()
    sub = supervisor_spec("sub", [waking(world, "one")], shutdown=2.0)
    async with supervised([sub]) as (_, root):
        the(under(root.child("sub")).child("one")).tell("crash")
        await settle()
        starting = the(under(root.child("sub")).child("one"))
        began = anyio.current_time()
        await root.terminate_child("sub")
        await settle()
        assert anyio.current_time() - began == pytest.approx(2.0, abs=1e-3)
        assert not starting.alive
        assert world.events[-1] == "one is killed"


async def test_impatience_is_reported_once_however_many_children_fail_together() -> None:
    """Once it gives up, a supervisor decides nothing more."""
    world = World()
    async with supervised([world.spec("job")], intensity=3, **SIMPLE) as (system, sup):
        refs = [sup.spawn() for _ in range(100)]
        await settle()
        tell_all("crash", *refs)
        await sup.ended()
        contexts = [context for context, _ in reported(system)]
        assert contexts.count("shutdown") == 1
        assert contexts.count("restart") == 3
        assert world.starts == {"job": 100}


async def test_a_body_that_resists_once_at_the_stop_is_killed_within_its_grace() -> None:
    """Grace, then kills, and the supervisor is through in a bounded time."""
    world = World()
    spec = ChildSpec("one", partial(Probe, world, "one", last=resist_once), shutdown=1.0)
    async with supervised([spec]) as (_, sup):
        world.watch(sup.child("one"))
        began = anyio.current_time()
        sup.stop()
        await sup.ended()
        assert anyio.current_time() - began == pytest.approx(1.05)
        assert world.ended() == {"one": "killed"}


async def test_a_sibling_that_cannot_come_up_with_the_others_can_be_terminated() -> None:
    """Also when it has had no address since its collective stop."""
    world = World()
    specs = [world.spec("one"), world.spec("two")]
    flags: dict[str, Any] = {"strategy": "one_for_all", "intensity": 9}
    async with supervised(specs, backoff=MINUTE, **flags) as (_, sup):
        world.fail("two", 1)
        the(sup.child("one")).tell("crash")
        await anyio.sleep(61.0)
        assert await states(sup) == {"one": "stopped", "two": "restarting"}
        await sup.terminate_child("two")
        assert await states(sup) == {"one": "stopped", "two": "stopped"}
        await anyio.sleep(100.0)
        assert world.starts == {"one": 2, "two": 2}
