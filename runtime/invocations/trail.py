"""What a model call goes through, as children of its span: attempts and waits.

A call that is answered at its first attempt has no child for it, as that would only double the
spans; the first attempt is told of when there is to be a second one. A wait is told of when it
lasted long enough to be seen. All of them are made when they are over, so none can be left open:
what is under way when the call ends, ends with it and as it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel.attempt_attributes import (
    HTTP_ATTEMPT,
    LOCAL_ATTEMPT,
    attempt_start,
    wait_name,
    wait_start,
)
from runtime.engines import current_time
from runtime.invocations.endings import Failure, end_span, error_type
from runtime.invocations.waits import SHOWN_S, Clock

if TYPE_CHECKING:
    from otel import Span, Tracing
    from otel.attempt_attributes import Wait
    from otel.attributes import Attributes
    from runtime.chat_spans import Server
    from runtime.invocations.waits import BudgetWait
    from runtime.messages import HeldBy, ModelRequest

_SHORTEST_S = 0.001
MOST_SPANS = 64  # of one call: a server that warms up is asked again and again


class _Past(NamedTuple):
    """An attempt that is over."""

    number: int
    began: float
    ended: float
    failure: Failure | None
    status: int | None


class _Pending(NamedTuple):
    """A wait that lasts, or was cut off; ``ended`` is None while it lasts."""

    held_by: HeldBy
    began: float
    ended: float | None = None


class Trail:
    """The attempts and waits of one call.

    Args:
        tracing: where spans come from.
        span: the call's.
        request: the call.
        server: who is asked; None for a model in this process.

    Attributes:
        shown: how many spans it has made.
    """

    __slots__ = (
        "_attempts",
        "_clock",
        "_cut_off",
        "_first",
        "_held_s",
        "_is_over",
        "_out_since",
        "_request",
        "_server",
        "_span",
        "_tracing",
        "_wait",
        "shown",
    )  # fmt: skip

    def __init__(
        self, tracing: Tracing, span: Span, request: ModelRequest, server: Server | None
    ) -> None:
        self._tracing = tracing
        self._span = span
        self._request = request
        self._server = server
        self._clock: Clock | None = None  # one for all that is shown, and few calls show anything
        self._attempts = 0
        self.shown = 0
        self._is_over = False
        self._out_since: float | None = None
        self._first: _Past | None = None
        self._cut_off: _Past | None = None
        self._wait: _Pending | None = None
        self._held_s: dict[Wait, float] = {}

    def sent(self) -> None:
        """An attempt goes out."""
        self._attempts += 1
        self._out_since = current_time()
        self._tell_first()

    def ended(self, error: BaseException | None, status: int | None) -> None:
        """The attempt is over; one that was cut off ends as the call will."""
        if self._out_since is None:
            return
        failure = None if error is None else Failure(error_type(error), str(error))
        over = self._past(failure, status)
        if error is None or isinstance(error, Exception):
            self._add(over)
        else:
            self._cut_off = over

    def waiting(self, held_by: HeldBy) -> None:
        """The call waits from now on; between two attempts, if it backs off."""
        if held_by == "backoff":
            self._tell_first()
        self._wait = _Pending(held_by, current_time())

    def went_on(self, *, cut_off: bool) -> None:
        """The wait is over; one that was cut off ends as the call will."""
        wait = self._wait
        if wait is None:
            return
        now = current_time()
        if cut_off:
            self._wait = wait._replace(ended=now)
        else:
            self._wait = None
            self._add_wait(wait, now, None)

    def waited_for_budget(self, wait: BudgetWait) -> None:
        """Tell that the call has waited for what others had reserved before it began."""
        if wait.seconds:
            self._held_s["budget"] = wait.seconds
        if wait.is_shown:
            self._show_wait("budget", "budget", (wait.began, wait.ended), None)

    def close(self, failure: Failure | None) -> None:
        """The call is over, and so is what is still under way; after it nothing is told."""
        wait, over = self._wait, self._cut_off
        if wait is not None:
            now = current_time() if wait.ended is None else wait.ended
            self._add_wait(wait, now, failure)
        if self._out_since is not None:
            over = self._past(failure, None)
        if over is not None:
            self._add(over._replace(failure=failure))
        self._wait = self._cut_off = None
        self._is_over = True

    @property
    def has_waited(self) -> bool:
        """Whether anything has held the call, for however short a time."""
        return bool(self._held_s)

    def wait_ms(self, wait: Wait) -> float | None:
        """Return for how many milliseconds the call was held by something; None for not at all.

        Each call takes its turn: what is below a millisecond is that, and no wait.
        """
        held_s = self._held_s.get(wait, 0.0)
        return round(held_s * 1_000, 3) if held_s >= _SHORTEST_S else None

    # --- attempts --------------------------------------------------------------------------------

    def _past(self, failure: Failure | None, status: int | None) -> _Past:
        now = current_time()
        began = now if self._out_since is None else self._out_since
        self._out_since = None
        return _Past(self._attempts, began, now, failure, status)

    def _add(self, over: _Past) -> None:
        if over.number == 1:
            self._first = over
        else:
            self._show_attempt(over)

    def _tell_first(self) -> None:
        """Tell of the first attempt, as it was not the only one."""
        first, self._first = self._first, None
        if first is not None:
            self._show_attempt(first)

    def _show_attempt(self, over: _Past) -> None:
        server, request = self._server, self._request
        attributes = attempt_start(
            over.number,
            over_http=server is not None,
            status=over.status,
            server_address=None if server is None else server.address,
            server_port=None if server is None else server.port,
            run_id=request.run_id,
            task_id=request.task_id,
        )
        name = LOCAL_ATTEMPT if server is None else HTTP_ATTEMPT
        self._show(name, attributes, (over.began, over.ended), over.failure)

    # --- waits -----------------------------------------------------------------------------------

    def _add_wait(self, wait: _Pending, now: float, failure: Failure | None) -> None:
        kind: Wait = "backoff" if wait.held_by == "backoff" else "rate_limit"
        self._held_s[kind] = self._held_s.get(kind, 0.0) + now - wait.began
        if now - wait.began >= SHOWN_S:
            self._show_wait(kind, wait.held_by, (wait.began, now), failure)

    def _show_wait(
        self, kind: Wait, held_by: str, between: tuple[float, float], failure: Failure | None
    ) -> None:
        request = self._request
        attributes = wait_start(held_by, run_id=request.run_id, task_id=request.task_id)
        self._show(wait_name(kind), attributes, between, failure)

    def _show(
        self,
        name: str,
        attributes: Attributes,
        between: tuple[float, float],
        failure: Failure | None,
    ) -> None:
        if self._is_over or self.shown >= MOST_SPANS:
            return
        self.shown += 1
        began, ended = between
        clock = self._clock = self._clock or Clock()
        span = self._tracing.start(
            name,
            kind="client" if name == HTTP_ATTEMPT else "internal",
            parent=self._span,
            attributes=attributes,
            start_time_ns=clock.ns(began),
        )
        end_span(span, failure, clock.ns(ended))
