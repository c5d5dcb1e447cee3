"""Trees, counts, hanging restarts, order, memory and growth (the rest of OTP's cases)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from runtime.actors import (
    AlreadyPresent,
    Counts,
    Restarting,
)
from tests.kernel import (
    World,
    reported,
    settle,
    states,
    supervised,
    supervisor_spec,
    the,
    under,
)

ENDLESS = {"intensity": 1_000_000, "period": 10_000.0}


async def test_child_unlink() -> None:
    """A child that hides from every cancellation cannot hang its supervisor: it is leaked."""
    world = World()
    async with supervised([world.spec("hides", shutdown=1.0), world.spec("two")]) as (system, sup):
        hides = the(sup.child("hides"))
        world.watch(hides)
        hides.tell("resist")
        await settle()
        began = anyio.current_time()
        await sup.terminate_child("hides")
        assert anyio.current_time() - began == pytest.approx(
            2.0
        )  # its grace, and a second of kills
        assert world.ended() == {"hides": "killed"}
        assert "leaked" in str(dict(world.downs)["hides"])
        assert reported(system) == [("leaked", "hides")]
        assert system.statistics().leaked == 1
        assert the(await sup.restart_child("hides")) is not hides
        world.release.set()


async def test_tree() -> None:
    """An inner failure stays inside; escalation restarts the static, and drops the dynamic."""
    world = World()
    sub_a = supervisor_spec("sub a", [world.spec("a1"), world.spec("a2")], intensity=1)
    sub_b = supervisor_spec("sub b", [world.spec("b1")], intensity=1)
    async with supervised([sub_a, sub_b], intensity=3) as (_, root):
        a, b = under(root.child("sub a")), under(root.child("sub b"))
        dynamic = the(await a.start_child(world.spec("dynamic")))

        the(a.child("a1")).tell("crash")
        await settle()
        assert (root.child("sub a"), a.child("dynamic")) == (a, dynamic)
        assert world.starts == {"a1": 2, "a2": 1, "b1": 1, "dynamic": 1}

        the(a.child("a1")).tell("crash")
        await settle()
        again = under(root.child("sub a"))
        assert again is not a
        assert not dynamic.alive
        assert await states(again) == {"a1": "running", "a2": "running"}
        assert root.child("sub b") is b
        assert root.supervision().restarts == 1

        await root.terminate_child("sub b")
        assert await states(root) == {"sub a": "running", "sub b": "stopped"}
        assert not b.alive
        assert await states(under(await root.restart_child("sub b"))) == {"b1": "running"}
        assert world.starts == {"a1": 3, "a2": 2, "b1": 2, "dynamic": 1}


async def test_tree_a_terminated_child_comes_back_with_its_supervisor() -> None:
    """What an administrator stopped is started again when the supervisor itself is."""
    world = World()
    sub = supervisor_spec("sub", [world.spec("one"), world.spec("two")], intensity=0)
    async with supervised([sub]) as (_, root):
        await under(root.child("sub")).terminate_child("one")
        the(under(root.child("sub")).child("two")).tell("crash")
        await settle()
        assert await states(under(root.child("sub"))) == {"one": "running", "two": "running"}


async def test_count_restarting_children() -> None:
    """Children that are being restarted count as specs, not as active."""
    world = World()
    specs = [world.spec(f"child {number}") for number in range(8)]
    async with supervised(specs, **ENDLESS) as (_, sup):
        for number, spec in enumerate(specs, start=1):
            world.fail(spec.id)
            the(sup.child(spec.id)).tell("crash")
            await anyio.lowlevel.checkpoint()
            await sup.which_children()
            assert await sup.count_children() == Counts(8, 8 - number, 0, 8)
        assert sup.supervision().restarting == 8
        for spec in specs:
            await sup.terminate_child(spec.id)
        assert await sup.count_children() == Counts(8, 0, 0, 8)
        assert sup.supervision().restarting == 0


async def test_simple_global_supervisor() -> None:
    """After kill, exit and restart, child and supervisor are found under their names again."""
    world = World()
    sub = supervisor_spec("sub", [world.spec("named")], intensity=10)
    async with supervised([sub], intensity=10) as (_, root):
        for end in (the(root.child("sub")).kill, lambda: under(root.child("sub")).stop()):
            before = under(root.child("sub"))
            child = the(before.child("named"))
            child.kill()
            await settle()
            assert the(before.child("named")) is not child
            end()
            await settle()
            after = under(root.child("sub"))
            assert after is not before
            assert the(after.child("named")).alive
            assert not before.alive


HANGING = (("one_for_one", 1), ("rest_for_one", 1), ("one_for_all", 1))


@pytest.mark.parametrize(("strategy", "running"), HANGING)
async def test_hanging_restart_loop(strategy: str, running: int) -> None:
    """While it restarts a child in vain, without any delay, a supervisor answers and can stop."""
    world = World()
    spec = world.spec("bad")
    async with supervised([world.spec("good"), spec], strategy=strategy, **ENDLESS) as (_, sup):
        world.fail("bad")
        the(sup.child("bad")).tell("crash")
        await anyio.lowlevel.checkpoint()
        for _ in range(3):
            with pytest.raises(AlreadyPresent):
                await sup.start_child(spec)
            for request in (sup.restart_child, sup.delete_child):
                with pytest.raises(Restarting):
                    await request("bad")
        assert (await states(sup))["bad"] == "restarting"
        assert world.starts["bad"] > 3
        await sup.terminate_child("bad")
        vain = world.starts["bad"]
        await anyio.sleep(60.0)
        assert world.starts["bad"] == vain
        assert (await sup.count_children()).active <= running
        world.fail("bad", 0)
        assert the(await sup.restart_child("bad")).alive


async def test_hanging_restart_loop_can_be_stopped() -> None:
    """A stop is not kept waiting by the vain restarts."""
    world = World()
    async with supervised([world.spec("bad")], **ENDLESS) as (_, sup):
        world.fail("bad")
        the(sup.child("bad")).tell("crash")
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        sup.stop()
        assert (await sup.ended()).kind == "shutdown"
        assert world.starts["bad"] > 1


async def test_hanging_restart_loop_rest_for_one() -> None:
    """Only the failing child is tried again; those before it run, those after it wait for it."""
    world = World()
    specs = [world.spec(id_) for id_ in "abc"]
    async with supervised(specs, strategy="rest_for_one", **ENDLESS) as (_, sup):
        world.fail("b")
        the(sup.child("a")).tell("crash")
        await anyio.lowlevel.checkpoint()
        for _ in range(5):
            await sup.which_children()
        assert await states(sup) == {"a": "running", "b": "restarting", "c": "stopped"}
        assert world.starts["a"] == 2
        world.fail("b", 0)
        await settle()
        assert await states(sup) == dict.fromkeys("abc", "running")
        assert world.starts["a"] == 2


async def test_hanging_restart_loop_simple() -> None:
    """A template's child that cannot come up is terminated by the address it last ran behind."""
    world = World()
    flags: dict[str, Any] = {"strategy": "simple_one_for_one", **ENDLESS}
    async with supervised([world.spec("job")], **flags) as (_, sup):
        ref = the(await sup.start_child())
        world.fail("job")
        ref.tell("crash")
        await anyio.lowlevel.checkpoint()
        for _ in range(5):
            assert await states(sup) == {"job#1": "restarting"}
        for request in (sup.restart_child, sup.delete_child):
            with pytest.raises(Restarting):
                await request(ref)
        await sup.terminate_child(ref)
        assert await sup.which_children() == []
        vain = world.starts["job"]
        await anyio.sleep(60.0)
        assert world.starts["job"] == vain


async def test_order_of_children() -> None:
    """Started in the order of the specs; stopped in reverse, in a restart and at the end."""
    world = World()
    specs = [world.spec(id_) for id_ in "abcd"]
    async with supervised(specs, strategy="rest_for_one") as (_, sup):
        await sup.start_child(world.spec("e"))
        assert list(await states(sup)) == list("abcde")
        the(sup.child("c")).tell("crash")
        await settle()
        sup.stop()
        await sup.ended()
    started, stopped = [f"{id_} starts" for id_ in "abcde"], [f"{id_} stops" for id_ in "edcba"]
    collective = ["c stops", "e stops", "d stops", "c starts", "d starts", "e starts"]
    assert world.events == [*started, *collective, *stopped]
