"""What was used in the last minute (or day), charge by charge, and when it is free again."""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_LOOKED_AT = 64


class Amounts(Protocol):
    """Anything that counts requests and tokens: a charge, a log, a call that waits."""

    @property
    def requests(self) -> int:
        """How many requests."""

    @property
    def tokens_in(self) -> int:
        """How many prompt tokens."""

    @property
    def tokens_out(self) -> int:
        """How many answer tokens."""


class Charge:
    """What one call uses, or several that were started within one grain of the log.

    Attributes:
        at: when the last of its calls was started; its span ends that much later.
        first: when the first of them was.
        counted: whether it is still in the log.
        requests: how many calls.
        tokens_in: their prompt tokens.
        tokens_out: their answer tokens.
    """

    __slots__ = ("at", "counted", "first", "requests", "tokens_in", "tokens_out")

    def __init__(self, at: float) -> None:
        self.at = at
        self.first = at
        self.counted = True
        self.requests = 0
        self.tokens_in = 0
        self.tokens_out = 0


class SlidingLog:
    """The charges of the last ``span_s`` seconds and their sums. O(1) for each call.

    Attributes:
        span_s: for how many seconds a charge counts.
        grain_s: calls that were started within so many seconds share a charge, which bounds the
            log to ``span_s / grain_s`` charges and frees them late by at most a grain; 0 keeps
            each call apart.
        requests: the calls in the log.
        tokens_in: their prompt tokens.
        tokens_out: their answer tokens.
    """

    def __init__(self, span_s: float, grain_s: float = 0.0) -> None:
        self.span_s = span_s
        self.grain_s = grain_s
        self.requests = 0
        self.tokens_in = 0
        self.tokens_out = 0
        self._charges: OrderedDict[Charge, None] = OrderedDict()
        self._quiet_until = inf  # nothing leaves before: all ask for that, again and again

    def __len__(self) -> int:
        return len(self._charges)

    def add(self, tokens_in: int, tokens_out: int, now: float) -> Charge:
        """Charge one call that is started now."""
        last = next(reversed(self._charges), None)
        if last is None or now - last.first >= self.grain_s:
            last = Charge(now)
            self._charges[last] = None
            self._quiet_until = min(self._quiet_until, now + self.span_s)
        last.at = now
        self.adjust(last, 1, tokens_in, tokens_out)
        return last

    def charge(self, amount: Amounts, at: float) -> Charge:
        """Charge several calls that are started at ``at`` at the latest.

        Args:
            amount: how many calls, and their tokens.
            at: an instant that is not before that of any other charge.
        """
        charge = self.add(amount.tokens_in, amount.tokens_out, at)
        self.adjust(charge, amount.requests - 1, 0, 0)
        return charge

    def charges(self) -> Iterator[Charge]:
        """Yield what counts, oldest first."""
        return iter(self._charges)

    def adjust(self, charge: Charge, requests: int, tokens_in: int, tokens_out: int) -> None:
        """Add to a charge, or take from it; without effect once it has left the log.

        A charge of nothing leaves it at once: what was never sent takes no room.
        """
        if not charge.counted:
            return
        charge.requests += requests
        charge.tokens_in += tokens_in
        charge.tokens_out += tokens_out
        self.requests += requests
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        if not charge.requests and not charge.tokens_in and not charge.tokens_out:
            charge.counted = False
            del self._charges[charge]

    def expire(self, now: float) -> None:
        """Let go of every charge whose span is over."""
        if now < self._quiet_until:
            return
        while (oldest := next(iter(self._charges), None)) and oldest.at + self.span_s <= now:
            self.adjust(oldest, -oldest.requests, -oldest.tokens_in, -oldest.tokens_out)
        self._quiet_until = inf if oldest is None else oldest.at + self.span_s

    def frees_at(self, amount_of: Callable[[Amounts], float], amount: float) -> float:
        """Return when ``amount`` of what is in the log now will have left it.

        Only the oldest charges are looked at, to keep this cheap: when they do not suffice, it is
        the instant at which the last of them leaves, and to be asked again.

        Returns:
            An instant, or infinity when the log is empty.
        """
        at = inf
        for seen, charge in enumerate(self._charges):
            at = charge.at + self.span_s
            amount -= amount_of(charge)
            if amount <= 0 or seen >= MOST_LOOKED_AT:
                break
        return at
