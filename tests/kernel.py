"""What the kernel's tests share: children that do what they are told, and a record of it.

``World`` keeps the record and the plans; ``Probe`` is the child. ``settle`` lets the virtual clock
run on by a microsecond, which it does only when nothing else is left to do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import anyio

from runtime.actors import (
    NORMAL,
    SHUTDOWN,
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Down,
    Exit,
    Ignore,
    Supervisor,
    SupervisorRef,
    actor_system,
)
from runtime.backoff import NO_DELAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


class Crash(Exception):
    """What a probe raises when it is told to crash."""


class World:
    """What the probes of one test did, and what they are to do at their next start.

    Attributes:
        events: ``<id> starts``, ``<id> stops`` and ``<id> is killed``, in order.
        starts: how many times each id was started, failed starts included.
        downs: the exits of all watched addresses, by name.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.starts: Counter[str] = Counter()
        self.downs: list[tuple[str, Exit]] = []
        self.release = anyio.Event()
        self._failures: defaultdict[str, float] = defaultdict(float)
        self._ignored: set[str] = set()

    def spec(self, id_: str, **fields: Any) -> ChildSpec:
        """Return the spec of a probe."""
        return ChildSpec(id_, partial(Probe, self, id_), **fields)

    def fail(self, id_: str, times: float = inf) -> None:
        """Let the next starts of a child fail; 0 lets them succeed again."""
        self._failures[id_] = times

    def ignore(self, id_: str) -> None:
        """Let every start of a child ask to be ignored."""
        self._ignored.add(id_)

    def began(self, id_: str) -> None:
        """Note a start, and fail it if that is the plan.

        Raises:
            Ignore: the child is to be ignored.
            Crash: the start is to fail.
        """
        self.starts[id_] += 1
        if id_ in self._ignored:
            raise Ignore
        if self._failures[id_] > 0:
            self._failures[id_] -= 1
            raise Crash(f"{id_} does not start")
        self.events.append(f"{id_} starts")

    def watch(self, *refs: ActorRef | None) -> None:
        """Record the ends of these."""
        for ref in refs:
            assert ref is not None
            ref.monitor(self._down)

    def _down(self, down: Down) -> None:
        self.downs.append((down.ref.name, down.exit))

    def ended(self) -> dict[str, str]:
        """Return how each watched address ended; fails if one ended twice."""
        kinds: dict[str, str] = {}
        for name, exit_ in self.downs:
            assert name not in kinds, f"{name} ended twice"
            kinds[name] = exit_.kind
        return kinds


class Probe(Actor):
    """A child that does what it is told.

    Args:
        world: where it records what it does.
        id_: its name in the record.
        extra: what it tells the one who starts it.
        last: awaited in ``on_stop``, e.g. a sleep or a crash.
    """

    def __init__(self, world: World, id_: str, *extra: Any, last: Any = None) -> None:
        self.world = world
        self.id = id_
        self.extra = extra
        self.last = last

    async def on_start(self) -> Any:
        self.world.began(self.id)
        return self.extra

    async def receive(self, message: Any) -> Any:
        if message == "crash":
            raise Crash(self.id)
        if message == "normal":
            self.stop(NORMAL)
        elif message == "shutdown":
            self.stop(SHUTDOWN)
        elif message == "hang":
            await anyio.sleep_forever()
        elif message == "resist":
            await resist(self.world.release)
        elif message == "resist once":
            await resist_once()
        return message

    async def on_stop(self, exit_: Exit) -> None:
        self.world.events.append(f"{self.id} stops")
        if self.last is not None:
            await self.last()

    def on_killed(self) -> None:
        self.world.events.append(f"{self.id} is killed")


async def resist(release: anyio.Event) -> None:
    """Swallow every cancellation until the test lets go, or a thousand of them."""
    for _ in range(1_000):
        try:
            await release.wait()
        except anyio.get_cancelled_exc_class():
            continue
        return


async def resist_once() -> None:
    """Swallow one cancellation, then go on as if nothing had been."""
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        await anyio.sleep_forever()


async def settle() -> None:
    """Return when nothing is left to do at this moment of the virtual clock."""
    await anyio.sleep(1e-6)


@asynccontextmanager
async def supervised(
    children: Iterable[ChildSpec] = (), **flags: Any
) -> AsyncIterator[tuple[ActorSystem, SupervisorRef]]:
    """Open a system with one supervisor, by default without a delay before a restart."""
    flags.setdefault("backoff", NO_DELAY)
    specs = tuple(children)
    async with actor_system() as system:
        yield system, await system.supervise(partial(Supervisor, specs, **flags), name="sup")


def supervisor_spec(id_: str, children: Iterable[ChildSpec] = (), **flags: Any) -> ChildSpec:
    """Return the spec of a supervisor; ``restart`` and ``significant`` are its own, not a flag."""
    fields = {key: flags.pop(key) for key in ("restart", "significant", "shutdown") if key in flags}
    flags.setdefault("backoff", NO_DELAY)
    return ChildSpec(
        id_, partial(Supervisor, tuple(children), **flags), type="supervisor", **fields
    )


def the(ref: ActorRef | None) -> ActorRef:
    """Return the address of a child that must be there."""
    assert ref is not None
    assert ref.alive
    return ref


def under(ref: ActorRef | None) -> SupervisorRef:
    """Return the address of a sub-supervisor that must be there."""
    assert isinstance(ref, SupervisorRef)
    assert ref.alive
    return ref


def tell_all(message: str, *refs: ActorRef | None) -> None:
    """Tell several children the same."""
    for ref in refs:
        the(ref).tell(message)


async def states(sup: SupervisorRef) -> dict[Any, str]:
    """Return the state of every child, in start order."""
    return {info.id: info.state for info in await sup.which_children()}


def reported(system: ActorSystem) -> list[tuple[str, Any]]:
    """Return what was reported of whom, in order."""
    return [(report.context, report.child) for report in system.reports]


class Waking(Probe):
    """A probe whose second start, and each later one, waits until the test lets go."""

    async def on_start(self) -> Any:
        extra = await super().on_start()
        if self.world.starts[self.id] > 1:
            await self.world.release.wait()
        return extra


def waking(world: World, id_: str, **fields: Any) -> ChildSpec:
    """Return the spec of such a child."""
    return ChildSpec(id_, partial(Waking, world, id_), **fields)
