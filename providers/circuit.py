"""Those who wait for a model that is left alone for a while, instead of failing for its fault.

What keeps a model from being asked is its own breaker, or that of the whole account: a key that is
refused is refused for every model. While the two are open everybody waits at the door, first come,
first served; the first one sleeps until a probe may go out, the others until they are told. Half
open lets one in at a time: whoever was let in holds the door until ``release``. Closed lets all in,
one after the other. Nobody waits for what no waiting mends, or for longer than there is time.

When a breaker opens, those of the model's calls that queue for their limits already are sent back
to the door, lest each of them uses up a turn to find out.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import anyio

from runtime.actors import current_time
from runtime.errors import QueueFull

if TYPE_CHECKING:
    from collections.abc import Iterable

    from providers.admission import Ticket
    from providers.breaker import Breaker, State
    from providers.line import Line

logger = logging.getLogger("providers.circuit")

SEVERITY: dict[State, int] = {"closed": 0, "half_open": 1, "open": 2, "disabled": 3}


class Circuit:
    """The two breakers before one model, and the calls that wait for them.

    Args:
        name: the model, as ``provider/model``.
        account: the breaker of the whole account.
        model: the model's own.
        line: where its calls queue once they were let in.
        most: how many may wait here.

    Attributes:
        queued: the tickets of this model that wait in the line.
    """

    __slots__ = ("_account", "_holder", "_line", "_model", "_most", "_name", "_shut_until",
                 "_waiting", "queued")  # fmt: skip

    def __init__(self, name: str, account: Breaker, model: Breaker, line: Line, most: int) -> None:
        self.queued: set[Ticket] = set()
        self._name = name
        self._account = account
        self._model = model
        self._line = line
        self._most = most
        self._waiting: dict[object, anyio.Event] = {}
        self._holder: object | None = None
        self._shut_until: float | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing keeps calls back: the state ``closed``, without a clock."""
        return self._account.is_closed and self._model.is_closed

    @property
    def waiting(self) -> int:
        """How many calls wait at the door."""
        return len(self._waiting)

    def state(self, now: float) -> State:
        """Return the more severe state of the two breakers."""
        return self._worse(now).state(now)

    def until(self, now: float) -> float | None:
        """Return when a probe may go out; None when it is closed, or that time has come."""
        return max((at for each in self._both if (at := each.until(now)) is not None), default=None)

    def reason(self, now: float) -> str | None:
        """Return why it is not closed, one line; None when it is."""
        return self._worse(now).reason

    # --- before a call ---------------------------------------------------------------------------

    def lets_in(self, call: object, now: float) -> bool:
        """Return whether ``call`` may go on to the line now; half open it then holds the door."""
        if self.is_closed:
            return True
        is_free = self._holder in (None, call) and not self._probe_is_out
        if is_free and self.state(now) == "half_open":
            self._holder = call
            return True
        return False

    async def enter(self, call: object, latest: float, give_up: float) -> bool:
        """Wait until ``call`` is let in.

        Args:
            call: who waits, once.
            latest: the instant at which it must be let in at the latest to be of any use.
            give_up: the instant at which it waits no longer.

        Returns:
            Whether it was let in; False when waiting is in vain, or was.

        Raises:
            QueueFull: too many wait already.
        """
        now = current_time()
        if len(self._waiting) >= self._most:
            raise QueueFull(f"{self._most} model calls wait for an open circuit; no more may")
        self._waiting[call] = anyio.Event()
        try:
            while not (self._is_first(call) and self.lets_in(call, now)):
                if now >= give_up or self._in_vain(min(latest, give_up), now):
                    return False
                await self._rest(call, now, give_up)
                now = current_time()
            return True
        finally:
            if self._waiting.pop(call, None) is not None:
                self._wake_first()

    def release(self, call: object) -> None:
        """Let the next one in, if it was ``call`` that held the door."""
        if self._holder is call:
            self._holder = None
            self._wake_first()

    def attempt(self, now: float) -> bool:
        """Return whether a call may go out now; half open it takes the one probe of each."""
        if not self._account.attempt(now):
            return False
        if self._model.attempt(now):
            return True
        self._account.neutral(now)
        return False

    # --- after a call ----------------------------------------------------------------------------

    def succeeded(self, now: float, began: float) -> None:
        """Note that a call which went out at ``began`` was answered."""
        if not self._account.is_closed:  # it counts no failures, so it need not count successes
            self._account.succeeded(now, began)
        self._model.succeeded(now, began)

    def failed(self, now: float, began: float) -> None:
        """Note that the server failed, which is not the account's fault."""
        self._account.neutral(now, began)
        self._model.failed(now, began)

    def neutral(self, now: float, began: float) -> None:
        """Note an end that says nothing."""
        self._account.neutral(now, began)
        self._model.neutral(now, began)

    def disable(self, reason: str, now: float, began: float, *, account: bool) -> None:
        """Shut it for what no waiting mends: the model, or with ``account`` every model."""
        self.neutral(now, began)
        (self._account if account else self._model).disable(reason, now)

    def look(self, now: float) -> None:
        """Tell those who wait what has changed; to be called after every outcome."""
        until = None if self.is_closed else self.until(now)
        if until is not None and until != self._shut_until:
            self._tell(until - now, now)
            self._line.send_away(tuple(self.queued), now)
            self._wake(self._waiting.values())
        else:
            self._wake_first()
        self._shut_until = until

    def after_crash(self) -> None:
        """Forget everybody: those who waited have died with their actor."""
        self._waiting.clear()
        self.queued.clear()
        self._holder = None

    def _tell(self, seconds: float, now: float) -> None:
        """Say why nothing happens for a while; what disables a model is an error of its calls."""
        if self.state(now) == "open":
            logger.warning("%s is left alone for %.0f s: %s", self._name, seconds, self.reason(now))

    # --- waiting ---------------------------------------------------------------------------------

    @property
    def _both(self) -> tuple[Breaker, Breaker]:
        return self._account, self._model

    @property
    def _probe_is_out(self) -> bool:
        return self._account.probe_is_out or self._model.probe_is_out

    def _worse(self, now: float) -> Breaker:
        return max(self._both, key=lambda breaker: SEVERITY[breaker.state(now)])

    def _is_first(self, call: object) -> bool:
        return next(iter(self._waiting), None) is call

    def _in_vain(self, latest: float, now: float) -> bool:
        return self.state(now) == "disabled" or (self.until(now) or -math.inf) > latest

    async def _rest(self, call: object, now: float, give_up: float) -> None:
        """Sleep until told; the first one also until a probe may go out."""
        opens = self.until(now) if self._is_first(call) else None
        event = self._waiting[call] = anyio.Event()
        with anyio.CancelScope(deadline=give_up if opens is None else min(opens, give_up)):
            await event.wait()

    def _wake_first(self) -> None:
        first = next(iter(self._waiting.values()), None)
        if first is not None:
            first.set()

    @staticmethod
    def _wake(events: Iterable[anyio.Event]) -> None:
        for event in events:
            event.set()
