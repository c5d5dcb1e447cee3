"""One model call under way, seen from the run: reserved, journalled, spanned; it ends exactly once.

What it may cost at worst is reserved before the call and settled after it, so budgets hold at any
concurrency. Every end is synchronous: nothing can come in between, and a body that is being ended
can still settle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from otel.chat_attributes import chat_end
from runtime.catalog import Target
from runtime.chat_spans import chat_end_of, start_chat_span
from runtime.described import calls_of, fingerprint, reply_digest, request_digest, tokens_of
from runtime.errors import (
    BudgetExceeded,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    MalformedResponse,
    PolicyDenied,
    ProviderError,
    QueueFull,
    StreamInterrupted,
    Timeout,
)
from runtime.governance.cost import asked_tiers, cost_of, worst_case
from runtime.messages import Price
from runtime.reservation import reserve
from runtime.rules import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel import Span, Tracing
    from otel.attributes import Attributes
    from runtime.messages import ModelReply, ModelRequest, Usage
    from runtime.reservation import Reservations
    from runtime.run import Run, Totals

NOT_YET_SENT = ("connect", "queue")  # stages of a call in which nothing can have been generated


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who makes a call.

    Attributes:
        run: the run.
        agent: the agent.
        path: that agent and those above it, outermost first.
        op: the step of the run that asks.
        task_id: the piece of work.
        totals: where calls are counted, besides the run's own.
        span: the span of what asks.
        reason_of: the short word for what ended a step.
    """

    run: Run
    agent: str
    path: tuple[str, ...]
    op: str
    task_id: str
    totals: tuple[Totals, ...]
    span: Span
    reason_of: Callable[[BaseException], str]


class Case(NamedTuple):
    """What is known of a call besides its request.

    Attributes:
        price: what its model costs; None when nobody knows.
        terms: what policies say.
        data_classes: the kinds of data in it.
        region: where its provider's data stays; empty where nobody says.
        level: on which level of priority its model was chosen.
        route: the type of task whose route it goes by; empty for none.
        in_process: whether the model is in this process.
    """

    price: Price | None
    terms: Terms = Terms()
    data_classes: frozenset[str] = frozenset()
    region: str = ""
    level: str = ""
    route: str = ""
    in_process: bool = False

    @property
    def counted(self) -> Price | None:
        """The price that budgets count: the known one, or what a policy says of unknown ones."""
        rate = self.terms.unknown_rate
        if self.price is not None or rate is None:
            return self.price
        source = self.terms.unknown_source
        return Price(input=rate, output=rate, cached_input=rate, cache_write=rate, source=source)


