"""One Delegation on its way through an engine."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from runtime.actors.callbacks import call_as_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actors import ActorRef, Down
    from runtime.engines.deadlines import Due
    from runtime.engines.place import Place
    from runtime.messages import Delegation

logger = logging.getLogger("runtime.engines")

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


class Pending(asyncio.Future[Any]):
    """What a caller waits for. It hears of its cancellation without a callback for every answer.

    Attributes:
        since: since when it is waited for, in seconds of the event loop's clock.
    """

    __slots__ = ("since",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.since = loop.time()

    @property
    def age(self) -> float:
        """How long it has been waited for, in seconds."""
        return self.get_loop().time() - self.since

    def given_up(self) -> None:
        """Hear that the caller has given it up."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Give it up."""
        is_cancelled = super().cancel(msg)
        if is_cancelled:
            loop = self.get_loop()
            if loop.is_running():
                call_as_task(self.given_up)
            else:  # the whole loop is being ended from outside
                loop.call_soon(self.given_up)
        return is_cancelled


class Work:
    """One Delegation on its way. It is settled once: answered, or failed.

    Attributes:
        delegation: what is to be done.
        due: what has to be done when it has to be; None where it has no deadline.
        settled: called when it is answered or has failed.
        is_settled: whether it is.
        result: the answer; None where there is none.
        failure: why there is no answer; None while there may be one.
        arguments: the checked input for the first attempt; None where it is to be checked again.
        attempts: how many times a body was started.
        ending: why it was ended from outside; None while it was not.
        ref: the actor that carries it; None while it waits for its turn.
        place: its place at the agent's gate; None when it has none.
        state: the object that keeps the state of a stateful agent.
        since: when it was handed over, in seconds of the event loop's clock.
        body: the body at work on it; None before there is one.
        run: the run that it is of, as whoever handed it over knows it.
    """

    __slots__ = (
        "arguments",
        "attempts",
        "body",
        "delegation",
        "due",
        "ending",
        "failure",
        "is_settled",
        "place",
        "ref",
        "result",
        "run",
        "settled",
        "since",
        "state",
    )

    def __init__(
        self, delegation: Delegation, settled: Callable[[Work], None], since: float
    ) -> None:
        self.delegation = delegation
        self.due: Due | None = None
        self.settled = settled
        self.is_settled = False
        self.result: Any = None
        self.failure: WorkFailed | None = None
        self.since = since
        self.arguments: Any = None
        self.attempts = 0
        self.ending: Ending | None = None
        self.ref: ActorRef | None = None
        self.place: Place | None = None
        self.state: Any = None
        self.body: Body | None = None
        self.run: Any = None

    def __repr__(self) -> str:
        state = "done" if self.is_settled else "running" if self.ref else "waiting"
        return f"<Work {self.delegation.sag_id}/{self.delegation.task_id} {state}>"

    def answer(self, answer: Any) -> None:
        """The body came to an answer; one that comes after its ending is none."""
        self.end()
        if not self.is_settled:
            self.result = answer
            self._settle()

    def end(self) -> None:
        """It was ended from outside, and nobody waits any longer."""
        if not self.is_settled and self.ending is not None:
            self.fail(WorkFailed(*self.ending))

    def fail(self, failure: WorkFailed) -> None:
        """There will be no answer."""
        if not self.is_settled:
            self.failure = failure
            self._settle()

    def _settle(self) -> None:
        self.is_settled = True
        if self.due is not None:
            self.due.remove(self)
        try:
            self.settled(self)
        except Exception:  # its own affair: the body has not crashed, and must not run again
            logger.exception("what became of a piece of work could not be told")

    def down(self, down: Down) -> None:
        """The actor that carried it is gone; if there is no answer now, there will be none."""
        if self.body is not None:
            self.body.close()
            self.body = None
        if self.place is not None:
            self.place.abandon()
        if self.is_settled:
            return
        self.end()
        exit_ = down.exit
        if exit_.kind == "crashed" and exit_.error is not None:
            self.fail(crash(exit_.error))
        else:
            self.fail(WorkFailed("killed", f"its actor was killed ({exit_})"))


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
