"""One Delegation on its way through an engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from runtime.actors import ActorRef, Down
    from runtime.engines.place import Place
    from runtime.messages import Delegation

Pending = asyncio.Future[Any]
Reason = Literal["deadline", "cancelled", "crashed", "killed", "queue_full"]


class Ending(NamedTuple):
    """Why a piece of work was ended from outside."""

    reason: Reason
    detail: str


class WorkFailed(Exception):
    """The body did not come to an answer.

    Attributes:
        reason: the class of the failure.
        error: the exception of a crash.
    """

    def __init__(self, reason: Reason, detail: str, error: BaseException | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.error = error


class Body(Protocol):
    """A body at work, as an engine knows it."""

    def interrupt(self) -> None:
        """It is being ended: end what it has under way."""
        ...

    def close(self) -> None:
        """It is over, or cut off: nothing that it started outlives it."""
        ...


class Work:
    """One Delegation on its way.

    Attributes:
        delegation: what is to be done.
        outcome: the future of the answer; fails with ``WorkFailed``. Cancelling it ends the work.
        arguments: the checked input for the first attempt; None where it is to be checked again.
        attempts: how many times a body was started.
        ending: why it was ended from outside; None while it was not.
        ref: the actor that carries it; None while it waits for its turn.
        place: its place at the agent's gate; None when it has none.
        state: the object that keeps the state of a stateful agent.
        timer: the pending deadline.
        since: when it was handed over, in seconds of the event loop's clock.
        body: the body at work on it; None before there is one.
    """

    __slots__ = (
        "arguments",
        "attempts",
        "body",
        "delegation",
        "ending",
        "outcome",
        "place",
        "ref",
        "since",
        "state",
        "timer",
    )

    def __init__(self, delegation: Delegation) -> None:
        loop = asyncio.get_running_loop()
        self.delegation = delegation
        self.since = loop.time()
        self.outcome: asyncio.Future[Any] = loop.create_future()
        self.arguments: Any = None
        self.attempts = 0
        self.ending: Ending | None = None
        self.ref: ActorRef | None = None
        self.place: Place | None = None
        self.state: Any = None
        self.timer: asyncio.TimerHandle | None = None
        self.body: Body | None = None

    def __repr__(self) -> str:
        state = "done" if self.outcome.done() else "running" if self.ref else "waiting"
        return f"<Work {self.delegation.sag_id}/{self.delegation.task_id} {state}>"

    def answer(self, answer: Any) -> None:
        """The body came to an answer; one that comes after its ending is none."""
        self.end()
        if not self.outcome.done():
            self.outcome.set_result(answer)

    def end(self) -> None:
        """It was ended from outside, and nobody waits any longer."""
        if not self.outcome.done() and self.ending is not None:
            self.outcome.set_exception(WorkFailed(*self.ending))

    def down(self, down: Down) -> None:
        """The actor that carried it is gone; if there is no answer now, there will be none."""
        if self.body is not None:
            self.body.close()
            self.body = None
        if self.place is not None:
            self.place.abandon()
        self.end()
        if self.outcome.done():
            return
        exit_ = down.exit
        if exit_.kind == "crashed" and exit_.error is not None:
            failure = crash(exit_.error)
        else:
            failure = WorkFailed("killed", f"its actor was killed ({exit_})")
        self.outcome.set_exception(failure)


def crash(error: BaseException) -> WorkFailed:
    """Return the failure that an exception of the body is."""
    leaf = first_leaf(error)
    return WorkFailed("crashed", f"{type(leaf).__name__}: {leaf}", error)


def first_leaf(error: BaseException) -> BaseException:
    """Return what a task group's exception group was made of, the first of several."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def any_done(pending: list[Pending]) -> Pending:
    """Return one of the futures that is done, as soon as there is one."""
    done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    return next(future for future in pending if future in done)


def new_pending() -> Pending:
    """Return a future of the running event loop."""
    return asyncio.get_running_loop().create_future()