class Invocation:
    """One model call of one target; made by ``begin``.

    Attributes:
        request: what is asked.
        span: its ``chat`` span.
    """

    __slots__ = (
        "_asker",
        "_began",
        "_case",
        "_observe",
        "_op",
        "_reserved",
        "_settled",
        "request",
        "span",
    )

    def __init__(
        self,
        asker: Asker,
        request: ModelRequest,
        case: Case,
        *,
        op: str,
        span: Span,
        reserved: int,
        settled: Callable[[], None],
        observe: Callable[[Observed], None],
    ) -> None:
        self.request = request
        self.span = span
        self._asker = asker
        self._case = case
        self._op = op
        self._reserved = reserved
        self._settled = settled
        self._observe = observe
        self._began = anyio.current_time()

    def completed(self, reply: ModelReply, *, cut_off: bool = False) -> None:
        """Settle, count and note an answer.

        Args:
            reply: the answer, or what there was of it.
            cut_off: whether the author did not want the rest of it.
        """
        case, tier = self._case, reply.service_tier
        cost = _total(case.price, reply.usage, reply.lost_usage, tier)
        counted = _total(case.counted, reply.usage, reply.lost_usage, tier)
        spent = self._reserved if counted is None else counted
        self._settle(spent)
        self._count(reply.usage, cost, failed=False)
        self.span.set(chat_end_of(reply, cost))
        self.span.end()
        body = _completed(self._asker, reply, case, unpriced=cost is None, cut_off=cut_off)
        self._asker.run.record(
            "invocation_completed", self._op, body | {"settled_nano_usd": spent}, cost or 0
        )
        self._settled()
        self._observe(self._observed(reply.usage, ok=True))

    def failed(self, error: BaseException) -> None:
        """Settle, count and note a failure; what it cost at worst stays spent unless it is known.

        Args:
            error: why; also a cancellation.
        """
        asker = self._asker
        fate = self._fate(error)
        self._settle(fate.settled)
        reason = asker.reason_of(error)
        self._count(fate.usage, fate.cost, failed=True)
        self.span.set(_cost_of_failure(fate))
        self.span.end(error_type=_error_type(error, reason), message=str(error))
        body = {
            "task": asker.task_id,
            "error": str(error),
            "error_class": type(error).__name__,
            "reason": reason,
            "billed": fate.billed,
            "attempts": getattr(error, "attempts", 0),
            "settled_nano_usd": fate.settled,
            **({"unpriced": True} if fate.cost is None else {}),
            **({"usage": tokens_of(fate.usage)} if fate.usage is not None else {}),
        }
        asker.run.record("invocation_failed", self._op, body, fate.cost or 0)
        self._settled()
        if isinstance(error, ProviderError):
            self._observe(self._observed(None, ok=False))

    @property
    def _tier(self) -> str | None:
        """The tier of service that was asked for; of a failure nobody says which one it was."""
        return next(iter(asked_tiers(self.request)), None)

    def _observed(self, usage: Usage | None, *, ok: bool) -> Observed:
        target = Target(self.request.provider, self.request.model)
        tokens = 0 if usage is None else usage.output_tokens
        return Observed(target, anyio.current_time() - self._began, tokens, ok)

    def _settle(self, spent: int) -> None:
        self._asker.run.settle(self._reserved, spent)

    def _count(self, usage: Usage | None, cost: int | None, *, failed: bool) -> None:
        for totals in (*self._asker.totals, self._asker.run.totals):
            totals.add_call(usage, cost, failed=failed)

    def _fate(self, error: BaseException) -> _Fate:
        """Return what a failed call has cost, and how sure that is."""
        lost, counted = getattr(error, "lost_usage", None), self._case.counted
        tier = self._tier
        earlier = _total(counted, lost, None, tier) or 0
        if isinstance(error, StreamInterrupted | DeadlineExceeded) and error.usage is not None:
            known = _total(counted, error.usage, lost, tier)
            return self._billed(
                "partly", error.usage, lost, self._reserved if known is None else known
            )
        if not _certainly_free(error):
            return self._billed("unknown", None, lost, self._reserved + earlier)
        if lost is not None:
            return self._billed("partly", None, lost, earlier)
        return _Fate("no", 0)

    def _billed(self, billed: str, usage: Usage | None, lost: Usage | None, settled: int) -> _Fate:
        price, tier = self._case.price, self._tier
        if price is None:
            return _Fate(billed, settled, None, usage)
        parts = (_total(price, usage, None, tier), _total(price, lost, None, tier))
        return _Fate(billed, settled, sum(part or 0 for part in parts), usage)


class _Fate(NamedTuple):
    """What a failed call has cost.

    Attributes:
        billed: how sure that is: ``no``, ``partly`` or ``unknown``.
        settled: nano-USD that budgets count.
        cost: nano-USD that are known to be spent; None where nobody knows the price.
        usage: the tokens, where they are known.
    """

    billed: str
    settled: int
    cost: int | None = 0
    usage: Usage | None = None


async def begin(
    asker: Asker,
    request: ModelRequest,
    case: Case,
    *,
    tracing: Tracing,
    reservations: Reservations,
    observe: Callable[[Observed], None],
) -> Invocation:
    """Reserve the worst case of a call, note that it begins, and start its span.

    Raises:
        PolicyDenied: nobody knows its price, and a policy forbids such calls.
        BudgetExceeded: what it may cost does not fit.
        DeadlineExceeded: the deadline passed while other calls held the budget.
        JournalFailed: the journal cannot be written.
    """
    run, counted = asker.run, case.counted
    target = Target(request.provider, request.model)
    limited = run.budget.limit is not None or bool(case.terms.limits)
    check_price(target, case, limited=limited)
    _check_bounds(request, limited=limited)
    amount = 0 if counted is None else worst_case(request, counted)
    said = fingerprint(request)
    digest = request_digest(request, said)
    op = run.step(asker.op, "chat", digest)
    await reserve(run, amount, request.deadline)
    try:
        body = _started(asker, request, case) | {
            "request_sha256": digest,
            "reserved_nano_usd": amount,
            **({"request": said} if case.terms.contents.in_journal else {}),
        }
        if case.terms.limits:
            await reservations.admit(run, op, body, case.terms.limits, request.deadline)
        else:
            run.record("invocation_started", op, body)
        span = start_chat_span(tracing, asker.span, request, in_process=case.in_process)
    except BaseException:
        run.settle(amount, 0)
        raise
    return Invocation(
        asker,
        request,
        case,
        op=op,
        span=span,
        reserved=amount,
        settled=reservations.settled,
        observe=observe,
    )


