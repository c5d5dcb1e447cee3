"""What the spans of calls, attempts and waits end with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import DeadlineExceeded, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel import Span


class Failure(NamedTuple):
    """What a span ended with.

    Attributes:
        type: the class of the error.
        message: one sentence about it.
    """

    type: str
    message: str


def error_type(
    error: BaseException, reason_of: Callable[[BaseException], str] = lambda _: "cancelled"
) -> str:
    """Return what an error is called in a span.

    Args:
        error: the error.
        reason_of: the short word for one that is no exception but an ending.
    """
    if isinstance(error, ProviderError) and (error.code or error.type):
        return str(error.code or error.type)
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    return type(error).__name__ if isinstance(error, Exception) else reason_of(error)


def end_span(span: Span, failure: Failure | None, at_ns: int) -> None:
    """Close a span that was made afterwards, at the time at which it was over."""
    if failure is None:
        span.end(end_time_ns=at_ns)
    else:
        span.end(error_type=failure.type, message=failure.message, end_time_ns=at_ns)
