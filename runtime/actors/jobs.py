"""Work that an actor handed off: each answer is worked on in a task of its own.

One ``Jobs`` belongs to one incarnation. When that ends, every asker is answered at once and every
task is cancelled; what a task still does after that reaches nobody.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from runtime.actors.errors import ActorGone, OutcomeUnknown
from runtime.actors.force import Kill, current_task
from runtime.actors.futures import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actors.system import ActorSystem

logger = logging.getLogger("runtime.actors")


class Job:
    """One piece of handed-off work: its asker, and its task once it has begun."""

    __slots__ = ("reply", "task")

    def __init__(self, reply: asyncio.Future[Any] | None) -> None:
        self.reply = reply
        self.task: asyncio.Task[Any] | None = None

    def watch(self) -> None:
        """End the work should its asker give up."""
        if self.reply is not None:
            self.reply.add_done_callback(self.asker_is_settled)

    def let_go(self) -> None:
        """Watch its asker no longer: a callback is a turn of the loop's."""
        if self.reply is not None:
            self.reply.remove_done_callback(self.asker_is_settled)

    def asker_is_settled(self, reply: asyncio.Future[Any]) -> None:
        """End the work if its asker gave up."""
        if reply.cancelled() and self.task is not None:
            self.task.cancel()


class Jobs:
    """The work handed off by one incarnation of an actor."""

    __slots__ = ("_cancelled", "_jobs", "_kill", "_name", "_system")

    def __init__(self, system: ActorSystem, name: str) -> None:
        self._system = system
        self._name = name
        self._jobs: set[Job] = set()
        self._cancelled = False
        self._kill: Kill | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def start(
        self,
        reply: asyncio.Future[Any] | None,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
    ) -> None:
        """Begin to work on an answer."""
        job = Job(reply)
        self._jobs.add(job)
        self._system.spawn(self._work(job, function, args), self._name)

    def cancel(self) -> None:
        """Answer every asker and ask every task to end."""
        if self._cancelled:
            return
        self._cancelled = True
        for job in tuple(self._jobs):
            self._answer_for(job)
            if job.task is not None:
                job.task.cancel()

    def close(self) -> None:
        """Cancel, and do not take no for an answer."""
        self.cancel()
        if self._jobs:
            self._kill = Kill(self._tasks, self._leaked)
            self._kill.wait()

    def _answer_for(self, job: Job) -> None:
        error = (
            ActorGone(f"{self._name} ended before it began to work on the message")
            if job.task is None
            else OutcomeUnknown(f"{self._name} ended while it worked on the message")
        )
        settle(job.reply, error=error)

    async def _work(
        self, job: Job, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
    ) -> None:
        task = job.task = current_task()
        try:
            if not self._is_pointless(job):
                work = function(*args)
                del args  # this frame is in the traceback of what fails, which may be kept
                answer = await work
                job.let_go()
                settle(job.reply, answer)
        except asyncio.CancelledError:
            settle(job.reply, error=OutcomeUnknown(f"{self._name} was cancelled at its work"))
        except Exception as error:  # noqa: BLE001  # it belongs to the asker
            settle(job.reply, error=error)
        except BaseException as error:  # noqa: BLE001  # the system's: it raises what it cannot hold
            settle(job.reply, error=OutcomeUnknown(f"{self._name} was ended at its work"))
            self._system.break_off(error)
        finally:
            self._done(job)
            self._system.tasks.discard(task)

    def _is_pointless(self, job: Job) -> bool:
        """Say whether nobody waits for a job any longer, else end it when its asker gives up."""
        job.watch()
        return self._cancelled or (job.reply is not None and job.reply.done())

    def _done(self, job: Job) -> None:
        self._jobs.discard(job)
        if self._kill is not None and not self._jobs:
            self._kill.release()

    def _tasks(self) -> list[asyncio.Task[Any]]:
        return [job.task for job in self._jobs if job.task is not None]

    def _leaked(self) -> None:
        count = len(self._jobs)
        self._system.leaked += count
        logger.error("leaked handed-off work", extra={"actor": self._name, "count": count})
        self._jobs.clear()
