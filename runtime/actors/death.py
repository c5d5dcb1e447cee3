"""The end of a life: its own, by force, or given up by its supervisor.

``_end`` is the end of one incarnation, ``bury`` that of the address. An address that is kept is
not buried with its incarnation: it waits in the state ``restarting``, and its mailbox with it.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any, Literal

from runtime.actors.child import RestartDue
from runtime.actors.errors import ActorGone, OutcomeUnknown, SpecError
from runtime.actors.exits import KILLED, LEAKED, Down, Exit
from runtime.actors.force import Kill, has_begun
from runtime.actors.futures import settle
from runtime.actors.hooks import call_hook
from runtime.actors.mailbox import Mailbox

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from runtime.actors.actor import Actor
    from runtime.actors.jobs import Jobs
    from runtime.actors.ref import ActorRef
    from runtime.actors.system import ActorSystem

logger = logging.getLogger("runtime.actors")

State = Literal["new", "running", "restarting", "dead"]

NOTICES = (Down, RestartDue)  # the kernel's own messages, which nobody misses

next_id = itertools.count(1).__next__


class Mortal:
    """The private half of a ``Life``: what it is, and how it ends."""

    __slots__ = (
        "_active", "_actor", "_begun", "_crashed", "_ended", "_factory", "_handled", "_jobs",
        "_keep_address", "_kill", "_monitors", "_on_exit", "_reply", "_state", "_system", "_task",
        "exit", "id", "incarnation", "info", "mailbox", "name", "owner",
    )  # fmt: skip

    def __init__(  # noqa: PLR0917  # made so often that names would cost
        self,
        system: ActorSystem,
        name: str,
        factory: Callable[[], Actor],
        mailbox: Mailbox | None = None,
        on_exit: Callable[[ActorRef, Exit], None] | None = None,
        keep_address: bool = False,
    ) -> None:
        self.id = next_id()
        self.name = name
        self.mailbox = mailbox if mailbox is not None else Mailbox()
        if self.mailbox.closed:
            raise SpecError(f"{name}: an actor needs a mailbox of its own, not one of the dead")
        self.incarnation = 0
        self.info: Any = None
        self.exit: Exit | None = None
        self.owner: Callable[[Down], None] | None = None
        self._system = system
        self._factory: Callable[[], Actor] | None = factory
        self._on_exit = on_exit
        self._keep_address = keep_address
        self._actor: Actor | None = None
        self._state: State = "new"
        self._active = False
        self._task: asyncio.Task[Any] | None = None
        self._reply: asyncio.Future[Any] | None = None
        self._begun: asyncio.Future[None] | None = None
        self._ended: list[asyncio.Future[Exit]] | None = None
        self._monitors: dict[int, Callable[[Down], None]] | None = None
        self._jobs: Jobs | None = None
        self._kill: Kill | None = None
        self._handled = 0
        self._crashed = 0

    # --- of an incarnation -----------------------------------------------------------------------

    def _end(self, exit_: Exit) -> None:
        """The incarnation is over: tell its starter, or else its supervisor, which decides."""
        if self._state in ("dead", "restarting"):
            return
        if not self._active:
            self._drop()  # killed while idle
        self._release()
        self.exit = exit_
        if self._keep_address and self._on_exit is not None:
            self._state = "restarting"
        else:
            self.bury(exit_)
        if self._ended is not None:
            ended, self._ended = self._ended, None
            for waiting in ended:
                settle(waiting, exit_)
        if self._begun is not None:
            begun, self._begun = self._begun, None
            settle(begun, error=exit_.error or ActorGone(f"{self.name} ended while it started"))
        elif self._on_exit is not None:
            self._on_exit(self, exit_)  # type: ignore[arg-type]  # every Mortal is an ActorRef

    def _release(self) -> None:
        """Let go of whatever belongs to the incarnation and not to the address."""
        if self._jobs is not None:
            jobs, self._jobs = self._jobs, None
            jobs.close()
        if self._kill is not None:
            kill, self._kill = self._kill, None
            kill.release()
        self._active = False
        self._actor = None
        self.mailbox.clear_control()

    def _drop(self) -> None:
        """Take the actor off its address; it may await nothing any more."""
        actor, self._actor = self._actor, None
        if actor is not None:
            call_hook(self.name, actor.on_killed)

    def _killed(self) -> Exit:
        self._fail(OutcomeUnknown(f"{self.name} was killed while it held the message"))
        self._drop()
        return KILLED

    def _fail(self, error: Exception) -> None:
        reply, self._reply = self._reply, None
        settle(reply, error=error)

    # --- by force --------------------------------------------------------------------------------

    def kill(self) -> None:
        """End the actor now, in the middle of whatever it does; ``on_stop`` does not run."""
        if not self._active:
            self._end(KILLED)
        elif self._kill is None:
            self._kill = Kill(self._tasks, self._leak)
            self._kill.attempt()

    def discard(self) -> None:
        """Kill the actor, and give the address up even if it would be kept."""
        self._keep_address = False
        if self._state == "restarting":
            self.bury(KILLED)
        else:
            self.kill()

    def _tasks(self) -> tuple[asyncio.Task[Any], ...]:
        return () if self._task is None or not has_begun(self._task) else (self._task,)

    def _leak(self) -> None:
        """Cut a body that swallows every cancellation off from its address."""
        logger.error("leaked: it swallows every cancellation", extra={"actor": self.name})
        self._system.leaked += 1
        self._killed()
        self._keep_address = False  # whatever it still does must not meet its successor
        self._end(LEAKED)

    # --- of the address --------------------------------------------------------------------------

    def bury(self, exit_: Exit) -> None:
        """Give the address up: answer every waiting asker and tell every watcher."""
        if self._state == "dead":
            return
        self._state = "dead"
        self.exit = exit_
        self._factory = None
        for message, reply in self.mailbox.close():
            if reply is None:
                self._left_behind(message)
            else:
                settle(reply, error=ActorGone(f"{self.name} ended first ({exit_})"))
        owner, self.owner = self.owner, None
        if owner is not None:
            self._notify(owner, exit_)
        monitors, self._monitors = self._monitors, None
        while monitors:  # one watcher may end the watch of another
            self._notify(monitors.pop(next(iter(monitors))), exit_)

    def _notify(self, watcher: Callable[[Down], None], exit_: Exit) -> None:
        call_hook(self.name, watcher, Down(self, exit_))  # type: ignore[arg-type]  # every Mortal is an ActorRef

    def _left_behind(self, message: Any) -> None:
        if not isinstance(message, NOTICES):
            self._system.dead_letters.add(self.name, "left behind", message)
