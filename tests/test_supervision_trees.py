"""Random trees and random ends: whatever happens, a few things are always true."""

from __future__ import annotations

import gc
import logging
import weakref
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.actors import (
    ActorGone,
    ActorRef,
    ActorSystem,
    ChildSpec,
    OutcomeUnknown,
    Supervisor,
    SupervisorRef,
    Unhandled,
    actor_system,
)
from runtime.backoff import NO_DELAY
from tests.kernel import Probe, World, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

RESTARTS = st.sampled_from(["permanent", "transient", "temporary"])
STRATEGIES = st.sampled_from(["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"])
leaves = st.tuples(st.just("leaf"), RESTARTS, st.booleans())
trees = st.recursive(
    leaves,
    lambda inner: st.tuples(
        st.just("supervisor"),
        RESTARTS,
        STRATEGIES,
        st.integers(0, 3),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)
ENDINGS = ("crash", "normal", "shutdown", "kill", "stop", "dismiss", "hang")
steps = st.tuples(st.sampled_from([*ENDINGS, "spawn", "ask"]), st.integers(0, 1_000))


class Counted(Supervisor):
    """A supervisor that the forest can find again."""

    def __init__(self, forest: Forest, *args: Any, **flags: Any) -> None:
        super().__init__(*args, backoff=NO_DELAY, **flags)
        forest.supervisors.append(self)


class Leaf(Probe):
    """A child that says when it lives and when it does not."""

    def __init__(self, forest: Forest) -> None:
        super().__init__(forest.world, "leaf")
        self.forest = forest

    async def on_start(self) -> Any:
        self.forest.living.add(id(self))
        self.forest.memory.append(weakref.ref(self))
        return await super().on_start()

    async def on_stop(self, exit_: Any) -> None:
        self.forest.living.discard(id(self))
        await super().on_stop(exit_)

    def on_killed(self) -> None:
        self.forest.living.discard(id(self))


class Forest:
    """One random tree, and what is known of it from outside.

    Attributes:
        living: the leaves that have started and not ended, by what they say themselves.
        supervisors: every supervisor that was ever made.
        memory: every leaf that was ever made, weakly.
    """

    def __init__(self) -> None:
        self.world = World()
        self.living: set[int] = set()
        self.supervisors: list[Counted] = []
        self.memory: list[weakref.ref[Leaf]] = []
        self.asks: list[Any] = []

    def spec(self, tree: tuple[Any, ...], name: str) -> ChildSpec:
        """Return the spec of a drawn tree."""
        if tree[0] == "leaf":
            _, restart, kept = tree
            return ChildSpec(
                name, partial(Leaf, self), restart=restart, keep_address=kept, shutdown=1.0
            )
        _, restart, strategy, intensity, children = tree
        if strategy == "simple_one_for_one":
            children = children[:1]
        specs = [self.spec(child, f"{name}.{index}") for index, child in enumerate(children)]
        start = partial(Counted, self, specs, strategy=strategy, intensity=intensity)
        return ChildSpec(name, start, restart=restart, type="supervisor")

    def step(self, root: SupervisorRef, kind: str, pick: int) -> None:
        """Do something to one of those that are there."""
        refs = list(walk(root))
        ref = refs[pick % len(refs)]
        if kind == "ask":
            self.asks.append(ref.ask("there?"))
        elif isinstance(ref, SupervisorRef):
            self._to_supervisor(ref, kind)
        elif kind in ("kill", "stop"):
            getattr(ref, kind)()
        elif kind == "dismiss":
            for supervisor in self.supervisors:
                supervisor.dismiss(ref)
        else:
            ref.tell(kind)

    def _to_supervisor(self, ref: SupervisorRef, kind: str) -> None:
        if kind in ("kill", "stop"):
            getattr(ref, kind)()
        elif kind == "spawn":
            try:
                ref.spawn()
            except ActorGone:
                return

    def is_stopping(self) -> bool:
        """Say whether a supervisor waits for a child that hangs."""
        children = (child for each in self.supervisors for child in each.children.values())
        return any(child.state == "stopping" for child in children)

    def check(self, root: SupervisorRef) -> None:
        """What is in the table lives, what lives is in the table."""
        reachable = {id(ref.actor) for ref in walk(root) if isinstance(ref.actor, Leaf)}
        assert reachable == self.living
        for supervisor in self.supervisors:
            for child in supervisor.children.values():
                assert child.state in ("running", "stopped")
                assert (child.state == "running") == (child.ref is not None)
                assert child.state == "running" or child.spec.restart == "transient"
                assert child.timer is None

    def check_after(self, system: ActorSystem) -> None:
        """Nothing of it is left, everybody was answered, and what was reported was counted."""
        assert self.living == set()
        assert system.statistics() == (0, system.dead_letters.total, 0)
        for ask in self.asks:
            assert isinstance(ask.exception(), (ActorGone, OutcomeUnknown, Unhandled, NoneType))
        contexts = [report.context for report in system.reports]
        assert contexts.count("restart") == sum(each.restarts for each in self.supervisors)
        assert not [each for each in self.supervisors if each.children]


def walk(ref: ActorRef) -> Iterator[ActorRef]:
    """Yield an address and all that run below it, if it runs itself."""
    if not ref.alive:
        return
    yield ref
    if isinstance(ref.actor, Supervisor):
        for child in tuple(ref.actor.children.values()):
            if child.ref is not None:
                yield from walk(child.ref)


@settings(deadline=None, max_examples=200)
@given(tree=trees, schedule=st.lists(steps, max_size=25))
async def test_nothing_is_lost_and_nothing_is_left_of_any_tree(
    tree: tuple[Any, ...], schedule: list[tuple[str, int]]
) -> None:
    """After every step the table is the truth, and after the stop there is nothing."""
    logging.getLogger("runtime.actors").disabled = True
    gc.freeze()  # what other tests have left is none of its business, and takes long to look at
    try:
        forest = Forest()
        async with actor_system() as system:
            spec = forest.spec(tree, "top")
            root = await system.supervise(partial(Counted, forest, [spec], intensity=2))
            for kind, pick in schedule:
                if not root.alive:
                    break
                forest.step(root, kind, pick)
                await settle()
                while forest.is_stopping():  # noqa: ASYNC110  # virtual time, and no event for it
                    await anyio.sleep(0.5)
                forest.check(root)
        await settle()
        forest.check_after(system)
        memory = forest.memory
        del forest, spec, root
        gc.collect()
        assert [leaf() for leaf in memory] == [None] * len(memory)
    finally:
        gc.unfreeze()
        logging.getLogger("runtime.actors").disabled = False
