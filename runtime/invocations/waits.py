"""Waits of which spans are made when they are over, also outside of any call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from otel.attempt_attributes import wait_name, wait_start
from runtime.engines import current_time
from runtime.invocations.endings import Failure, end_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel import Span, Tracing

SHOWN_S = 0.05  # a shorter wait is only counted


class Clock:
    """Instants of the event loop's clock as nanoseconds since the Unix epoch."""

    __slots__ = ("_zero",)

    def __init__(self) -> None:
        self._zero = time.time_ns() - round(current_time() * 1e9)

    def ns(self, instant: float) -> int:
        """Return an instant on the calendar."""
        return self._zero + round(instant * 1e9)


class BudgetWait:
    """A wait for what other calls have reserved, which comes before the call's own span.

    Attributes:
        began: when it began, by the event loop's clock.
        ended: when it was over.
        seconds: how long it was.
    """

    __slots__ = ("_since", "began", "ended", "seconds")

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.seconds = 0.0
        self._since = 0.0

    def __enter__(self) -> None:
        self._since = current_time()
        if not self.seconds:
            self.began = self._since

    def __exit__(self, *_exception: object) -> None:
        self.ended = current_time()
        self.seconds += self.ended - self._since

    @property
    def is_shown(self) -> bool:
        """Whether it was long enough to be seen."""
        return self.seconds >= SHOWN_S

    def in_vain(self, tracing: Tracing, parent: Span, failure: Failure) -> None:
        """Tell of a wait after which there was no call."""
        if not self.is_shown or not tracing.is_recording:
            return
        clock = Clock()
        span = tracing.start(
            wait_name("budget"),
            parent=parent,
            attributes=wait_start("budget"),
            start_time_ns=clock.ns(self.began),
        )
        end_span(span, failure, clock.ns(self.ended))


async def sleep_until_circuit(
    tracing: Tracing, parent: Span, reason_of: Callable[[BaseException], str], instant: float
) -> None:
    """Sleep until a circuit may be closed again, between two calls.

    Args:
        tracing: where spans come from.
        parent: the span of what asks.
        reason_of: the short word for what cuts it off.
        instant: an instant of the event loop's clock.
    """
    clock, began = Clock(), current_time()
    failure: Failure | None = None
    try:
        await anyio.sleep_until(instant)
    except BaseException as error:
        failure = Failure(reason_of(error), str(error))
        raise
    finally:
        now = current_time()
        if now - began >= SHOWN_S and tracing.is_recording:
            span = tracing.start(
                wait_name("rate_limit"),
                parent=parent,
                attributes=wait_start("circuit"),
                start_time_ns=clock.ns(began),
            )
            end_span(span, failure, clock.ns(now))
