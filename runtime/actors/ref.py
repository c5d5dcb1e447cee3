"""The address of an actor: everything that others may do to it.

``tell`` and ``ask`` are synchronous: they place the message and, if the actor is idle, give it a
task. One future per ask, no lock, no hop through anybody else; so all of it belongs to the event
loop's thread.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runtime.actors.actor import HANDED_OFF, HandedOff
from runtime.actors.death import State, next_id
from runtime.actors.errors import ActorGone, MailboxFull, Unhandled
from runtime.actors.exits import KILLED, SHUTDOWN, Down, Exit
from runtime.actors.life import Life, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actors.actor import Actor

Reply: TypeAlias = "asyncio.Future[Any]"  # what an ask returns


class ActorStatistics(NamedTuple):
    """A snapshot of one actor.

    Attributes:
        name: its name.
        state: where it is in its life.
        active: whether it has a task now.
        incarnation: how many times it was started.
        queued: messages in its mailbox.
        waiting: senders in line for a place.
        handed_off: answers that are still being worked on.
        handled: messages handled in all its incarnations.
        crashed: how many incarnations ended in a crash.
        refused: messages refused because the mailbox was full.
    """

    name: str
    state: State
    active: bool
    incarnation: int
    queued: int
    waiting: int
    handed_off: int
    handled: int
    crashed: int
    refused: int


class ActorRef(Life):
    """The address of an actor.

    Attributes:
        id: a number unique in this process.
        name: what it is called in logs and reports.
        mailbox: what it has not handled yet.
        incarnation: how many times an actor was started behind this address.
        info: what the actor's ``on_start`` returned.
        exit: how the last incarnation ended; None before.
        owner: hears of its death first, and for good: a ``monitor`` that costs nothing to set up,
            for the one who has it started; None for nobody.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        state = "active" if self._active else "idle" if self._state == "running" else self._state
        ended = f" ({self.exit})" if self._state == "dead" else ""
        return (
            f"<ActorRef {self.name} #{self.id} {state}{ended}"
            f" [{len(self.mailbox)}/{self.mailbox.capacity} queued, {self._handled} handled,"
            f" incarnation {self.incarnation}]>"
        )

    # --- what senders use ------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        """Place a message without waiting for anything; to the dead it is a dead letter.

        Raises:
            MailboxFull: there is no place; ``await send(...)`` waits for one where it may.
        """
        try:
            self.mailbox.put(message)
        except ActorGone:
            self._system.dead_letters.add(self.name, "gone", message)
        else:
            if not self._active:
                self._activate()

    async def send(self, message: Any) -> None:
        """Place a message as soon as there is a place; to the dead it is a dead letter.

        Raises:
            MailboxFull: there is no place and the owner refuses.
        """
        try:
            await self.mailbox.put_when_room(message)
        except ActorGone:
            self._system.dead_letters.add(self.name, "gone", message)
        else:
            if not self._active:
                self._activate()

    def ask(self, message: Any) -> asyncio.Future[Any]:
        """Place a message and return the future of its answer.

        The future fails with what ``receive`` raised, with ``ActorGone`` when the message was not
        handled, ``OutcomeUnknown`` when the actor was killed while it held it, ``Unhandled`` when
        it had no use for it, or ``MailboxFull``. Cancelling it takes the message back if it is
        still in the mailbox, and cancels work that was handed off.
        """
        reply: asyncio.Future[Any] = self._system.loop.create_future()
        try:
            self.mailbox.put_ask(message, reply)
        except ActorGone:
            self._system.dead_letters.add(self.name, "gone", message)
            reply.set_exception(ActorGone(f"{self.name} has ended ({self.exit})"))
        except MailboxFull as full:
            reply.set_exception(full)
        else:
            if not self._active:
                self._activate()
        return reply

    def stop(self, exit_: Exit = SHUTDOWN) -> None:
        """End the actor after the message that it handles now; does nothing to the dead."""
        if self._state == "new" and not self._active:
            self._end(exit_)
            return
        self.mailbox.put_control(Stop(exit_))
        if not self._active:
            self._activate()

    def monitor(self, watcher: ActorRef | Callable[[Down], None]) -> Callable[[], None]:
        """Watch for the actor's death: exactly one ``Down``, at once if it is dead already.

        A kept address dies when its supervisor gives it up, not when one incarnation ends.

        Args:
            watcher: an actor, which gets the ``Down`` behind earlier messages, or a function.

        Returns:
            A function that ends the watch.
        """
        notify = watcher.notice if isinstance(watcher, ActorRef) else watcher
        if self._state == "dead":
            self._notify(notify, self.exit or KILLED)
            return lambda: None
        monitors = self._monitors = self._monitors if self._monitors is not None else {}
        key = next_id()
        monitors[key] = notify

        def demonitor() -> None:
            monitors.pop(key, None)

        return demonitor

    def statistics(self) -> ActorStatistics:
        """Return a snapshot of this actor."""
        return ActorStatistics(
            name=self.name,
            state=self._state,
            active=self._active,
            incarnation=self.incarnation,
            queued=len(self.mailbox),
            waiting=self.mailbox.waiting,
            handed_off=len(self._jobs or ()),
            handled=self._handled,
            crashed=self._crashed,
            refused=self.mailbox.refused,
        )

    @property
    def alive(self) -> bool:
        """Whether messages are still taken."""
        return self._state != "dead"

    @property
    def now(self) -> float:
        """The time, in seconds of the event loop's clock."""
        return self._system.loop.time()

    # --- what supervisors and the actor itself use -----------------------------------------------

    @property
    def actor(self) -> Actor | None:
        """The actor behind the address, for its owner; None while there is none."""
        return self._actor

    def control(self, message: Any) -> None:
        """Place a message that overtakes all others; for supervisors' own events."""
        self.mailbox.put_control(message)
        if self._state == "running":
            self._activate()

    def notice(self, message: Any) -> None:
        """Place a message of the kernel's own, as a ``Down``, behind those that are there."""
        self.mailbox.put_notice(message)
        self._activate()

    def refuse(self, message: Any) -> HandedOff:
        """Make the current message a dead letter and an error for its asker."""
        self._system.dead_letters.add(self.name, "unhandled", message)
        return self.fail(Unhandled(f"{self.name} has no use for a {type(message).__name__}"))

    def fail(self, error: Exception) -> HandedOff:
        """Answer the current message with an error without crashing; ``receive`` returns it."""
        self._fail(error)
        return HANDED_OFF

    def start(self) -> None:
        """Start the actor without waiting for its ``on_start``."""
        self._activate()

    async def started(self) -> None:
        """Start the actor and return when its ``on_start`` is done.

        Raises:
            Exception: what its factory or ``on_start`` raised, or ``ActorGone`` when it was killed.
        """
        self._begun = asyncio.get_running_loop().create_future()
        self._activate()
        await self._begun

    def ended(self) -> asyncio.Future[Exit]:
        """Return a future of this incarnation's end; nobody else is hurt when it is cancelled."""
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        if self._state in ("dead", "restarting"):
            ended.set_result(self.exit or KILLED)
        else:
            self._ended = [waiting for waiting in self._ended or () if not waiting.done()]
            self._ended.append(ended)
        return ended

    def revive(self) -> None:
        """Prepare a kept address for its next incarnation; its mailbox is as it was."""
        self._state = "new"
        self.exit = None


async def end_all(refs: Sequence[ActorRef], grace: float) -> None:
    """End actors: within ``grace`` seconds (``inf`` for ever) by themselves, else by force.

    Args:
        refs: at least one.
        grace: 0 kills at once.
    """
    ended = [ref.ended() for ref in refs]
    if grace > 0:
        for ref, end in zip(refs, ended, strict=True):
            if not end.done():
                ref.stop(SHUTDOWN)
        await asyncio.wait(ended, timeout=None if grace == inf else grace)
    for ref, end in zip(refs, ended, strict=True):
        if not end.done():
            ref.kill()
    await asyncio.wait(ended)  # bounded: a body that resists is leaked after a second
