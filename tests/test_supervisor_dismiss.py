"""Children that are dismissed without a hop, at any moment of their lives."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from runtime.actors import ActorGone, StartError
from runtime.backoff import Backoff
from tests.kernel import World, reported, settle, supervised, the, waking

SIMPLE: dict[str, Any] = {"strategy": "simple_one_for_one"}
MINUTE = Backoff(first=60.0, longest=60.0, jitter=0.0)


@pytest.mark.parametrize("kept", [False, True])
async def test_a_child_dismissed_while_it_waits_for_its_restart_does_not_come_back(
    *, kept: bool
) -> None:
    """A kept address dies with it, and its askers are told."""
    world = World()
    template = world.spec("job", keep_address=kept)
    async with supervised([template], backoff=MINUTE, **SIMPLE) as (_, sup):
        ref = sup.spawn()
        world.watch(ref)
        ref.tell("crash")
        await settle()
        assert sup.supervision().restarting == 1
        ask = ref.ask("are you there?")
        sup.dismiss(ref)
        with pytest.raises(ActorGone):
            await ask
        await anyio.sleep(100.0)
        assert world.starts == {"job": 1}
        assert world.ended() == {"job#1": "killed" if kept else "crashed"}
        assert await sup.which_children() == []


@pytest.mark.parametrize("kept", [False, True])
async def test_a_child_dismissed_in_the_middle_of_its_restart_is_killed_and_forgotten(
    *, kept: bool
) -> None:
    """It is not taken for one more failed restart."""
    world = World()
    template = waking(world, "job", keep_address=kept)
    async with supervised([template], intensity=1, **SIMPLE) as (system, sup):
        ref = sup.spawn()
        ref.tell("crash")
        await settle()
        starting = the(sup.child("job#1"))
        assert (starting is ref) == kept
        sup.dismiss(starting)
        await settle()
        assert not starting.alive
        assert await sup.which_children() == []
        assert sup.supervision().restarts == 1
        assert ("start_error", "job#1") not in reported(system)
        assert world.events[-1] == "job is killed"


async def test_a_child_dismissed_in_the_moment_in_which_its_start_ends() -> None:
    """Whoever started it is told that it is gone."""
    world = World()
    outcomes: list[str] = []
    async with supervised([waking(world, "job")], **SIMPLE) as (_, sup):
        world.starts["job"] = 1  # so that the first start hangs as well

        async def start() -> None:
            with pytest.raises(StartError, match="dismissed"):
                await sup.start_child()
            outcomes.append("told")

        async with anyio.create_task_group() as group:
            group.start_soon(start)
            await settle()
            ref = the(sup.child("job#1"))
            world.release.set()
            while ref.statistics().state == "new":
                await anyio.lowlevel.checkpoint()
            sup.dismiss(ref)
        assert outcomes == ["told"]
        await settle()
        assert await sup.which_children() == []
        assert world.starts == {"job": 2}


async def test_a_child_dismissed_by_whoever_hears_of_its_crash_is_not_restarted() -> None:
    """The report comes before the decision, so its reader may make it."""
    world = World()
    async with supervised([world.spec("job")], **SIMPLE) as (system, sup):
        ref = sup.spawn()
        await settle()
        system.on_report = lambda _: sup.dismiss(ref)
        ref.tell("crash")
        await settle()
        assert world.starts == {"job": 1}
        assert await sup.which_children() == []
        assert sup.supervision().restarts == 0


async def test_only_a_templates_children_can_be_dismissed() -> None:
    """A child with a spec of its own is terminated, and its spec deleted, by request."""
    world = World()
    async with supervised([world.spec("one")]) as (_, sup):
        one = the(sup.child("one"))
        sup.dismiss(one)
        await settle()
        assert sup.child("one") is one
