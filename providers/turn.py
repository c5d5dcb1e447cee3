"""Waiting for the turn of one attempt: what must let it go out, and what refuses it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from providers.admission import Ticket
from runtime.actors import current_time
from runtime.errors import CircuitOpen, DeadlineExceeded, RateLimitError
from runtime.estimate import prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from providers.account import Ward
    from runtime.messages import HeldBy, ModelRequest, Payer

MIN_SERVICE_S = 0.01  # less than that is no time to ask anybody anything


class Turn:
    """The turns of one call, one for each attempt.

    Args:
        ward: what stands before the model.
        request: the call.
        began: the instant at which it came.
        patience_s: for how many seconds in all it waits for circuits that are open.
        payer: who hears of its waits; None where nobody does.
    """

    __slots__ = ("_began", "_patience_s", "_payer", "_prompt_tokens", "_request", "_ward")

    def __init__(
        self,
        ward: Ward,
        request: ModelRequest,
        began: float,
        patience_s: float,
        payer: Payer | None = None,
    ) -> None:
        self._ward = ward
        self._request = request
        self._began = began
        self._patience_s = patience_s
        self._payer = payer
        self._prompt_tokens = prompt_tokens(request)

    @property
    def latest(self) -> float:
        """The instant after which an attempt has no time left."""
        deadline = self._request.deadline
        return math.inf if deadline is None else deadline - MIN_SERVICE_S

    async def wait(self, *, retry: bool) -> Ticket:
        """Wait until the circuit and the limits let an attempt go out; then it must go out.

        Who is sent away from the line looks again at why: the reason is raised, or waited for.

        Args:
            retry: whether there was an attempt before.

        Raises:
            CircuitOpen: the target is left alone, and will be for too long.
            RateLimitError: the server asked to wait longer than anybody waits.
            DeadlineExceeded: it could not start in time.
            RequestTooLarge: it is larger than the limits.
            QueueFull: too many wait already.
        """
        while True:
            await self._pass_circuit()
            ticket = self._new_ticket(retry=retry)
            now = current_time()
            started = now <= ticket.latest and self._ward.group.start_at_once(ticket, now)
            if not started:
                self._refuse_what_cannot_start()
                started = await self._queue(ticket)
                now = current_time()
            if started and self._ward.circuit.attempt(now):
                return ticket
            self._ward.group.unsent(ticket, now)
            self._ward.line.serve(now)

    def release(self) -> None:
        """Let others in: no attempt is under way any more."""
        self._ward.circuit.release(self)

    async def _pass_circuit(self) -> None:
        """Wait until the target is asked again, where that is any use.

        Raises:
            CircuitOpen: it will not be in time.
            QueueFull: too many wait for it already.
        """
        circuit, began = self._ward.circuit, current_time()
        circuit.release(self)
        waits = self._request.wait_for_circuit
        if not (waits and circuit.waiting) and circuit.lets_in(self, began):
            return
        passes = False
        if waits:
            entering = circuit.enter(self, self.latest, began + self._patience_s)
            passes = await self._told("circuit", entering)
            self._patience_s -= current_time() - began
        if not passes:
            raise self._circuit_open(current_time())

    def _refuse_what_cannot_start(self) -> None:
        """Fail now what would only fail later.

        Raises:
            RateLimitError: the server asked to wait longer than anybody waits.
            DeadlineExceeded: it could not start in time.
        """
        now, group = current_time(), self._ward.group
        if group.unavailable_until > now:
            wait = group.unavailable_until - now
            raise RateLimitError(
                f"{self._target}: the server asked to wait {wait:.0f} s more",
                retry_after=wait,
                long=True,
            )
        if group.earliest_start(now) > self.latest:
            raise DeadlineExceeded(
                f"{self._target}: it could not start before its deadline", stage="queue"
            )

    def _new_ticket(self, *, retry: bool) -> Ticket:
        request, ward = self._request, self._ward
        allowance = request.max_output_tokens if ward.limits.counts_max_tokens else None
        return Ticket(
            run_id=request.run_id,
            tokens_in=ward.estimates.input(self._prompt_tokens),
            tokens_out=ward.estimates.output(request) if allowance is None else allowance,
            arrived=self._began,
            retry=retry,
            latest=self.latest,
            estimated=self._prompt_tokens,
        )

    async def _queue(self, ticket: Ticket) -> bool:
        """Return whether the line started the ticket; False when it was sent away."""
        ward = self._ward
        held_by = ward.group.held_by(ticket, current_time())
        ward.circuit.queued.add(ticket)
        try:
            return await self._told(held_by, ward.line.enter(ticket))
        finally:
            ward.circuit.queued.discard(ticket)

    async def _told(self, held_by: HeldBy, wait: Awaitable[bool]) -> bool:
        """Wait, and tell who pays from when to when and for what."""
        if self._payer is None:
            return await wait
        self._payer.waiting(held_by)
        try:
            passes = await wait
        except BaseException:
            self._payer.went_on(cut_off=True)
            raise
        self._payer.went_on()
        return passes

    def _circuit_open(self, now: float) -> CircuitOpen:
        circuit = self._ward.circuit
        # No waiting mends what disabled it, so nobody shall wait for its end. Half open it may be
        # over at any time: as soon as the probe is back.
        until = None if circuit.state(now) == "disabled" else circuit.until(now) or now
        why = circuit.reason(now) or "it failed too often"
        return CircuitOpen(f"{self._target} is left alone: {why}", until=until)

    @property
    def _target(self) -> str:
        return f"{self._request.provider}/{self._request.model}"
