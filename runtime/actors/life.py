"""The life behind an address: how an actor is started and fed.

Theory of operation. A life goes new -> running -> dead, or running -> restarting -> new when its
supervisor keeps its address. A running actor is *idle* (no task at all) or *active* (one task
drains its mailbox). ``_run`` is the whole of an activation: begin if new, drain, end.

Lifetimes are held by the system's task group, so no task outlives the system. How a life ends
stands in ``death.py``, how by force in ``force.py``, and what it handed off in ``jobs.py``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.actors.actor import HANDED_OFF, Actor, Errand
from runtime.actors.death import Mortal
from runtime.actors.errors import ActorGone, Ignore
from runtime.actors.exits import KILLED, NORMAL, Exit
from runtime.actors.futures import settle
from runtime.actors.hooks import run_hook
from runtime.actors.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LINGER = 2  # turns of the loop before an idle actor gives up its task: a prompt sender reuses it
BURST = range(100)  # messages in one turn of the loop; then everybody else has a turn


class Stop(NamedTuple):
    """The control message that ends an actor after the message it handles now."""

    exit: Exit


class Life(Mortal):
    """The private half of an ``ActorRef``."""

    __slots__ = ()

    def _activate(self) -> None:
        if self._active or self._state in ("dead", "restarting"):
            return
        self._active = True
        self._task = self._system.spawn(self._run(), self.name)

    async def _run(self) -> None:
        task = self._task
        exit_: Exit | None = KILLED
        try:
            try:
                if self._kill is None:
                    actor = self._actor
                    if actor is None:
                        actor = self._made()
                        if type(actor).on_start is not Actor.on_start:
                            self.info = await actor.on_start()
                        self._begins(actor)
                    if isinstance(actor, Errand):
                        exit_ = await self._do(actor)
                    else:
                        exit_ = await self._drain(actor)
            except asyncio.CancelledError:
                exit_ = self._killed()
            except Exception as error:  # noqa: BLE001  # a crash is data: the supervisor decides
                exit_ = await self._failed(error)
        except BaseException as error:  # noqa: BLE001  # the system's: it raises what it cannot hold
            self._on_exit = None  # KeyboardInterrupt and SystemExit end the process: no restart
            self._end(KILLED)
            self._system.break_off(error)
            return
        finally:
            self._system.tasks.discard(task)
            self._task = None
        if exit_ is None:
            self._active = False
        else:
            self._end(exit_)

    # --- the beginning ---------------------------------------------------------------------------

    def _made(self) -> Actor:
        if self._factory is None:
            raise ActorGone(f"{self.name} cannot be started again")
        actor = self._factory()
        if not isinstance(actor, Actor):
            raise TypeError(f"{self.name} is to be an Actor, but its factory made {actor!r}")
        if not self._keep_address:
            self._factory = None  # what it was started with must not outlive its use
        actor.ref = self  # type: ignore[assignment]  # every Life is an ActorRef
        self.incarnation += 1
        self._actor = actor
        return actor

    def _begins(self, actor: Actor) -> None:
        if self._kill is not None or self._actor is not actor:
            raise asyncio.CancelledError  # on_start swallowed its kill, or outlived being leaked
        self._state = "running"
        begun, self._begun = self._begun, None
        if begun is not None:
            settle(begun)

    # --- an errand -------------------------------------------------------------------------------

    async def _do(self, errand: Errand) -> Exit:
        """Do all that there is to do."""
        await errand.run()
        if self._kill is not None:
            raise asyncio.CancelledError  # it swallowed its kill
        self._handled += 1
        told = self.mailbox.take_control()
        exit_ = NORMAL if told is None else told.exit
        if type(errand).on_stop is Actor.on_stop:
            return exit_  # the common case: nothing to give back
        return await self._stopped(errand, exit_)

    # --- messages --------------------------------------------------------------------------------

    async def _drain(self, actor: Actor) -> Exit | None:
        """Handle messages until there are none (None) or the actor is told to stop (its exit)."""
        mailbox = self.mailbox
        idle = 0
        while True:
            for _ in BURST:
                if self._kill is not None:
                    raise asyncio.CancelledError  # the last message swallowed it
                control = mailbox.take_control()
                if control is None:
                    envelope = mailbox.take()
                    if envelope is None:
                        break
                    idle = 0
                    message, reply = envelope
                    if reply is not None and reply.done():
                        continue  # the asker has given up
                    self._reply = reply
                    self._answer(await actor.receive(message))
                elif type(control) is Stop:
                    return await self._stopped(actor, control.exit)
                else:
                    await actor.receive(control)
            if idle >= LINGER and not mailbox:
                mailbox.rest()
                return None
            idle += 1
            await asyncio.sleep(0)

    def _answer(self, answer: Any) -> None:
        self._handled += 1
        if answer is not HANDED_OFF:
            reply, self._reply = self._reply, None
            if reply is not None and not reply.done():
                reply.set_result(answer)

    def hand_off(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        """Answer the current message from a task of its own; for the actor itself."""
        reply, self._reply = self._reply, None
        if self._jobs is None:
            self._jobs = Jobs(self._system, self.name)
        self._jobs.start(reply, function, args)

    # --- the hooks at the end --------------------------------------------------------------------

    async def _stopped(self, actor: Actor, exit_: Exit) -> Exit:
        """Run the hook of a stop; an actor whose hook fails has crashed."""
        if self._jobs is not None:
            self._jobs.cancel()
        error = await run_hook(self.name, actor.on_stop, exit_)
        if error is None:
            return exit_
        self._crashed += 1
        return Exit("crashed", f"on_stop failed: {error!r}", error)

    async def _failed(self, error: Exception) -> Exit:
        """Answer the asker, run the hooks of a crash, and return its exit."""
        if self._kill is not None:
            return self._killed()  # however a body takes its kill, it was killed
        self._fail(error)
        if self._state == "new" and isinstance(error, Ignore):
            return Exit("normal", "it asked to be ignored", error)
        self._crashed += 1
        exit_ = Exit("crashed", error=error)
        if self._actor is None or self._state == "new":
            return exit_
        if self._jobs is not None:
            self._jobs.cancel()
        try:
            await run_hook(self.name, self._actor.on_failure, error)
            await run_hook(self.name, self._actor.on_stop, exit_)
        except asyncio.CancelledError:
            return self._killed()
        return exit_
