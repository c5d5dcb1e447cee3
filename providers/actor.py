"""The provider actor: one supervised actor per account, many calls in flight, everything bounded.

``receive`` hands every call off to a task of its own, so the mailbox stays short. A call then takes
one of the account's slots (first come, first served) and keeps it until its backend has answered.
Its deadline runs from the first moment: it ends the wait for a slot just as it ends the call.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.actors import Actor
from runtime.errors import ConfigurationError, DeadlineExceeded, QueueFull
from runtime.messages import ModelRequest

if TYPE_CHECKING:
    from providers.backend import Backend
    from runtime.actors import Exit
    from runtime.messages import ModelReply, ProviderProfile


class ProviderStatistics(NamedTuple):
    """A snapshot of one account.

    Attributes:
        in_flight: calls that hold a slot now.
        waiting: calls that wait for one.
        calls: calls that came, refused ones included.
        errors: how many of them failed.
        last_error: class and text of the last failure; None when there was none.
    """

    in_flight: int
    waiting: int
    calls: int
    errors: int
    last_error: str | None


class ProviderActor(Actor):
    """Makes the model calls of one account: ask it a ``ModelRequest``, it answers a ``ModelReply``.

    A failed call fails its asker, never the actor.

    Raises:
        ConfigurationError: ``concurrency`` is below 1 or ``max_queue`` below 0.
    """

    def __init__(self, backend: Backend, profile: ProviderProfile) -> None:
        if profile.concurrency < 1 or profile.max_queue < 0:
            raise ConfigurationError(
                f"provider {profile.name!r}: concurrency is at least 1 and max_queue at least 0,"
                f" not {profile.concurrency} and {profile.max_queue}"
            )
        self._backend = backend
        self._profile = profile
        self._slots = anyio.CapacityLimiter(profile.concurrency)
        self._calls = 0
        self._errors = 0
        self._last_error: str | None = None

    def __repr__(self) -> str:
        now = self.statistics()
        return (
            f"<ProviderActor {self._profile.name} ({self._profile.dialect})"
            f" [{now.in_flight}/{self._profile.concurrency} in flight,"
            f" {now.waiting}/{self._profile.max_queue} waiting,"
            f" {now.calls} calls, {now.errors} errors]>"
        )

    async def on_start(self) -> None:
        """Open the backend."""
        await self._backend.open()

    async def on_stop(self, exit_: Exit) -> None:
        """Close the backend once the calls in flight, which the kernel cancelled, are over."""
        del exit_
        for slot in range(self._profile.concurrency):
            await self._slots.acquire_on_behalf_of(slot)
        await self._backend.close()

    async def receive(self, message: Any) -> Any:
        """Make the call in a task of its own; other messages are nothing to it."""
        if not isinstance(message, ModelRequest):
            return self.unhandled(message)
        return self.hand_off(self._call, message)

    def statistics(self) -> ProviderStatistics:
        """Return a snapshot of this account."""
        return ProviderStatistics(
            in_flight=int(self._slots.borrowed_tokens),
            waiting=self._slots.statistics().tasks_waiting,
            calls=self._calls,
            errors=self._errors,
            last_error=self._last_error,
        )

    async def _call(self, request: ModelRequest) -> ModelReply:
        self._calls += 1
        try:
            return await self._before_deadline(request)
        except Exception as error:
            self._errors += 1
            self._last_error = f"{type(error).__name__}: {error}"
            raise

    async def _before_deadline(self, request: ModelRequest) -> ModelReply:
        self._refuse_if_full()
        stage = "waited for its turn"
        deadline = math.inf if request.deadline is None else request.deadline
        if deadline > anyio.current_time():
            with anyio.CancelScope(deadline=deadline):
                async with self._slots:
                    stage = "was in flight"
                    return await self._backend.invoke(request)
        raise DeadlineExceeded(
            f"{self._profile.name}/{request.model}: time ran out while it {stage}"
        )

    def _refuse_if_full(self) -> None:
        waiting = self._slots.statistics().tasks_waiting
        if self._slots.available_tokens < 1 and waiting >= self._profile.max_queue:
            raise QueueFull(f"provider {self._profile.name}: {waiting} calls are waiting already")
