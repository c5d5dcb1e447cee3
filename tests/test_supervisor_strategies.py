"""Who is stopped and started with a failed child, and what happens when that fails as well."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from runtime.actors import ChildSpec
from tests.kernel import Probe, World, reported, settle, states, supervised, the

ABC = ("a", "b", "c")


def three(world: World, **fields: Any) -> list[ChildSpec]:
    """Return the specs of a, b and c."""
    return [world.spec(id_, **fields) for id_ in ABC]


async def test_multiple_restarts() -> None:
    """A child that crashes for ever, but slowly enough, is restarted for ever."""
    world = World()
    async with supervised([world.spec("one")], intensity=3, period=10.0) as (_, sup):
        for _ in range(50):
            the(sup.child("one")).tell("crash")
            await anyio.sleep(3.4)  # never more than three within ten seconds
        assert world.starts["one"] == 51
        assert sup.supervision().restarts == 50


async def test_one_for_one() -> None:
    """Siblings are not touched; one failure more than the intensity ends all."""
    world = World()
    async with supervised(three(world), intensity=2) as (system, sup):
        refs = {id_: the(sup.child(id_)) for id_ in ABC}
        world.watch(refs["a"], refs["c"], sup)
        for _ in range(2):
            the(sup.child("b")).tell("crash")
            await settle()
        assert the(sup.child("b")) is not refs["b"]
        assert [sup.child("a"), sup.child("c")] == [refs["a"], refs["c"]]
        the(sup.child("b")).tell("crash")
        await settle()
        assert world.ended() == {"a": "shutdown", "c": "shutdown", "sup": "shutdown"}
        assert "child b needed more than 2 restarts in 5 s" in str(sup.exit)
        assert reported(system)[-1] == ("shutdown", "b")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_escalation(strategy: str) -> None:
    """A child that cannot be started again ends its supervisor and with it all siblings."""
    world = World()
    async with supervised(three(world), strategy=strategy, intensity=4) as (system, sup):
        refs = [the(sup.child(id_)) for id_ in ABC]
        world.watch(sup, *refs)
        world.fail("b")
        refs[1].tell("crash")
        await settle()
        assert not sup.alive
        assert [ref.alive for ref in refs] == [False, False, False]
        assert world.starts["b"] == 1 + 4
        contexts = reported(system)
        assert contexts.count(("restart", "b")) == 4
        assert contexts.count(("start_error", "b")) == 4
        assert contexts.count(("shutdown", "b")) == 1
        assert world.ended()["sup"] == "shutdown"


async def test_one_for_one_escalation() -> None:
    """A sibling is not touched by the vain restarts, and ends when the supervisor does."""
    world = World()
    async with supervised(three(world), intensity=4) as (_, sup):
        world.fail("b")
        the(sup.child("b")).tell("crash")
        await settle()
        assert world.starts == {"a": 1, "b": 5, "c": 1}
        assert world.events[-2:] == ["c stops", "a stops"]


async def test_one_for_all() -> None:
    """All are stopped in reverse and started in order behind new addresses."""
    world = World()
    async with supervised(three(world), strategy="one_for_all", intensity=2) as (_, sup):
        for _ in range(2):
            refs = [the(sup.child(id_)) for id_ in ABC]
            world.events.clear()
            refs[1].tell("crash")
            await settle()
            assert world.events == [
                "b stops", "c stops", "a stops", "a starts", "b starts", "c starts",
            ]  # fmt: skip
            new = [the(sup.child(id_)) for id_ in ABC]
            assert set(new).isdisjoint(refs)
        the(sup.child("b")).tell("crash")
        await settle()
        assert not sup.alive


async def test_one_for_all_escalation() -> None:
    """While the failed one cannot be started, those before it come and go with each attempt."""
    world = World()
    async with supervised(three(world), strategy="one_for_all", intensity=4) as (_, sup):
        world.fail("b")
        the(sup.child("b")).tell("crash")
        await settle()
        assert world.starts == {"a": 5, "b": 5, "c": 1}
        assert not sup.alive


async def test_one_for_all_other_child_fails_restart() -> None:
    """When a sibling fails to start, those already up are stopped and the round is repeated."""
    world = World()
    specs = [world.spec("a"), world.spec("b")]
    async with supervised(specs, strategy="one_for_all", intensity=3) as (system, sup):
        world.fail("b", 2)
        world.events.clear()
        the(sup.child("a")).tell("crash")
        await settle()
        assert world.events == [
            "a stops", "b stops", "a starts", "a stops", "a starts", "a stops", "a starts",
            "b starts",
        ]  # fmt: skip
        assert await states(sup) == {"a": "running", "b": "running"}
        assert sup.supervision().restarts == 3
        assert [child for context, child in reported(system) if context == "restart"] == [
            "a", "b", "b",
        ]  # fmt: skip


async def test_rest_for_one() -> None:
    """Those started after the failed one go with it; those before are not touched."""
    world = World()
    async with supervised(three(world), strategy="rest_for_one", intensity=2) as (_, sup):
        refs = [the(sup.child(id_)) for id_ in ABC]
        world.events.clear()
        refs[1].tell("crash")
        await settle()
        assert world.events == ["b stops", "c stops", "b starts", "c starts"]
        new = [the(sup.child(id_)) for id_ in ABC]
        assert new[0] is refs[0]
        assert set(new[1:]).isdisjoint(refs)
        new[2].tell("crash")
        await settle()
        assert [the(sup.child(id_)) for id_ in "ab"] == new[:2]
        the(sup.child("b")).tell("crash")
        await settle()
        assert not sup.alive


async def test_rest_for_one_escalation() -> None:
    """An earlier sibling lives through the vain restarts and ends with the supervisor."""
    world = World()
    specs = [world.spec("a"), world.spec("b")]
    async with supervised(specs, strategy="rest_for_one", intensity=4) as (_, sup):
        a = the(sup.child("a"))
        world.watch(a)
        world.fail("b")
        the(sup.child("b")).tell("crash")
        await settle()
        assert world.starts == {"a": 1, "b": 5}
        assert world.ended() == {"a": "shutdown"}


async def test_rest_for_one_other_child_fails_restart() -> None:
    """When a later sibling fails to start, only that one is tried again; the started one stays."""
    world = World()
    async with supervised(three(world), strategy="rest_for_one", intensity=3) as (_, sup):
        world.fail("b", 1)
        world.events.clear()
        the(sup.child("a")).tell("crash")
        await settle()
        assert world.events == [
            "a stops", "c stops", "b stops", "a starts", "b starts", "c starts",
        ]  # fmt: skip
        assert world.starts == {"a": 2, "b": 3, "c": 2}
        assert sup.supervision().restarts == 2


async def test_simple_one_for_one() -> None:
    """Each child is on its own: a crash restarts one, and the intensity is that of all together."""
    world = World()
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", "intensity": 2}
    async with supervised([world.spec("job")], **flags) as (_, sup):
        first, second = the(await sup.start_child()), the(await sup.start_child())
        first.tell("crash")
        await settle()
        children = {info.id: info.ref for info in await sup.which_children()}
        assert children["job#2"] is second
        assert the(children["job#1"]) is not first
        for ref in children.values():
            the(ref).tell("crash")
            await settle()
        assert not sup.alive
        assert world.starts["job"] == 4


async def test_simple_one_for_one_shutdown() -> None:
    """All are asked at once, each gets its time, and the stop takes no longer than that."""
    world = World()
    slow = ChildSpec("job", partial(Slow, world), shutdown=3.0)
    async with supervised([slow], strategy="simple_one_for_one") as (_, sup):
        refs = [the(await sup.start_child(seconds)) for seconds in (0.5, 1.0, 2.0, 2.5)]
        world.watch(*refs)
        began = anyio.current_time()
        sup.stop()
        await sup.ended()
        assert anyio.current_time() - began == pytest.approx(2.5)
        assert set(world.ended().values()) == {"shutdown"}


class Slow(Probe):
    """A probe that takes its time to stop."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(world, "slow", last=partial(anyio.sleep, seconds))


async def test_simple_one_for_one_extra() -> None:
    """What a template's child says at its start is with its address, after a restart too."""
    world = World()
    template = world.spec("job", args=("given",))
    async with supervised([template], strategy="simple_one_for_one", intensity=2) as (_, sup):
        first = the(await sup.start_child("further"))
        assert first.info == ("given", "further")
        first.tell("crash")
        await settle()
        (info,) = await sup.which_children()
        assert the(info.ref).info == ("given", "further")


async def test_simple_one_for_one_escalation() -> None:
    """One child that cannot be started again takes its siblings along."""
    world = World()
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", "intensity": 4}
    async with supervised([world.spec("job")], **flags) as (_, sup):
        first, second = the(await sup.start_child()), the(await sup.start_child())
        world.watch(second)
        world.fail("job")
        first.tell("crash")
        await settle()
        assert not sup.alive
        assert world.ended() == {"job#2": "shutdown"}
        assert world.starts["job"] == 2 + 4
