"""What one writes to make an actor: a class with ``receive``, and hooks for its life.

An actor handles one message at a time, so its fields need no lock. It has no task while it is idle;
the first message gives it one. All its methods run on the event loop and must not block it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actors.exits import NORMAL, Exit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actors.ref import ActorRef


class HandedOff:
    """What ``receive`` returns when the answer is given in another way, as by ``hand_off``."""

    __slots__ = ()


HANDED_OFF = HandedOff()


class Actor:
    """The base of all actors.

    Attributes:
        ref: the address of this actor; there from just before ``on_start``.
    """

    ref: ActorRef

    async def on_start(self) -> Any:
        """Prepare; runs once, before the first message, in the actor's task.

        A supervisor waits for it and does nothing else meanwhile: bound what may hang.

        Returns:
            Anything that the one who started it should know; it becomes ``ref.info``.

        Raises:
            Ignore: there is nothing to do: do not start, without an error.
            Exception: the start fails with it.
        """
        return None

    async def receive(self, message: Any) -> Any:
        """Handle one message. What it returns answers an ``ask``; an exception is a crash."""
        return self.unhandled(message)

    async def on_failure(self, error: Exception) -> None:
        """Look at the exception that crashed the actor; runs before ``on_stop``."""

    async def on_stop(self, exit_: Exit) -> None:
        """Give back what the actor holds; runs last unless it is killed.

        When it raises, the actor has crashed with that.
        """

    def on_killed(self) -> None:
        """Drop what the actor holds, without awaiting anything; runs last when it is killed.

        It may have been killed in the middle of ``on_start`` or ``on_stop``.
        """

    def stop(self, exit_: Exit = NORMAL) -> None:
        """End this actor after the message that it handles now."""
        self.ref.stop(exit_)

    def unhandled(self, message: Any) -> HandedOff:
        """Say that this actor has no use for ``message``: a dead letter, an error for its asker."""
        return self.ref.refuse(message)

    def hand_off(self, function: Callable[..., Awaitable[Any]], *args: Any) -> HandedOff:
        """Answer the current message later, from a task of its own: ``return self.hand_off(f, x)``.

        The result or exception of ``await function(*args)`` goes to the asker. The task is
        cancelled when the asker gives up or the actor ends, so one actor may have many calls in
        flight and still leaves nothing behind.
        """
        self.ref.hand_off(function, args)
        return HANDED_OFF


class Errand(Actor):
    """The base of actors that do one thing, at once, and end: no message has to tell them.

    What comes in the meantime is left behind; a stop waits for the end of the errand.
    """

    async def run(self) -> None:
        """Do it, in the actor's task; an exception is a crash."""
        raise NotImplementedError
