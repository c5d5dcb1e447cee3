"""The actors that carry Delegations: one for each, or one that keeps its state for many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.actors import Actor, Errand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actors import Exit
    from runtime.engines.work import Work

PATIENCE_S = 1.0  # a stateful actor that does not let go of cancelled work by then is killed


class Worker(Errand):
    """The actor of one Delegation: does it, and ends. Its supervisor starts it again on a crash."""

    def __init__(self, perform: Callable[[Work], Awaitable[Any]], work: Work) -> None:
        self._perform = perform
        self._work = work

    async def run(self) -> None:
        """Do the work."""
        work = self._work
        work.attempts += 1
        work.answer(await self._perform(work))


class Resident(Actor):
    """The actor of a stateful agent: keeps one object, does one piece of work at a time."""

    def __init__(self, perform: Callable[[Work], Awaitable[Any]], make: Callable[[], Any]) -> None:
        self._perform = perform
        self._make = make
        self._state: Any = None
        self._current: Work | None = None
        self._task: asyncio.Task[Any] | None = None
        self._interrupted = False

    async def on_start(self) -> None:
        """Make the object; its own ``on_start`` runs if it has one."""
        self._state = self._make()
        await _call(self._state, "on_start")

    async def receive(self, message: Work) -> Any:
        """Do one piece of work; when only that is cancelled, the object lives on."""
        if message.is_settled or message.ending is not None:
            return None  # it was ended while it stood in line
        message.attempts += 1
        message.state = self._state
        self._current, self._task = message, asyncio.current_task()
        try:
            return await self._perform(message)
        except asyncio.CancelledError:
            if message.ending is None:
                raise
            return None
        finally:
            if self._interrupted and self._task is not None:
                self._task.uncancel()
            self._current = self._task = None
            self._interrupted = False

    def interrupt(self, work: Work) -> None:
        """Cancel a piece of work if it is the one being done; if that does not help, kill."""
        if self._current is not work or self._task is None:
            return
        self._interrupted = True
        self._task.cancel()
        asyncio.get_running_loop().call_later(PATIENCE_S, self._insist, work)

    def _insist(self, work: Work) -> None:
        if self._current is work:
            self.ref.kill()

    async def on_stop(self, exit_: Exit) -> None:
        """Let the object give back what it holds."""
        del exit_
        await _call(self._state, "on_stop")


async def _call(state: Any, hook: str) -> None:
    function = getattr(state, hook, None)
    if function is not None:
        result = function()
        if hasattr(result, "__await__"):
            await result
