"""A model call from the agent's side: choose, allow, reserve, journal, ask, settle.

What it may cost at worst is reserved before the call and settled after it, so the run's budget
holds at any concurrency. Rate limits and connections are the provider actor's affair.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import anyio

from otel.attributes import span_name
from otel.chat_attributes import chat_end, chat_start
from otel.conventions import CHAT
from runtime.answers import AnswerType, answer_type
from runtime.errors import (
    BudgetExceeded,
    ConfigurationError,
    DeadlineExceeded,
    MalformedResponse,
    PolicyDenied,
    ProviderError,
    Timeout,
)
from runtime.governance.cost import cost_of, worst_case
from runtime.governance.policy import check
from runtime.messages import ModelRequest, Usage
from runtime.routing import Wish, choose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from otel import Span, Tracing
    from runtime.activation import Activation
    from runtime.catalog import Catalog, Target
    from runtime.messages import ModelReply, Price
    from runtime.run import Run
    from runtime.wishes import Question

NOT_YET_SENT = ("connect", "queue")  # stages of a call in which nothing can have been generated
TOKEN_COUNTS = tuple(field.name for field in dataclasses.fields(Usage))
NOTHING_SAID = Usage()


class Models:
    """Asks models for agents.

    Args:
        catalog: routing, providers and policies.
        tracing: where spans come from.
        price_of: the price of a provider's model; None when nobody knows it.
        invoke: hands a request to its provider's actor.
    """

    def __init__(
        self,
        catalog: Catalog,
        tracing: Tracing,
        price_of: Callable[[str, str], Price | None],
        invoke: Callable[[ModelRequest], Awaitable[ModelReply]],
    ) -> None:
        self._catalog = catalog
        self._tracing = tracing
        self._price_of = price_of
        self._invoke = invoke

    async def ask(self, activation: Activation, question: Question) -> Any:
        """Ask a model and return its answer as the type that the question names.

        Raises:
            UnknownName: there is no such model.
            ConfigurationError: the type of the answer has no JSON Schema.
            PolicyDenied: a rule forbids asking it.
            BudgetExceeded: what it may cost does not fit.
            ProviderError: the call failed.
            InvalidOutput: the answer is not what was asked for.
        """
        target = self._choose(activation, question)
        denial = check(self._catalog.policies, target.model, activation.limits.data_class)
        if denial is not None:
            raise PolicyDenied(str(denial))
        answer = answer_type(question.returns)
        request = _request(activation, question, target, answer)
        reply = await self._call(activation, request)
        return answer.parse(reply.text, f"{target.provider}/{target.model}")

    def _choose(self, activation: Activation, question: Question) -> Target:
        hints, overrides = activation.delegation.context, activation.run.overrides
        wishes = (
            Wish(question.model, question.provider),
            Wish(hints.get("preferred_model"), hints.get("preferred_provider")),
            Wish(overrides.model, overrides.provider),
            Wish(activation.limits.model),
            Wish(activation.agent.model),
        )
        return choose(wishes, self._catalog.routing, self._catalog.providers)

    async def _call(self, activation: Activation, request: ModelRequest) -> ModelReply:
        run = activation.run
        price = self._price_of(request.provider, request.model)
        content = {"model": f"{request.provider}/{request.model}", "request": _fingerprint(request)}
        op = run.operation(activation.delegation.op, "chat", content)
        reserved = await _reserve(run, request, price)
        try:
            run.record("invocation_started", op, _started(request, reserved))
        except BaseException:
            run.settle(reserved, 0)
            raise
        span = self._start_span(activation, request)
        try:
            with span.attached():
                reply = await self._invoke(request)
        except BaseException as error:
            # What a call that was cut off has cost is not known: its worst case stays spent.
            free = _certainly_free(error)
            run.settle(reserved, 0 if free else reserved)
            _failed(activation, op, span, error, free=free)
            raise
        usage = reply.usage
        cost = cost_of(usage, price) if usage is not None and price is not None else None
        run.settle(reserved, reserved if cost is None else cost)
        _completed(activation, op, span, reply, cost)
        return reply

    def _start_span(self, activation: Activation, request: ModelRequest) -> Span:
        entry = self._catalog.providers[request.provider]
        attributes = chat_start(
            request.model,
            provider=request.provider,
            max_tokens=request.max_output_tokens,
            temperature=request.temperature,
            output_type="json" if request.schema is not None else "text",
            run_id=request.run_id,
            task_id=request.task_id,
        )
        return self._tracing.start(
            span_name(CHAT, request.model),
            kind="internal" if entry.dialect == "echo" else "client",
            parent=activation.span,
            attributes=attributes,
        )


def _request(
    activation: Activation, question: Question, target: Target, answer: AnswerType
) -> ModelRequest:
    allowed = activation.limits.max_output_tokens
    return ModelRequest(
        provider=target.provider,
        model=target.model,
        messages=question.messages,
        system=question.system,
        schema=answer.schema,
        max_output_tokens=min(question.max_output_tokens or allowed, allowed),
        temperature=question.temperature,
        deadline=activation.delegation.deadline,
        run_id=activation.run.id,
        task_id=activation.delegation.task_id,
    )


async def _reserve(run: Run, request: ModelRequest, price: Price | None) -> int:
    """Reserve the worst case of a call, waiting for others to settle where that may help."""
    if price is None:
        if run.budget.limit is not None:
            raise BudgetExceeded(
                f"nobody knows the price of {request.provider}/{request.model}, so it cannot be"
                " asked under a budget; add it to catalog/prices.yaml"
            )
        return 0
    amount = worst_case(request, price)
    while not run.budget.reserve(amount):
        deadline = math.inf if request.deadline is None else request.deadline
        with anyio.CancelScope(deadline=deadline) as scope:
            await run.next_settlement()
        if scope.cancelled_caught:
            raise DeadlineExceeded("the deadline passed while other calls held the budget")
    return amount


def _completed(
    activation: Activation, op: str, span: Span, reply: ModelReply, cost: int | None
) -> None:
    for totals in (activation.totals, activation.run.totals):
        totals.add_call(reply.usage, cost)
    tokens = _tokens(reply.usage)
    body = {
        "task": activation.delegation.task_id,
        "model": reply.model,
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "usage": tokens,
        "unpriced": cost is None,
        "request_id": reply.request_id,
        "warnings": list(reply.warnings),
    }
    span.set(
        chat_end(
            response_id=reply.response_id,
            response_model=reply.model,
            finish_reasons=(reply.finish_reason_raw or reply.finish_reason,),
            cost_nano_usd=cost,
            input_tokens=tokens["input_tokens"],
            output_tokens=tokens["output_tokens"],
            cached_input_tokens=tokens["cached_input_tokens"],
            cache_write_tokens=tokens["cache_write_tokens"],
            reasoning_tokens=tokens["reasoning_tokens"],
        )
    )
    span.end()
    activation.run.record("invocation_completed", op, body, cost or 0)


def _certainly_free(error: BaseException) -> bool:
    """Whether the provider said no, so that nothing was generated."""
    if isinstance(error, Timeout):
        return error.stage in NOT_YET_SENT
    if isinstance(error, MalformedResponse):
        return False
    return isinstance(error, ProviderError | ConfigurationError)


def _failed(
    activation: Activation, op: str, span: Span, error: BaseException, *, free: bool
) -> None:
    reason = activation.reason_of(error)
    span.end(error_type=_error_type(error, reason), message=str(error))
    for totals in (activation.totals, activation.run.totals):
        totals.add_call(None, 0, failed=True)
    body = {
        "task": activation.delegation.task_id,
        "error": str(error),
        "reason": reason,
        "billed": "no" if free else "unknown",
    }
    activation.run.record("invocation_failed", op, body)


def _fingerprint(request: ModelRequest) -> dict[str, Any]:
    return {
        "messages": [[message.role, message.content] for message in request.messages],
        "system": request.system,
        "schema": request.schema,
        "max_output_tokens": request.max_output_tokens,
        "temperature": request.temperature,
    }


def _started(request: ModelRequest, reserved: int) -> Mapping[str, Any]:
    return {
        "provider": request.provider,
        "model": request.model,
        "task": request.task_id,
        "request": _fingerprint(request),
        "reserved_nano_usd": reserved,
    }


def _tokens(usage: Usage | None) -> dict[str, int | None]:
    counts = usage if usage is not None else NOTHING_SAID
    return {name: getattr(counts, name) for name in TOKEN_COUNTS}


def _error_type(error: BaseException, reason: str) -> str:
    if isinstance(error, ProviderError) and error.code:
        return error.code
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    return type(error).__name__ if isinstance(error, Exception) else reason
