"""What a sender, a caller or a supervisor's owner can be told. A closed set, one sentence each."""

from __future__ import annotations

from typing import Any


class ActorError(Exception):
    """The root of the kernel's own errors."""


class ActorGone(ActorError):
    """The actor has ended and did not handle the message; asking another one is safe."""


class OutcomeUnknown(ActorError):
    """The actor ended while it held the message; what it did with it is not known."""


class MailboxFull(ActorError):
    """The mailbox is full and its owner refuses instead of letting senders wait."""


class Unhandled(ActorError):
    """The actor has no use for such a message."""


class Ignore(ActorError):
    """Raised in ``on_start``: there is nothing to do, do not start me, and that is no error."""


class SpecError(ActorError, ValueError):
    """A child specification or a supervisor's flag is wrong; the message names the field."""


class StartError(ActorError):
    """A child could not be started; the cause is the exception that it raised."""

    def __init__(self, child: str, cause: BaseException) -> None:
        super().__init__(f"child {child!r} could not be started: {cause!r}")
        self.child = child
        self.__cause__ = cause

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, not by the message."""
        return type(self), (self.child, self.__cause__)


class ChildError(ActorError):
    """What was asked of a supervisor does not fit the child's present state."""


class NotFound(ChildError):
    """The supervisor has no such child."""


class AlreadyStarted(ChildError):
    """A child of that id is running."""


class AlreadyPresent(ChildError):
    """A child of that id is specified but not running; restart or delete it."""


class Running(ChildError):
    """The child is running; terminate it first."""


class Restarting(ChildError):
    """The supervisor is trying to restart the child."""


class TooManyChildren(ChildError):
    """The supervisor has as many children as it may have."""
