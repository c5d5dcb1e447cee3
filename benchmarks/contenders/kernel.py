"""Our actors: asks and tells, what an idle one takes, and restarts."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.crowds import crowd_of
from benchmarks.contenders.driving import Gate, in_batches, told
from runtime.actors import Actor, ChildSpec, Mailbox, Supervisor, actor_system
from runtime.actors.ref import end_all
from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work
    from runtime.actors import ActorRef

ROOM = 100_000


class Echo(Actor):
    """Answers what it was asked."""

    async def receive(self, message: Any) -> Any:
        """Return the message."""
        return message


class Counter(Actor):
    """Counts what it was told."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def receive(self, message: Any) -> None:
        """Count."""
        del message
        self._gate.come()


@asynccontextmanager
async def asks(supervised: bool) -> AsyncIterator[Work]:
    """Asks of an actor, alone or under a supervisor, which costs nothing until something fails."""
    async with actor_system() as system:
        if supervised:
            spec = ChildSpec("echo", Echo, mailbox=lambda: Mailbox(ROOM))
            root = await system.supervise(lambda: Supervisor((spec,)))
            ref: ActorRef | None = root.child("echo")
        else:
            ref = await system.start(Echo, mailbox=Mailbox(ROOM))
        if ref is None:
            raise LookupError("the supervisor has no child")
        ask = ref.ask

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            await in_batches(ask, operations, at_once)
            return {}

        yield work


@asynccontextmanager
async def tells() -> AsyncIterator[Work]:
    """Tells to an actor."""
    gate = Gate()
    async with actor_system() as system:
        ref = await system.start(lambda: Counter(gate), mailbox=Mailbox(ROOM))

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            await told(ref.tell, gate, operations, at_once)
            return {}

        yield work


class Fragile(Actor):
    """Crashes at its first message, and says when it is there again."""

    def __init__(self, crashed: set[int], gate: Gate, number: int) -> None:
        self._crashed = crashed
        self._gate = gate
        self._number = number

    async def on_start(self) -> None:
        """Say that it is there again."""
        if self._number in self._crashed:
            self._gate.come()

    async def receive(self, message: Any) -> None:
        """Crash."""
        del message
        self._crashed.add(self._number)
        raise ValueError("as the bench wants it")


@asynccontextmanager
async def crowd(with_message: bool) -> AsyncIterator[Work]:
    """Many idle actors under one supervisor, as the engine has them; some were asked once."""
    async with actor_system() as system:
        spec = ChildSpec("echo", Echo, restart="temporary")
        root = await system.supervise(
            lambda: Supervisor((spec,), strategy="simple_one_for_one", max_children=1_000_000)
        )

        async def create() -> ActorRef:
            ref = root.spawn()
            if with_message:
                await ref.ask(None)
            return ref

        async def end(refs: list[ActorRef]) -> None:
            for ref in refs:
                root.dismiss(ref)
            await root.count_children()

        yield crowd_of(create, root.count_children, end)


@asynccontextmanager
async def restarts() -> AsyncIterator[Work]:
    """Actors that crash all at once, each restarted by their supervisor without a delay."""
    gate = Gate()
    async with actor_system() as system:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            del at_once
            crashed: set[int] = set()
            spec = ChildSpec("fragile", Fragile, args=(crashed, gate))
            root = await system.supervise(
                lambda: Supervisor(
                    (spec,),
                    strategy="simple_one_for_one",
                    intensity=operations,
                    backoff=Backoff(first=0.0, longest=0.0),
                )
            )
            refs = [root.spawn(number) for number in range(operations)]
            await root.count_children()
            began, cpu = time.perf_counter(), time.process_time()
            again = gate.expect(operations)
            for ref in refs:
                ref.tell(None)
            await again
            told = {
                "wall_s": time.perf_counter() - began,
                "cpu_s": time.process_time() - cpu,
            }
            await end_all((root,), 0.0)
            return told

        logging.disable()  # a crash is an error in the log; its reader is not measured
        try:
            yield work
        finally:
            logging.disable(logging.NOTSET)
