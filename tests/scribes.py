"""Actors that need no supervisor: one writes down, one hands off, one does as it is told."""

from __future__ import annotations

import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from runtime.actors import Actor
from tests.kernel import Crash

if TYPE_CHECKING:
    from runtime.actors import ActorRef, ActorSystem, Exit

caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")


class Scribe(Actor):
    """Writes down what happens to it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.inside = 0

    async def on_start(self) -> str:
        self.log.append("start")
        return "ready"

    async def receive(self, message: Any) -> Any:
        self.inside += 1
        self.log.append(f"begin {message}")
        await self.work(message)
        self.log.append(f"end {message}")
        self.inside -= 1
        return message

    async def work(self, message: Any) -> None:
        assert self.inside == 1
        if message == "crash":
            raise Crash("told to")
        if message == "who":
            self.log.append(caller.get())
        await anyio.sleep(1.0)

    async def on_failure(self, error: Exception) -> None:
        self.log.append(f"failure {error}")

    async def on_stop(self, exit_: Exit) -> None:
        self.log.append(f"stop {exit_.kind}")

    def on_killed(self) -> None:
        self.log.append("killed")


def log_of(ref: Any) -> list[str]:
    """Return the log of a scribe that is still there."""
    log: list[str] = ref.actor.log
    return log


class HandsOff(Actor):
    """Answers from tasks of their own."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.release = anyio.Event()

    async def receive(self, message: Any) -> Any:
        if message == "hang":
            await anyio.sleep_forever()
        if message == "crash":
            raise Crash("the actor")
        if message == "echo":
            return message
        if message == "its last":
            self.stop()
            return self.hand_off(self.forever)
        return self.hand_off(getattr(self, message))

    async def later(self) -> str:
        await anyio.sleep(10.0)
        return "later"

    async def forever(self) -> None:
        self.log.append("forever began")
        try:
            await anyio.sleep_forever()
        finally:
            self.log.append("forever was cancelled")

    async def fails(self) -> None:
        raise Crash("the work")

    async def resists(self) -> None:
        while not self.release.is_set():
            try:
                await self.release.wait()
            except anyio.get_cancelled_exc_class():
                self.log.append("not me")

    async def kills_its_actor(self) -> str:
        await anyio.sleep(1.0)  # by then the actor is idle, and ends in this very step
        self.ref.kill()
        return "done"


class Stubborn(Actor):
    """Does in each of its methods what it was made for."""

    def __init__(self, log: list[str], **acts: Any) -> None:
        self.log = log
        self.acts = acts

    async def act(self, name: str) -> None:
        self.log.append(name)
        if name in self.acts:
            await self.acts[name]()
            self.log.append(f"{name} done")

    async def on_start(self) -> None:
        await self.act("start")

    async def receive(self, message: Any) -> Any:
        await self.act(str(message))
        return message

    async def on_failure(self, error: Exception) -> None:
        await self.act("failure")

    async def on_stop(self, exit_: Exit) -> None:
        await self.act("stop")

    def on_killed(self) -> None:
        self.log.append("killed")


async def stubborn(system: ActorSystem, log: list[str], **acts: Any) -> ActorRef:
    """Start a stubborn actor."""
    return await system.start(partial(Stubborn, log, **acts), name="stubborn")


async def swallow() -> None:
    """Take a cancellation for nothing."""
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        return


async def turn_into_a_crash() -> None:
    """Make another exception of a cancellation."""
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class() as error:
        raise Crash("cancelled") from error
