"""Worker threads for plain code, bounded per kind of work.

A thread cannot be ended from outside: when the work is cancelled, its thread keeps its place until
it ends by itself, so that hanging code cannot gather threads without bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from runtime.engines import Gate, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.activation import Activation

T = TypeVar("T")
THREADS = 40  # bodies in threads per role that run at once


class Threads:
    """The worker threads for one kind of work."""

    def __init__(self, limit: int = THREADS) -> None:
        self._gate = Gate(limit)
        self._unlimited = anyio.CapacityLimiter(float("inf"))  # the gate is the limit

    def __repr__(self) -> str:
        return f"<Threads {self._gate!r}>"

    async def run(self, activation: Activation, function: Callable[[], T]) -> T:
        """Run plain code of a body in a thread. When it is cancelled, its thread is left to itself.

        The thread does not count while the body waits for its own delegations. When it is left to
        itself, everything that its context is asked for is refused.
        """
        place = Place(self._gate)
        activation.places.append(place)
        try:
            await place.take()
        except BaseException:
            activation.places.remove(place)
            place.abandon()
            raise
        body = _Body(function, place)
        try:
            return await anyio.to_thread.run_sync(
                body, abandon_on_cancel=True, limiter=self._unlimited
            )
        finally:
            activation.places.remove(place)
            body.loop_is_done()


class _Body:
    """A body in a thread: whoever of thread and loop is last gives its place back."""

    def __init__(self, function: Callable[[], Any], place: Place) -> None:
        self._function = function
        self._place = place
        self._token = anyio.lowlevel.current_token()
        self._thread_done = False
        self._abandoned = False

    def __call__(self) -> Any:
        try:
            return self._function()
        finally:
            self._thread_done = True
            if self._abandoned:
                self._leave_from_thread()

    def loop_is_done(self) -> None:
        self._abandoned = True
        if self._thread_done:
            self._place.abandon()

    def _leave_from_thread(self) -> None:
        try:
            anyio.from_thread.run_sync(self._place.abandon, token=self._token)
        except RuntimeError:
            return  # the loop has ended, and with it every place
