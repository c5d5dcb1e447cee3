"""One model call under way, seen from the run: reserved, journalled, spanned; it ends exactly once.

What it may cost at worst is reserved before the call and settled after it, so budgets hold at any
concurrency. An attempt whose fate nobody knows may be billed: before the next one the worst case is
reserved once more, or there is no next one. Every end is synchronous: nothing can come in between,
and a body that is being ended can still settle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from otel import NO_METRICS
from otel.chat_attributes import chat_end
from otel.measurements import (
    Called,
    Tokens,
    call_admitted,
    call_settled,
    chat_ended,
    first_chunk_came,
)
from runtime.catalog import Target
from runtime.chat_contents import output_of
from runtime.chat_spans import chat_end_of
from runtime.described import tokens_of
from runtime.engines import current_time
from runtime.errors import DeadlineExceeded, ProviderError
from runtime.governance.cost import asked_tiers, prompt_cost_of
from runtime.invocations.endings import Failure, error_type
from runtime.invocations.fate import Stakes, fate_of, total
from runtime.invocations.notes import WHOLE, answered_note, failed_note
from runtime.run import claims_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel import Metrics, Span, Tracing
    from otel.attributes import Attributes
    from runtime.chat_spans import Server
    from runtime.invocations.case import Asker, Case
    from runtime.invocations.fate import Fate
    from runtime.invocations.notes import Cut
    from runtime.invocations.reservation import Reservations
    from runtime.invocations.trail import Trail
    from runtime.messages import HeldBy, ModelReply, ModelRequest, Usage


def _nobody_knows(_: ModelRequest) -> Server | None:
    """Say that nobody knows who is asked."""
    return None


class Observed(NamedTuple):
    """How a call went.

    Attributes:
        target: who was asked.
        seconds: how long it took.
        output_tokens: how much was generated.
        ok: whether it was answered.
    """

    target: Target
    seconds: float
    output_tokens: int
    ok: bool


class Doors(NamedTuple):
    """What calls go out by, the same for all of a system.

    Attributes:
        tracing: where spans come from.
        reservations: lets calls begin whose worst case fits.
        observe: hears how each call went.
        metrics: where measurements go.
        server_of: says who is asked over the network.
    """

    tracing: Tracing
    reservations: Reservations
    observe: Callable[[Observed], None]
    metrics: Metrics = NO_METRICS
    server_of: Callable[[ModelRequest], Server | None] = _nobody_knows


class Begun(NamedTuple):
    """How a call began.

    Attributes:
        op: the step of the run that it is.
        at: when, in seconds since the Unix epoch; it counts on that day.
        worst: nano-USD that one attempt may cost at most.
        span: its ``chat`` span.
        trail: tells what it goes through; None where nobody would see it.
    """

    op: str
    at: float
    worst: int
    span: Span
    trail: Trail | None


class Invocation:
    """One model call of one target; made by ``begin``.

    Attributes:
        request: what is asked.
        span: its ``chat`` span.
        first_chunk_s: seconds until the first piece of its answer; None where it has no pieces.
    """

    __slots__ = (
        "_asker", "_attempts", "_began", "_begun", "_case", "_doors", "_is_out", "_lost",
        "first_chunk_s", "request", "span",
    )  # fmt: skip

    def __init__(
        self, asker: Asker, request: ModelRequest, case: Case, begun: Begun, doors: Doors
    ) -> None:
        self.request = request
        self.span = begun.span
        self._asker = asker
        self._case = case
        self._begun = begun
        self._doors = doors
        self._attempts = 0
        self._is_out = False
        self._lost = 0
        self.first_chunk_s: float | None = None
        self._began = current_time()

    def heard(self) -> None:
        """Note that a piece of the answer has come."""
        if self.first_chunk_s is None:
            self.first_chunk_s = self._seconds
            if self._doors.metrics.on:
                first_chunk_came(self._doors.metrics, self._called, self._seconds)

    def sent(self) -> None:
        """Count an attempt: from now on the call may be billed."""
        self._attempts += 1
        self._is_out = True
        if self._begun.trail is not None:
            self._begun.trail.sent()
        if self._doors.metrics.on and self._attempts == 1:
            call_admitted(self._doors.metrics, self._called, self._seconds)

    def ended(self, error: BaseException | None, status: int | None) -> None:
        """Note that the attempt has ended."""
        if self._begun.trail is not None:
            self._begun.trail.ended(error, status)

    def waiting(self, held_by: HeldBy) -> None:
        """Note that the call waits."""
        if self._begun.trail is not None:
            self._begun.trail.waiting(held_by)

    def went_on(self, *, cut_off: bool = False) -> None:
        """Note that it waits no longer."""
        if self._begun.trail is not None:
            self._begun.trail.went_on(cut_off=cut_off)

    def spared(self) -> None:
        """Note that nobody bills the last attempt."""
        self._is_out = False

    async def again(self) -> bool:
        """Reserve another attempt, as the last one may be billed; return whether that fits now.

        Raises:
            JournalFailed: the journal cannot be written.
        """
        run, amount = self._asker.run, self._begun.worst
        if not amount:
            return True
        if not run.budget.reserve(amount) and not await run.more(amount):
            return False
        try:
            fits = await self._noted_again(amount)
        except BaseException:
            run.settle(amount, 0)
            raise
        if fits:
            self._lost += amount
            self._is_out = False
        else:
            run.settle(amount, 0)
        return fits

    async def _noted_again(self, amount: int) -> bool:
        run, op, limits = self._asker.run, self._begun.op, self._case.terms.limits
        body = {"task": self._asker.task_id, "reserved_nano_usd": amount}
        if not limits:
            run.record("invocation_retried", op, body)
            return True
        claims = claims_of(limits, self._begun.at)
        return await run.admit("invocation_retried", op, body, claims, run.now) is None

    def completed(self, reply: ModelReply, *, cut: Cut = WHOLE) -> None:
        """Settle, count and note an answer.

        Args:
            reply: the answer, or what there was of it.
            cut: the pieces in which it came, and whether there is no more of it.
        """
        case, tier = self._case, reply.service_tier
        cost = total(case.price, reply.usage, tier)
        counted = cost if case.price is not None else total(case.counted, reply.usage, tier)
        is_certain = counted is not None and (cut.is_early or reply.usage_source != "estimated")
        spent = self._lost + (
            counted if is_certain and counted is not None else max(self._begun.worst, counted or 0)
        )
        self._settle(spent)
        self._count(reply.usage, cost, failed=False)
        if self.span.is_recording:
            self._describe(reply, cost)
        why = "its reader was ended before the answer was complete"
        self._end_span(None if cut.ended_by is None else Failure(cut.ended_by, why))
        body = answered_note(self._asker, reply, case, unpriced=cost is None, cut=cut)
        self._record("invocation_completed", body | {"settled_nano_usd": spent}, cost)
        if self._doors.metrics.on:
            self._measure(reply.usage, cost, spent, response_model=reply.model)
        self._doors.observe(self._observed(reply.usage, ok=True))

    def failed(self, error: BaseException) -> None:
        """Settle, count and note a failure; what it cost at worst stays spent unless it is known.

        Args:
            error: why; also a cancellation.
        """
        fate = fate_of(error, self._stakes)
        self._settle(fate.settled)
        self._count(fate.usage, fate.cost, failed=True)
        if self.span.is_recording:
            self.span.set(_cost_of_failure(fate, self._attempts))
        why = error_type(error, self._asker.reason_of)
        self._end_span(Failure(why, str(error)))
        self._record(
            "invocation_failed", failed_note(self._asker, error, fate, self._attempts), fate.cost
        )
        if self._doors.metrics.on:
            self._measure(fate.usage, fate.cost, fate.settled, error_type=why)
        is_late = isinstance(error, DeadlineExceeded) and self._is_out
        if is_late or isinstance(error, ProviderError):
            self._doors.observe(self._observed(None, ok=False))

    def _describe(self, reply: ModelReply, cost: int | None) -> None:
        """Say what came of the call, and its words where they may be said."""
        price, usage, of_input = self._case.price, reply.usage, None
        if price is not None and usage is not None:
            of_input = prompt_cost_of(usage, price, reply.service_tier)
        self.span.set(chat_end_of(reply, cost, self.first_chunk_s, of_input))
        contents = self._doors.tracing.options.contents
        if contents is not None and self._case.terms.contents.in_journal:
            self.span.set(output_of(contents, reply))

    def _end_span(self, failure: Failure | None) -> None:
        """Close the span with what the call went through."""
        trail = self._begun.trail
        if trail is not None:
            trail.close(failure)
            if trail.shown:
                self._asker.run.spans_began(self.span.trace_id, trail.shown)
            if trail.has_waited:
                self.span.set(
                    chat_end(
                        retry_wait_ms=trail.wait_ms("backoff"),
                        rate_limit_wait_ms=trail.wait_ms("rate_limit"),
                        budget_wait_ms=trail.wait_ms("budget"),
                    )
                )
        if failure is None:
            self.span.end()
        else:
            self.span.end(error_type=failure.type, message=failure.message)

    @property
    def _stakes(self) -> Stakes:
        tier = next(iter(asked_tiers(self.request)), None)
        return Stakes(
            self._case.price, self._case.counted, tier, self._begun.worst, self._lost, self._is_out
        )

    def _observed(self, usage: Usage | None, *, ok: bool) -> Observed:
        target = Target(self.request.provider, self.request.model)
        tokens = 0 if usage is None else usage.output_tokens
        return Observed(target, self._seconds, tokens, ok)

    @property
    def _seconds(self) -> float:
        return current_time() - self._began

    @property
    def _called(self) -> Called:
        return Called(self.request.provider, self.request.model)

    def _measure(
        self,
        usage: Usage | None,
        cost: int | None,
        spent: int,
        *,
        response_model: str | None = None,
        error_type: str | None = None,
    ) -> None:
        metrics = self._doors.metrics
        call_settled(metrics, self._called, spent)
        chat_ended(
            metrics,
            self._called,
            seconds=self._seconds,
            attempts=self._attempts,
            tokens=None if usage is None else _tokens(usage),
            cost_nano_usd=cost,
            response_model=response_model or None,
            error_type=error_type,
        )

    def _settle(self, spent: int) -> None:
        self._asker.run.settle(self._begun.worst + self._lost, spent)

    def _count(self, usage: Usage | None, cost: int | None, *, failed: bool) -> None:
        self._asker.run.totals.add_call(usage, cost, failed=failed)
        for totals in self._asker.totals:
            totals.add_call(usage, cost, failed=failed)

    def _record(self, kind: Any, body: dict[str, Any], cost: int | None) -> None:
        self._asker.run.record(kind, self._begun.op, body, cost or 0)
        self._doors.reservations.settled()


def _cost_of_failure(fate: Fate, attempts: int) -> Attributes:
    """Return what the span of a call says that failed, and was perhaps billed."""
    used: dict[str, Any] = {} if fate.usage is None else tokens_of(fate.usage)
    cost = fate.cost if fate.billed == "partly" else None
    return chat_end(cost_nano_usd=cost, attempts=attempts, **used)


def _tokens(usage: Usage) -> Tokens:
    return Tokens(
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens or 0,
        usage.cache_write_tokens or 0,
        usage.reasoning_tokens or 0,
    )