def check_price(target: Target, case: Case, *, limited: bool) -> None:
    """Refuse a model of unknown price where a policy or a budget forbids it.

    Args:
        target: the model.
        case: what is known of the call.
        limited: whether its run has a budget, or a policy limits what its calls may cost.

    Raises:
        PolicyDenied: a policy forbids such calls.
        BudgetExceeded: it cannot be counted against what it would have to fit into.
    """
    if case.counted is not None or case.terms.unknown_price == "allow":
        return
    unknown = f"nobody knows the price of {target}"
    if case.terms.unknown_price == "deny":
        why = (
            f"{unknown}, and {case.terms.unknown_source} forbids that; add it to"
            " catalog/prices.yaml"
        )
        raise PolicyDenied(why, denied=((str(target), why),))
    if limited:
        raise BudgetExceeded(
            f"{unknown}, so it cannot be asked under a budget; add it to catalog/prices.yaml, or"
            " let a policy say what such models count"
        )


def _check_bounds(request: ModelRequest, *, limited: bool) -> None:
    """Refuse under a budget what nobody can say the worst case of."""
    if limited and request.extra_body.get("tools"):
        raise BudgetExceeded(
            "extra_body.tools: what a server's own tools read has no bound, so they cannot be used"
            " under a budget; give tools in the line's own field"
        )


def _started(asker: Asker, request: ModelRequest, case: Case) -> dict[str, Any]:
    run = asker.run
    expires_at = None
    if request.deadline is not None:
        expires_at = run.now + request.deadline - anyio.current_time()
    body = {
        "provider": request.provider,
        "model": request.model,
        "task": asker.task_id,
        "agent": asker.agent,
        "path": "/".join(asker.path),
        "tenant": run.tenant,
        "level": case.level,
        "route": case.route,
        "data_classes": ",".join(sorted(case.data_classes)),
        "region": case.region,
        "contents": case.terms.contents.word,
        "price_source": "" if case.price is None else case.price.source,
        "expires_at": expires_at,
    }
    return {name: value for name, value in body.items() if value not in ("", None)}


def _completed(
    asker: Asker, reply: ModelReply, case: Case, *, unpriced: bool, cut_off: bool
) -> dict[str, Any]:
    said = {"text": reply.text, "tool_calls": calls_of(reply)}
    return {
        "task": asker.task_id,
        "model": reply.model,
        **(said if case.terms.contents.in_journal else {}),
        "reply_sha256": reply_digest(reply),
        "finish_reason": reply.finish_reason,
        "usage": tokens_of(reply.usage),
        "usage_source": reply.usage_source,
        "service_tier": reply.service_tier,
        "unpriced": unpriced,
        "request_id": reply.request_id,
        "attempts": reply.attempts,
        "warnings": list(reply.warnings),
        **({"cut_off": True} if cut_off else {}),
        **({"has_state": True} if reply.state is not None else {}),
    }


def _total(
    price: Price | None, usage: Usage | None, lost: Usage | None, tier: str | None
) -> int | None:
    """Return what an answer and what was lost before it cost; None where nobody knows."""
    if price is None or usage is None:
        return None
    return cost_of(usage, price, tier) + (0 if lost is None else cost_of(lost, price, tier))


def _cost_of_failure(fate: _Fate) -> Attributes:
    """Return what the span of a call says that failed and was billed."""
    used: dict[str, Any] = {} if fate.usage is None else tokens_of(fate.usage)
    is_known = fate.billed == "partly" or fate.cost
    return chat_end(cost_nano_usd=fate.cost if is_known else None, **used)


def _certainly_free(error: BaseException) -> bool:
    """Whether nothing can have been generated: the provider said no, or was not asked."""
    if isinstance(error, Timeout | DeadlineExceeded):
        return error.stage in NOT_YET_SENT
    if isinstance(error, ConnectionFailed):
        return not error.sent
    if isinstance(error, MalformedResponse | StreamInterrupted):
        return False
    return isinstance(error, ProviderError | ConfigurationError | QueueFull)


def _error_type(error: BaseException, reason: str) -> str:
    if isinstance(error, ProviderError) and (error.code or error.type):
        return str(error.code or error.type)
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    return type(error).__name__ if isinstance(error, Exception) else reason
