"""What an attempt leaves behind when it ends: in the limits, the breaker and the estimates.

Every attempt that the breaker let out ends in exactly one of the three, so a probe always comes
back and a place in flight is never lost. None of them awaits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.rate_headers import read_rate_headers
from providers.retry import ambiguous, effect_of
from runtime.errors import AuthFailed, ConnectionFailed, InvalidRequest, QuotaExhausted, Timeout

if TYPE_CHECKING:
    from providers.account import Ward
    from providers.admission import Ticket
    from providers.backend import Attempt
    from runtime.errors import ProviderError
    from runtime.messages import ModelReply, Usage

ACCOUNT_WIDE = (AuthFailed, QuotaExhausted)  # a key or a purse is refused for every model


def settle_success(
    ward: Ward, ticket: Ticket, attempt: Attempt, reply: ModelReply, *, began: float, now: float
) -> None:
    """Settle an attempt that was answered.

    Args:
        ward: what stands before its model.
        ticket: what it was admitted with.
        attempt: the attempt, with the header fields that it heard.
        reply: the answer.
        began: the instant at which it went out.
        now: the instant.
    """
    ward.circuit.succeeded(now, began)
    if reply.usage is None:
        ward.group.succeeded(ticket, ticket.tokens_in, ticket.tokens_out, now)
    else:
        ward.group.succeeded(ticket, _counted(ward, reply.usage), reply.usage.output_tokens, now)
        ward.estimates.learn(attempt.request, ticket.estimated, reply.usage)
    _observe(ward, ticket, attempt, now)


def settle_failure(
    ward: Ward, ticket: Ticket, attempt: Attempt, error: ProviderError, *, began: float, now: float
) -> None:
    """Settle an attempt that failed with ``error``; the other arguments are ``settle_success``'s.

    What the server has refused costs no tokens; what never reached it costs nothing at all.
    """
    effect = effect_of(error)
    if effect.breaker == "counts":
        ward.circuit.failed(now, began)
    elif effect.breaker == "disable":
        why = f"{type(error).__name__}: {error}"
        ward.circuit.disable(why, now, began, account=isinstance(error, ACCOUNT_WIDE))
    else:
        ward.circuit.neutral(now, began)
    if effect.pause is not None:
        ward.group.rejected(ticket, now, hint=error.retry_after, kind=effect.pause)
    elif _never_sent(error):
        ward.group.unsent(ticket, now)
    elif error.http_status is not None and not ambiguous(error):
        ward.group.succeeded(ticket, 0, 0, now)
    else:
        ward.group.failed(ticket, now)
    _observe(ward, ticket, attempt, now)


def settle_cancelled(ward: Ward, ticket: Ticket, *, began: float, now: float) -> None:
    """Settle an attempt that was given up: it stays charged, and says nothing of the server."""
    ward.circuit.neutral(now, began)
    ward.group.failed(ticket, now)
    ward.outcome(now)


def _counted(ward: Ward, usage: Usage) -> int:
    """Return the prompt tokens that the server counts against its limit."""
    cached = 0 if ward.limits.counts_cached_tokens else usage.cached_input_tokens or 0
    return max(0, usage.input_tokens - cached)


def _observe(ward: Ward, ticket: Ticket, attempt: Attempt, now: float) -> None:
    headers = read_rate_headers(attempt.headers) if attempt.headers else None
    if headers is not None:
        ward.group.observe(headers, ticket.order, now)
    ward.outcome(now)


def _never_sent(error: ProviderError) -> bool:
    if isinstance(error, ConnectionFailed):
        return not error.sent
    if isinstance(error, Timeout):
        return error.stage == "connect"
    return isinstance(error, InvalidRequest) and error.http_status is None
