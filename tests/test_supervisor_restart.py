"""Which exits make a supervisor start a child again, and how often (OTP's restart types)."""

from __future__ import annotations

from functools import partial

import pytest

from runtime.actors import ChildSpec, Counts
from tests.kernel import Probe, World, reported, settle, states, supervised, tell_all, the

RESTARTED: dict[tuple[str, str], bool] = {
    ("permanent", "normal"): True,
    ("permanent", "shutdown"): True,
    ("permanent", "abnormal"): True,
    ("permanent", "killed"): True,
    ("transient", "normal"): False,
    ("transient", "shutdown"): False,
    ("transient", "abnormal"): True,
    ("transient", "killed"): True,
    ("temporary", "normal"): False,
    ("temporary", "shutdown"): False,
    ("temporary", "abnormal"): False,
    ("temporary", "killed"): False,
}
CASES = [pytest.param(*case, id="_".join(case)) for case in RESTARTED]
EXPECTED_END = ("normal", "shutdown")


@pytest.mark.parametrize(("restart", "ending"), CASES)
async def test_child_exit(restart: str, ending: str) -> None:
    """A child's restart type and its exit decide: again, kept without an actor, or forgotten."""
    world = World()
    async with supervised([world.spec("one", restart=restart)]) as (system, sup):
        first = the(sup.child("one"))
        if ending == "killed":
            first.kill()
        else:
            first.tell("crash" if ending == "abnormal" else ending)
        await settle()

        assert not first.alive
        again = RESTARTED[restart, ending]
        assert world.starts["one"] == (2 if again else 1)
        if again:
            assert the(sup.child("one")) is not first
            assert await sup.count_children() == Counts(1, 1, 0, 1)
            assert reported(system) == [("child_terminated", "one"), ("restart", "one")]
            return
        assert sup.child("one") is None
        kept = 0 if restart == "temporary" else 1
        assert await sup.count_children() == Counts(kept, 0, 0, kept)
        assert len(system.reports) == (0 if ending in EXPECTED_END else 1)
        if kept:
            assert the(await sup.restart_child("one")).incarnation == 1


@pytest.mark.parametrize(("restart", "ending"), CASES)
async def test_child_exit_simple(restart: str, ending: str) -> None:
    """The same table holds under a template, where whatever is not restarted is forgotten."""
    world = World()
    template = world.spec("job", restart=restart)
    async with supervised([template], strategy="simple_one_for_one") as (_, sup):
        first = sup.spawn()
        await settle()
        if ending == "killed":
            first.kill()
        else:
            first.tell("crash" if ending == "abnormal" else ending)
        await settle()
        again = RESTARTED[restart, ending]
        assert world.starts["job"] == (2 if again else 1)
        assert await states(sup) == ({"job#1": "running"} if again else {})


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_temporary_bystander(strategy: str) -> None:
    """A temporary sibling goes down with a collective restart, stays down, costs nothing."""
    world = World()
    specs = [world.spec("one"), world.spec("two", restart="temporary")]
    async with supervised(specs, strategy=strategy, intensity=1) as (_, sup):
        one, two = the(sup.child("one")), the(sup.child("two"))
        one.tell("crash")
        await settle()
        assert not two.alive
        assert await states(sup) == {"one": "running"}
        assert world.starts == {"one": 2, "two": 1}
        assert sup.supervision().restarts == 1


async def test_a_collective_restart_counts_once() -> None:
    """However many siblings go with it, one crash spends one restart."""
    world = World()
    specs = [world.spec(f"child {number}") for number in range(10)]
    async with supervised(specs, strategy="one_for_all", intensity=1) as (_, sup):
        the(sup.child("child 3")).tell("crash")
        await settle()
        assert sup.alive
        assert sum(world.starts.values()) == 20


