"""What a model call has cost that failed, and how sure that is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import (
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    MalformedResponse,
    ProviderError,
    QueueFull,
    StreamInterrupted,
    Timeout,
)
from runtime.governance.cost import cost_of

if TYPE_CHECKING:
    from runtime.messages import Price, Usage

NOT_YET_SENT = ("connect", "queue")  # stages of a call in which nothing can have been generated


class Stakes(NamedTuple):
    """What is at stake in a call.

    Attributes:
        price: what its model costs; None when nobody knows.
        counted: the price that budgets count; None when nobody knows.
        tier: the tier of service that was asked for; of a failure nobody says which one it was.
        worst: nano-USD that one attempt may cost at most.
        lost: nano-USD that earlier attempts may have cost whose fate nobody knows.
        is_out: whether an attempt is under way that may be billed.
    """

    price: Price | None
    counted: Price | None
    tier: str | None
    worst: int
    lost: int
    is_out: bool


class Fate(NamedTuple):
    """What a failed call has cost.

    Attributes:
        billed: how sure that is: ``no``, ``partly`` or ``unknown``.
        settled: nano-USD that budgets count: what is known, and the worst case of what is not.
        cost: nano-USD that are known to be spent; None where nobody knows the price.
        usage: the tokens, where they are known.
    """

    billed: str
    settled: int
    cost: int | None = 0
    usage: Usage | None = None


def fate_of(error: BaseException, stakes: Stakes) -> Fate:
    """Return what a call has cost that ended with an error."""
    usage = error.usage if isinstance(error, StreamInterrupted | DeadlineExceeded) else None
    if usage is not None:
        counted = total(stakes.counted, usage, stakes.tier)
        settled = (stakes.worst if counted is None else counted) + stakes.lost
        return Fate("partly", settled, total(stakes.price, usage, stakes.tier), usage)
    unknown = None if stakes.price is None else 0
    if stakes.is_out and not is_certainly_free(error):
        return Fate("unknown", stakes.worst + stakes.lost, unknown)
    return Fate("unknown", stakes.lost, unknown) if stakes.lost else Fate("no", 0)


def total(price: Price | None, usage: Usage | None, tier: str | None) -> int | None:
    """Return what an answer cost, in nano-USD; None where nobody knows."""
    return None if price is None or usage is None else cost_of(usage, price, tier)


def is_certainly_free(error: BaseException) -> bool:
    """Whether nothing can have been generated: the provider said no, or was not asked."""
    if isinstance(error, Timeout | DeadlineExceeded):
        return error.stage in NOT_YET_SENT
    if isinstance(error, ConnectionFailed):
        return not error.sent
    if isinstance(error, MalformedResponse | StreamInterrupted):
        return False
    return isinstance(error, ProviderError | ConfigurationError | QueueFull)
