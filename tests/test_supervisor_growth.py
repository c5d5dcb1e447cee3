"""Many children: counted rightly, forgotten entirely, and each costs the same."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime.actors import (
    ChildSpec,
    Counts,
    SupervisorRef,
)
from runtime.backoff import Backoff
from tests.kernel import (
    Probe,
    World,
    settle,
    supervised,
    supervisor_spec,
    the,
)

if TYPE_CHECKING:
    from types import FrameType


async def test_count_children() -> None:
    """Two thousand workers come and go, and every count is right."""
    world = World()
    template = world.spec("job", restart="temporary")
    async with supervised([template], strategy="simple_one_for_one") as (_, sup):
        refs = [sup.spawn() for _ in range(2_000)]
        assert await sup.count_children() == Counts(1, 2_000, 0, 2_000)
        for ref in refs[:1_000]:
            ref.kill()
        for ref in refs[1_000:]:
            sup.dismiss(ref)
        await settle()
        assert await sup.count_children() == Counts(1, 0, 0, 0)


async def test_count_children_supervisor() -> None:
    """Two thousand supervisors are counted as such."""
    template = supervisor_spec("sub")
    async with supervised([template], strategy="simple_one_for_one") as (_, sup):
        refs = [sup.spawn() for _ in range(2_000)]
        assert await sup.count_children() == Counts(1, 2_000, 2_000, 0)
        assert all(isinstance(ref, SupervisorRef) for ref in refs)
        for ref in refs:
            await sup.terminate_child(ref)
        assert await sup.count_children() == Counts(1, 0, 0, 0)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_do_not_save_start_parameters_for_temporary_children(strategy: str) -> None:
    """A running temporary child's arguments are the child's alone: nobody else keeps them."""
    world = World()
    async with supervised([], strategy=strategy) as (_, sup):
        argument = set("abc")
        memory = weakref.ref(argument)
        spec = ChildSpec("one", partial(Forgetful, world), (argument,), restart="temporary")
        ref = the(await sup.start_child(spec))
        assert (await sup.child_spec("one")).args == ()
        del argument, spec
        gc.collect()
        assert ref.alive
        assert memory() is None


class Forgetful(Probe):
    """A probe that does not keep what it is started with."""

    def __init__(self, world: World, argument: object) -> None:
        del argument
        super().__init__(world, "forgetful")


@pytest.mark.parametrize("kept", [False, True])
async def test_do_not_save_start_parameters_of_a_templates_temporary_child(*, kept: bool) -> None:
    """The same under a template, started with or without a hop."""
    world = World()
    start = partial(Forgetful, world)
    template = ChildSpec("job", start, restart="temporary", keep_address=kept)
    async with supervised([template], strategy="simple_one_for_one") as (_, sup):
        arguments = [set("abc"), set("def")]
        memory = [weakref.ref(argument) for argument in arguments]
        refs = [sup.spawn(arguments[0]), the(await sup.start_child(arguments[1]))]
        await settle()
        arguments.clear()
        gc.collect()
        assert all(ref.alive for ref in refs)
        assert [entry() for entry in memory] == [None, None]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_do_not_save_child_specs_for_temporary_children(
    strategy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However a temporary child ends, its spec ends with it, and its id is free again."""
    caplog.set_level(logging.CRITICAL, "runtime.actors")
    world = World()
    async with supervised([], strategy=strategy) as (_, sup):
        spec = world.spec("one", restart="temporary")
        for ending in ("normal", "shutdown", "crash"):
            the(await sup.start_child(spec)).tell(ending)
            await settle()
            assert await sup.which_children() == []
        the(await sup.start_child(spec)).kill()
        await settle()
        await sup.start_child(spec)
        await sup.terminate_child("one")
        assert await sup.count_children() == Counts(0, 0, 0, 0)


async def _work(template: ChildSpec | None, count: int) -> int:
    """Start and stop so many children, and return how many Python calls that took."""
    world = World()
    calls = 0

    def counting(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    static = [world.spec(str(number)) for number in range(count)] if template is None else []
    flags: dict[str, Any] = {"strategy": "simple_one_for_one"} if template is not None else {}
    sys.setprofile(counting)
    try:
        async with supervised([template] if template is not None else static, **flags) as (_, sup):
            if template is not None:
                for _ in range(count):
                    await sup.start_child()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("kind", ["static", "simple_one_for_one"])
async def test_scale_start_stop_many_children(kind: str) -> None:
    """Ten times the children are ten times the work to start and stop, and not a hundred times."""
    world = World()
    template = None if kind == "static" else world.spec("job", restart="temporary")
    few, many = await _work(template, 200), await _work(template, 2_000)
    assert many < 12 * few


async def test_simple_one_for_one_scale_many_temporary_children() -> None:
    """Starting and ending many temporary children costs each the same, however many there are."""
    world = World()
    template = world.spec("job", restart="temporary")
    costs: list[int] = []
    for count in (100, 1_000):
        flags: dict[str, Any] = {"strategy": "simple_one_for_one"}
        async with supervised([template], **flags) as (_, sup):
            turns = await _turns_until_all_ended(sup, count)
        costs.append(turns)
    assert costs[1] <= costs[0] + 5  # all at once: the loop turns no more often for more of them


async def _turns_until_all_ended(sup: SupervisorRef, count: int) -> int:
    for _ in range(count):
        sup.spawn().tell("normal")
    turns = 0
    while sup.supervision().specs:
        await anyio.lowlevel.checkpoint()
        turns += 1
    return turns


async def test_simple_one_for_one_corruption(caplog: pytest.LogCaptureFixture) -> None:
    """What a temporary child was started with is gone with it, however it ended."""
    caplog.set_level(logging.CRITICAL, "runtime.actors")  # a captured record holds its traceback
    world = World()
    template = world.spec("job", restart="temporary")
    async with supervised([template], strategy="simple_one_for_one") as (system, sup):
        arguments = [set("abc") for _ in range(4)]
        memory = [weakref.ref(argument) for argument in arguments]
        refs = [the(await sup.start_child(argument)) for argument in arguments]
        refs[0].tell("normal")
        refs[1].tell("crash")
        refs[2].kill()
        await sup.terminate_child(refs[3])
        await settle()
        del arguments, refs
        gc.collect()
        assert await sup.which_children() == []
        assert [entry() for entry in memory] == [None] * 4
        assert "crashed: Crash('job')" in {str(report.reason) for report in system.reports}


async def test_a_killed_supervisor_lets_go_of_children_that_waited_for_a_restart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No pending back-off holds what they were started with."""
    caplog.set_level(logging.CRITICAL, "runtime.actors")
    world = World()
    hour = Backoff(first=3_600.0, longest=3_600.0)
    template = world.spec("job")
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", "backoff": hour}
    async with supervised([template], **flags) as (_, sup):
        argument = set("abc")
        memory = weakref.ref(argument)
        the(await sup.start_child(argument)).tell("crash")
        await settle()
        del argument
        assert memory() is not None
        sup.kill()
        await settle()
        gc.collect()
        assert memory() is None