async def test_siblings_that_crash_at_the_same_moment_count_once_where_they_restart_together() -> (
    None
):
    """A crash that was already stopped with the others is not a second failure."""
    world = World()
    specs = [world.spec(id_, keep_address=kept) for id_, kept in (("a", True), ("b", False))]
    async with supervised(specs, strategy="one_for_all", intensity=1) as (_, sup):
        tell_all("crash", sup.child("a"), sup.child("b"))
        await settle()
        assert await states(sup) == {"a": "running", "b": "running"}
        assert world.starts == {"a": 2, "b": 2}
        assert sup.supervision().restarts == 1


async def test_a_child_with_a_bound_of_its_own_answers_for_itself() -> None:
    """Its restarts do not count against the intensity, and one too many leaves it ended."""
    world = World()
    specs = [world.spec("own", max_restarts=3), world.spec("other")]
    async with supervised(specs, intensity=0) as (system, sup):
        for attempt in range(1, 4):
            the(sup.child("own")).tell("crash")
            await settle()
            assert world.starts["own"] == attempt + 1
        the(sup.child("own")).tell("crash")
        await settle()
        assert await states(sup) == {"own": "stopped", "other": "running"}
        assert reported(system).count(("child_terminated", "own")) == 4
        assert reported(system).count(("restart", "own")) == 3
        assert ("shutdown", "own") not in reported(system)


async def test_a_childs_failing_restarts_count_against_its_own_bound() -> None:
    """A start that fails is an attempt like any other."""
    world = World()
    async with supervised([world.spec("own", max_restarts=3)], intensity=0) as (_, sup):
        world.fail("own")
        the(sup.child("own")).tell("crash")
        await settle()
        assert world.starts["own"] == 4
        assert await states(sup) == {"own": "stopped"}


@pytest.mark.parametrize("first", ["a", "b", "c"])
async def test_a_sibling_that_has_used_up_its_own_bound_does_not_keep_the_others_down(
    first: str,
) -> None:
    """It is left ended; those that went down with it come up, whoever crashed first."""
    world = World()
    specs = [world.spec("a"), world.spec("b", max_restarts=1), world.spec("c")]
    async with supervised(specs, strategy="one_for_all", intensity=9) as (_, sup):
        world.fail("b")
        the(sup.child(first)).tell("crash")
        await settle()
        assert await states(sup) == {"a": "running", "b": "stopped", "c": "running"}
        assert sup.supervision().restarts == (1 if first == "b" else 2)


class Hasty(Probe):
    """A probe whose first message is there before its supervisor hears that it began."""

    def __init__(self, world: World, first: str) -> None:
        super().__init__(world, "hasty")
        self.first = first

    async def on_start(self) -> None:
        await super().on_start()
        self.ref.tell(self.first)


@pytest.mark.parametrize("kept", [False, True])
async def test_a_child_that_ends_in_the_step_of_its_start_is_seen_to_have_ended(
    *, kept: bool
) -> None:
    """Nothing gets lost between a child's start and its supervisor hearing of it."""
    world = World()
    start = partial(Hasty, world)
    transient = ChildSpec("t", start, ("normal",), restart="transient", keep_address=kept)
    async with supervised([transient], intensity=0) as (_, sup):
        await settle()
        assert await states(sup) == {"t": "stopped"}
        permanent = ChildSpec("p", start, ("crash",), keep_address=kept)
        ref = await sup.start_child(permanent)
        world.watch(ref)
        await settle()
        assert not sup.alive
        assert world.ended() == {"p": "crashed"}
        assert world.starts == {"hasty": 2}


async def test_a_templates_child_that_ends_in_the_step_of_its_start_is_forgotten() -> None:
    """Its starter gets the address all the same, and can see how it ended."""
    world = World()
    template = ChildSpec("job", partial(Hasty, world), restart="temporary")
    async with supervised([template], strategy="simple_one_for_one") as (_, sup):
        ref = await sup.start_child("normal")
        assert ref is not None
        assert str(ref.exit) == "normal"
        assert await sup.which_children() == []
