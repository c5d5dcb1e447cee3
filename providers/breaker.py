"""Whether a target is worth asking: a circuit breaker for one model of one account.

Theory of operation. ``closed`` lets everything through and counts. Five failures in a row, or half
of at least twenty results within 30 s, make it ``open``: nothing goes out for 5 s, and twice as
long each time that it opens again. After that it is ``half_open``: one probe at a time; two
successes close it, one failure opens it again. ``disabled`` is for what no waiting mends (a wrong
key, no money, no such model): a probe may still go out every ten minutes, as an operator may have
mended it.

Only failures of the server count. What is neutral (a rate limit, a caller's mistake, a call that
was given up) says nothing about whether the target works: it only gives the probe back.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Literal

from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["closed", "open", "half_open", "disabled"]

FAILURES_IN_A_ROW = 5
FEWEST_RESULTS = 20
FAILED_SHARE = 0.5
BUCKETS, BUCKET_S = 10, 3.0
SUCCESSES_TO_CLOSE = 2
OPEN_FOR = Backoff(first=5.0, longest=300.0, jitter=0.0)
JITTER = (
    0.2  # how much longer it may stay open, so that the targets of a server do not probe as one
)
PROBE_AFTER_S = 600.0


class _Results:
    """Successes and failures of the last half minute, in a few buckets, and their sums.

    Attributes:
        failed: how many failures.
    """

    def __init__(self) -> None:
        self._buckets: deque[list[int]] = deque()
        self._newest = -inf
        self._total = 0
        self.failed = 0
        self._in_a_row = 0

    def add(self, now: float, *, failed: bool) -> None:
        number = int(now // BUCKET_S)
        if number > self._newest:
            self._begin_bucket(number)
        bucket = self._buckets[-1]
        bucket[1] += 1
        self._total += 1
        if failed:
            bucket[2] += 1
            self.failed += 1
            self._in_a_row += 1
        else:
            self._in_a_row = 0

    def verdict(self) -> str | None:
        """Return why the target is not worth asking; None when it is."""
        if self._in_a_row >= FAILURES_IN_A_ROW:
            return f"the last {self._in_a_row} calls failed"
        total, failed = self._total, self.failed
        if total >= FEWEST_RESULTS and failed >= FAILED_SHARE * total:
            return f"{failed} of {total} calls failed within {BUCKETS * BUCKET_S:.0f} s"
        return None

    def _begin_bucket(self, number: int) -> None:
        self._newest = number
        self._buckets.append([number, 0, 0])
        while self._buckets[0][0] <= number - BUCKETS:
            _, total, failed = self._buckets.popleft()
            self._total -= total
            self.failed -= failed


class Breaker:
    """Says whether a call may go out, and learns from what becomes of it.

    Instants are seconds of one monotonic clock, the caller's. The outcomes take ``began``, the
    instant at which ``attempt`` let the call out: a call from before the breaker last opened says
    nothing about the probe. Without it every outcome is taken for the newest call's.

    Attributes:
        reason: why it is not closed, one line; None when it is.
        on_change: called after it was shut or closed by what became of a call; None for nobody.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        """Begin closed.

        Args:
            draw: gives random numbers in [0, 1).
        """
        self.reason: str | None = None
        self.on_change: Callable[[float], None] | None = None
        self._draw = draw
        self._shut: Literal["open", "disabled"] | None = None
        self._until = -inf
        self._since = -inf
        self._openings = 0
        self._successes = 0
        self._probe_is_out = False
        self._results = _Results()

    def __repr__(self) -> str:
        word = "closed" if self._shut is None else f"{self._shut} until {self._until:.3f}"
        return f"<Breaker {word}{', a probe is out' if self._probe_is_out else ''}>"

    @property
    def is_closed(self) -> bool:
        """Whether its state is ``closed``, which no time changes."""
        return self._shut is None

    def state(self, now: float) -> State:
        """Return its state; ``half_open`` once a probe may go out or is out."""
        if self._shut is None:
            return "closed"
        return self._shut if now < self._until else "half_open"

    def until(self, now: float) -> float | None:
        """Return when a probe may go out; None when it is closed, or that time has come."""
        return self._until if self._shut is not None and now < self._until else None

    @property
    def probe_is_out(self) -> bool:
        """Whether a call is out that decides whether it closes."""
        return self._shut is not None and self._probe_is_out

    def attempt(self, now: float) -> bool:
        """Return whether a call may go out now; half open it takes the one probe."""
        if self._shut is None:
            return True
        if now < self._until or self._probe_is_out:
            return False
        self._probe_is_out = True
        self._since = now
        return True

    def succeeded(self, now: float, began: float | None = None) -> None:
        """Note that the target answered."""
        if not self._concerns(began):
            return
        if self._shut is None:
            self._count(now, failed=False)
            return
        self._probe_is_out = False
        self._successes += 1
        if self._successes >= SUCCESSES_TO_CLOSE:
            self._close(now)
            self._changed(now)

    def failed(self, now: float, began: float | None = None) -> None:
        """Note that the target failed, by its own fault."""
        if not self._concerns(began):
            return
        if self._shut is None:
            self._count(now, failed=True)
        else:
            self._open("a probe failed", now)

    def neutral(self, now: float, began: float | None = None) -> None:
        """Note an outcome that says nothing about the target; a probe is given back."""
        del now
        if self._concerns(began):
            self._probe_is_out = False

    def disable(self, reason: str, now: float) -> None:
        """Shut it for something that no waiting mends, until a probe in ten minutes.

        Args:
            reason: what, one line.
            now: the instant.
        """
        self._shut_until("disabled", reason, now, now + PROBE_AFTER_S)
        self._changed(now)

    def impose(self, state: State, reason: str, seconds: float, now: float) -> None:
        """Take over the state of another breaker before the same target.

        Args:
            state: what it says: ``closed``, ``open`` or ``disabled``.
            reason: why, one line.
            seconds: how much longer it lets nothing out.
            now: the instant.
        """
        if state == "open" or state == "disabled":  # noqa: PLR1714  # mypy narrows by these
            self._shut_until(state, reason, now, now + seconds)
        else:
            self._close(now)

    def _changed(self, now: float) -> None:
        if self.on_change is not None:
            self.on_change(now)

    def _concerns(self, began: float | None) -> bool:
        if began is not None and began < self._since:
            return False
        return self._shut is None or self._probe_is_out

    def _count(self, now: float, *, failed: bool) -> None:
        self._results.add(now, failed=failed)
        verdict = self._results.verdict() if self._results.failed else None
        if verdict is not None:
            self._open(verdict, now)

    def _open(self, reason: str, now: float) -> None:
        seconds = OPEN_FOR.delay(self._openings, 0.0) * (1.0 + JITTER * self._draw())
        self._openings += 1
        self._shut_until("open", reason, now, now + seconds)
        self._changed(now)

    def _shut_until(
        self, shut: Literal["open", "disabled"], reason: str, now: float, until: float
    ) -> None:
        self._shut = shut
        self.reason = reason
        self._until = max(self._until, until)
        self._since = now
        self._successes = 0
        self._probe_is_out = False

    def _close(self, now: float) -> None:
        self._shut = self.reason = None
        self._until = -inf
        self._since = now
        self._openings = 0
        self._successes = 0
        self._results = _Results()
