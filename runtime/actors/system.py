"""An actor system: what holds every actor's lifetime, and what all actors share.

Tasks are asyncio's own, in a set: a task group's cost four times as much to start, and every
Delegation has one. None of them outlives the system.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import anyio

from runtime.actors.callbacks import name_the_event_loop
from runtime.actors.dead_letters import DeadLetters
from runtime.actors.errors import StartError
from runtime.actors.force import KILL_ATTEMPTS, KILL_INTERVAL, has_begun
from runtime.actors.hooks import call_hook
from runtime.actors.ref import ActorRef, end_all
from runtime.actors.spec import WORKER_SHUTDOWN
from runtime.actors.supervisor_ref import SupervisorRef
from runtime.actors.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from runtime.actors.actor import Actor
    from runtime.actors.exits import Exit
    from runtime.actors.mailbox import Mailbox
    from runtime.actors.report import SupervisorReport
    from runtime.actors.supervisor import Supervisor

Ref = TypeVar("Ref", bound=ActorRef)

logger = logging.getLogger("runtime.actors")
REPORTS = 1_000


class SystemStatistics(NamedTuple):
    """A snapshot of an actor system: actors at its top, dead letters, leaked bodies."""

    top: int
    dead_letters: int
    leaked: int


class ActorSystem:
    """Starts top-level actors and holds what every actor shares.

    Attributes:
        dead_letters: messages that reached nobody.
        tasks: those of the actors that are at work; each takes itself out at its end.
        failure: what broke the system; None while it is whole.
        loop: the event loop that all of it belongs to.
        leaked: bodies that swallowed every cancellation and were cut off.
        reports: the last thousand reports of all supervisors, newest last, their errors in words.
        on_report: called with each report, errors included; None calls nobody.
    """

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.dead_letters = DeadLetters()
        self.leaked = 0
        self.reports: deque[SupervisorReport] = deque(maxlen=REPORTS)
        self.on_report: Callable[[SupervisorReport], None] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.failure: BaseException | None = None
        self._scope = scope
        self.loop = asyncio.get_running_loop()
        # An actor's task must not inherit the context of whoever happened to wake it.
        self._context = contextvars.copy_context()
        self._context.run(name_the_event_loop)
        self._top: dict[ActorRef, None] = {}  # in start order

    def __repr__(self) -> str:
        letters = self.dead_letters.total
        return f"<ActorSystem [{len(self._top)} top, {letters} dead letters, {self.leaked} leaked]>"

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[Any]:
        """Run a coroutine in a task whose lifetime the system holds; it takes itself out.

        No task factory is asked: one that starts tasks eagerly would start an actor in its sender.
        """
        context = self._context.copy()
        task = asyncio.Task(work, loop=self.loop, name=name, context=context)
        self.tasks.add(task)
        return task

    def break_off(self, error: BaseException) -> None:
        """End the system: an actor let something out that is no ``Exception``.

        Raises:
            BaseException: it is what ends the process.
        """
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error
        self.failure = self.failure or error
        self._scope.cancel()

    async def start(
        self, factory: Callable[[], Actor], *, name: str = "", mailbox: Mailbox | None = None
    ) -> ActorRef:
        """Start an actor that nobody supervises.

        Raises:
            StartError: the factory or ``on_start`` raised.
        """
        name = name or getattr(factory, "__name__", "actor")
        ref = ActorRef(self, name, factory, mailbox=mailbox, on_exit=self._top_exited)
        return await self._start_top(ref)

    async def supervise(
        self, factory: Callable[[], Supervisor], *, name: str = "root"
    ) -> SupervisorRef:
        """Start a supervisor at the top of the tree.

        Raises:
            StartError: a flag or spec of it is wrong, or a static child of it could not start.
        """
        ref = SupervisorRef(self, name, factory, on_exit=self._top_exited)
        return await self._start_top(ref)

    async def _start_top(self, ref: Ref) -> Ref:
        self._top[ref] = None
        try:
            await ref.started()
        except Exception as error:
            self._top.pop(ref, None)
            raise StartError(ref.name, error) from error
        except BaseException:
            self._top.pop(ref, None)
            ref.kill()  # who would have had its address has given up
            raise
        return ref

    async def stop(self) -> None:
        """Stop the top-level actors, the youngest first, each after the message it handles now.

        A supervisor gets all the time that its children need, another actor five seconds.
        """
        for ref in reversed(tuple(self._top)):
            await end_all((ref,), inf if isinstance(ref, SupervisorRef) else WORKER_SHUTDOWN)

    def kill(self) -> None:
        """Kill whatever is left, the youngest first."""
        for ref in reversed(tuple(self._top)):
            ref.kill()

    async def end(self) -> None:
        """Wait for the last tasks, which are cancelled until they end or have had their time."""
        with anyio.CancelScope(shield=True):
            for _ in range(KILL_ATTEMPTS):
                if not self.tasks:
                    return
                for task in tuple(self.tasks):
                    if has_begun(task):
                        task.cancel()
                await asyncio.wait(self.tasks, timeout=KILL_INTERVAL)
                self.tasks.difference_update([task for task in self.tasks if task.done()])
        logger.error("leaked tasks", extra={"count": len(self.tasks)})

    def report(self, report: SupervisorReport) -> None:
        """Keep and pass on what a supervisor did."""
        self.reports.append(report.without_error())
        if self.on_report is not None:
            call_hook(report.supervisor, self.on_report, report)

    def statistics(self) -> SystemStatistics:
        """Return a snapshot of the system."""
        return SystemStatistics(len(self._top), self.dead_letters.total, self.leaked)

    def _top_exited(self, ref: ActorRef, exit_: Exit) -> None:
        self._top.pop(ref, None)
        if exit_.kind == "crashed":
            logger.error(
                "a top-level actor crashed", exc_info=exit_.error, extra={"actor": ref.name}
            )


@asynccontextmanager
async def actor_system(*, watchdog_s: float | None = None) -> AsyncIterator[ActorSystem]:
    """Open an actor system; on leaving, stop its actors in order and end whatever is left.

    Args:
        watchdog_s: name in the log the actor that blocks the event loop for longer than this many
            seconds; None watches nothing.

    Raises:
        BaseException: what an actor let out that is no ``Exception``; it has ended the system.
    """
    failure: BaseException | None = None
    with anyio.CancelScope() as scope:
        system = ActorSystem(scope)
        watchdog = Watchdog(watchdog_s) if watchdog_s is not None else None
        try:
            try:
                yield system
            except Exception as error:  # noqa: BLE001  # raised below, when all has ended
                failure = error
            await system.stop()
        finally:
            if watchdog is not None:
                watchdog.stop()
            system.kill()
            await system.end()
    if failure := failure or system.failure:
        raise failure
