"""One call of one model, with all its attempts: the order of things, and who pays for what.

    circuit -> fair queue -> limits -> circuit again -> attempt -> settle -> perhaps once more

The decisions are elsewhere and pure (``admission``, ``breaker``, ``retry``); ``turn`` asks them in
order before an attempt, and this after it. Nothing awaits between a decision and the note that it
was taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from providers.backend import Attempt
from providers.retry import ambiguous, effect_of, retry_delay
from providers.settlement import settle_cancelled, settle_failure, settle_success
from providers.turn import Turn
from runtime.actors import TimeLimit, current_time
from runtime.errors import (
    CircuitOpen,
    DeadlineExceeded,
    ProviderError,
    QueueFull,
    StreamInterrupted,
)
from runtime.estimate import answer_usage
from runtime.messages import Usage

if TYPE_CHECKING:
    from providers.account import Account
    from providers.admission import Ticket
    from providers.retry import Effect
    from runtime.messages import LocalRequest, ModelReply, ModelRequest


MOST_TOKENS = 10**9  # of one call; more is a server's slip
NONSENSE = "the server said that it used no tokens, or more than there can be: they are estimated"


class Call:
    """One call; ``run`` it once.

    Args:
        account: whose call.
        local: what is asked, where the pieces go, and who says whether to pay for more attempts.
    """

    __slots__ = (
        "_account",
        "_attempt",
        "_began",
        "_failure",
        "_is_out",
        "_lost",
        "_payer",
        "_pieces",
        "_request",
        "_ticket",
        "_tries",
        "_turn",
        "_ward",
    )  # fmt: skip

    def __init__(
        self,
        account: Account,
        local: LocalRequest,
    ) -> None:
        request = local.request
        self._account = account
        self._request = request
        self._pieces = local.pieces
        self._payer = local.payer
        self._ward = account.ward(request.model)
        self._began = current_time()
        patience_s = account.profile.timeouts.total
        self._turn = Turn(self._ward, request, self._began, patience_s, local.payer)
        self._tries = 0
        self._ticket: Ticket
        self._attempt: Attempt
        self._is_out = False
        self._failure: ProviderError | None = None
        self._lost: Usage | None = None

    async def run(self) -> ModelReply:
        """Make the call; retry where that may help.

        Raises:
            ProviderError: it failed; its ``attempts`` says after how many.
            DeadlineExceeded: the request's time is over; ``stage`` says at what, and what is known
                of the answer comes with it.
            QueueFull: too many calls wait already.
        """
        calls = self._ward.calls
        calls.add(self)
        try:
            return await self._in_time()
        except DeadlineExceeded as error:
            self._complete_late(error)
            raise
        finally:
            calls.discard(self)
            self._turn.release()

    async def _in_time(self) -> ModelReply:
        deadline = self._request.deadline
        if deadline is None:
            return await self._until_done()
        if deadline > self._began:
            with TimeLimit(deadline):
                return await self._until_done()
        what = "was in flight" if self._is_out else "waited for its turn"
        raise DeadlineExceeded(
            f"{self._request.provider}/{self._request.model}: time ran out while it {what}"
        )

    async def _until_done(self) -> ModelReply:
        while True:
            try:
                reply = await self._try()
            except (CircuitOpen, QueueFull) as error:
                if self._failure is not None:  # it had its turn: only the retry finds no place
                    self._complete(self._failure)
                    raise self._failure from None
                if isinstance(error, CircuitOpen):
                    self._complete(error)
                raise
            except ProviderError as error:
                delay = self._delay(error)
                if delay is None:
                    self._complete(error)
                    raise
                if not await self._may_pay_again(error):
                    self._complete(error)
                    raise
                self._failure = error
                await self._back_off(delay)
            else:
                return self._completed(_counted(reply, self._request))

    async def _back_off(self, delay: float) -> None:
        payer = self._payer
        if payer is None:
            await anyio.sleep(delay)
            return
        payer.waiting("backoff")
        try:
            await anyio.sleep(delay)
        except BaseException:
            payer.went_on(cut_off=True)
            raise
        payer.went_on()

    async def _may_pay_again(self, error: ProviderError) -> bool:
        """Whether there is the money for another attempt; one that may be billed costs twice."""
        payer = self._payer
        if not ambiguous(error):
            if payer is not None:
                payer.spared()
            return True
        if payer is not None and not await payer.again():
            return False
        self._lose()
        return True

    async def _try(self) -> ModelReply:
        """Make one attempt: wait for its turn, send it, settle it."""
        account, ward, request = self._account, self._ward, self._request
        ticket = self._ticket = await self._turn.wait(retry=self._tries > 0)
        began = current_time()
        self._is_out = True
        self._tries += 1
        account.attempts += 1
        attempt = self._attempt = Attempt(request, self._pieces)
        if self._payer is not None:
            self._payer.sent()
        try:
            reply = await account.backend.invoke(attempt)
        except ProviderError as error:
            self._is_out = False
            self._tell(error)
            settle_failure(ward, ticket, attempt, error, began=began, now=current_time())
            raise
        except BaseException as error:
            self._tell(error)
            settle_cancelled(ward, ticket, began=began, now=current_time())
            raise
        finally:
            self._turn.release()
        self._tell(None)
        account.retry_tokens.earn()
        settle_success(ward, ticket, attempt, reply, began=began, now=current_time())
        return reply

    def _tell(self, error: BaseException | None) -> None:
        """Tell who pays what became of the attempt."""
        if self._payer is not None:
            known = error.http_status if isinstance(error, ProviderError) else None
            self._payer.ended(error, known or self._attempt.status)

    def _lose(self) -> None:
        """Count what the last attempt may have used, as nobody knows what became of it."""
        lost, ticket = self._lost or Usage(), self._ticket
        self._lost = Usage(
            input_tokens=lost.input_tokens + ticket.tokens_in,
            output_tokens=lost.output_tokens + ticket.tokens_out,
        )

    # --- once more? ------------------------------------------------------------------------------

    def _delay(self, error: ProviderError) -> float | None:
        """Return how long to wait before the next attempt, or None for no more."""
        effect, profile = effect_of(error), self._account.profile
        if not effect.retry or self._tries == 0 or self._attempt.committed:
            return None
        now = current_time()
        if self._was_the_last(effect, now):
            return None
        if ambiguous(error) and not profile.retry_ambiguous:
            return None
        if self._ward.group.unavailable_until > now:
            return None
        delay = retry_delay(error, self._tries - 1, self._account.draw)
        if now + delay > self._turn.latest:
            return None
        return delay if self._is_free(effect, now) or self._account.retry_tokens.spend() else None

    def _is_free(self, effect: Effect, now: float) -> bool:
        """Whether a retry cannot be part of a storm.

        Who was told to wait is held back by the pause and the pace of the group, and who finds the
        circuit open by its probes.
        """
        return effect.breaker != "counts" or self._ward.circuit.state(now) != "closed"

    def _was_the_last(self, effect: Effect, now: float) -> bool:
        """Whether the attempts that such a failure leaves to a call are used up."""
        most = self._request.max_attempts
        if effect.polls and most > 1:
            return now - self._began >= self._account.profile.timeouts.total
        return self._tries >= (min(2, most) if effect.once else most)

    # --- the end ---------------------------------------------------------------------------------

    def _completed(self, reply: ModelReply) -> ModelReply:
        """Return an answer with what is known of all its attempts; mostly it says so already."""
        provider, tries, lost = self._request.provider, self._tries, self._lost
        if (reply.provider, reply.attempts, reply.lost_usage) == (provider, tries, lost):
            return reply
        return replace(reply, provider=provider, attempts=tries, lost_usage=lost)

    def _complete(self, error: ProviderError) -> None:
        """Add to the error that ends the call what is known of all its attempts."""
        error.provider = error.provider or self._request.provider
        error.model = error.model or self._request.model
        error.attempts = self._tries
        error.elapsed_s = current_time() - self._began
        error.lost_usage = self._lost
        if isinstance(error, StreamInterrupted) and error.usage and not _is_sane(error.usage):
            error.usage = None

    def _complete_late(self, error: DeadlineExceeded) -> None:
        """Say what a lack of time has cost, and what had come of the answer."""
        error.stage = "total" if self._is_out or self._lost is not None else "queue"
        error.provider = self._request.provider
        error.model = self._request.model
        error.attempts = self._tries
        error.lost_usage = self._lost
        so_far = self._attempt.so_far if self._is_out else None
        if so_far is not None:
            reply = so_far()
            error.partial = reply.text
            error.usage = answer_usage(self._request, reply)


def _counted(reply: ModelReply, request: ModelRequest) -> ModelReply:
    """Return an answer with its usage, estimated where the server did not say, or said nonsense."""
    if reply.usage is not None and _is_sane(reply.usage):
        return reply
    if reply.usage is not None:
        reply = replace(reply, usage=None, warnings=(*reply.warnings, NONSENSE))
    return replace(reply, usage=answer_usage(request, reply), usage_source="estimated")


def _is_sane(usage: Usage) -> bool:
    """Whether counts can be those of one call; some servers always say 0."""
    total = usage.input_tokens + usage.output_tokens
    return total > 0 and usage.input_tokens <= MOST_TOKENS and usage.output_tokens <= MOST_TOKENS
