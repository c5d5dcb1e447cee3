"""When the server wants no calls at all, for every call of a group together.

Were each call to wait for itself, all would come back in the same instant or, with jitter, one
after the other into a server that has just refused. One shared pause costs one refusal.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING, Literal, NamedTuple

from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["rate_limited", "growth", "overloaded", "warming", "long"]

HINT_JITTER = 0.1
LONGEST_HINT_S = 86_400.0
LONG_S = 600.0


class Reaction(NamedTuple):
    """What one kind of rejection means.

    Attributes:
        unhinted: how long to pause when the server does not say; equal jitter.
        loss: whether it means that too much was sent, which begins a new epoch.
        teaches_pace: whether what was accepted before it tells the server's rate.
        slows_by: by how much the pace at which it came was too fast, at least.
        shortest_s: the seconds to pause at least, whatever the server says.
    """

    unhinted: Backoff
    loss: bool = True
    teaches_pace: bool = False
    slows_by: float = 1.0
    shortest_s: float = 0.0


REACTIONS: dict[Kind, Reaction] = {
    "rate_limited": Reaction(Backoff(1.0, 60.0, 0.5), teaches_pace=True),
    "growth": Reaction(Backoff(1.0, 60.0, 0.5), teaches_pace=True, slows_by=2.0),
    "overloaded": Reaction(Backoff(1.0, 10.0, 0.5), slows_by=1.3),
    "warming": Reaction(Backoff(1.0, 1.0, 0.0), loss=False),
    # A limit of a day is used up. The hints that come with it are about the minute.
    "long": Reaction(Backoff(), loss=False, shortest_s=LONG_S),
}


class SharedPause:
    """Until when nothing may go out. Its ends only ever move to later.

    Attributes:
        until: the end of the pause.
        unavailable_until: the end of a pause that is too long to wait for.
    """

    def __init__(self, longest_s: float, draw: Callable[[], float]) -> None:
        self.until = -inf
        self.unavailable_until = -inf
        self._longest_s = longest_s
        self._draw = draw

    @property
    def over_at(self) -> float:
        """When calls may go out again."""
        return max(self.until, self.unavailable_until)

    def resumes(self, now: float) -> float:
        """Return when calls go out again, as far as that tells the server's rate.

        A pause that is too long to wait for is about a day's limit and tells nothing of it.
        """
        return min(self.over_at, now + self._longest_s)

    def obey(self, hint: float, now: float) -> None:
        """Pause for as long as the server said and up to a tenth longer, never shorter."""
        seconds = min(hint, LONGEST_HINT_S)
        end = now + seconds * (1.0 + HINT_JITTER * self._draw())
        if seconds > self._longest_s:
            self.close(end)
        else:
            self.until = max(self.until, end)

    def impose(self, seconds: float, now: float) -> None:
        """Pause because somebody else was told to; no longer than that."""
        if seconds > self._longest_s:
            self.close(now + seconds)
        else:
            self.until = max(self.until, now + seconds)

    def close(self, until: float) -> None:
        """Let nothing out before ``until``, which is too long to wait for."""
        self.unavailable_until = max(self.unavailable_until, until)

    def guess(self, unhinted: Backoff, losses: int, now: float) -> None:
        """Pause for a guess that doubles with every loss that came before in vain."""
        seconds = min(unhinted.delay(losses, self._draw()), self._longest_s)
        self.until = max(self.until, now + seconds)


def usable(hint: float | None, shortest_s: float = 0.0) -> float | None:
    """Return the seconds to wait, or None when neither the hint nor ``shortest_s`` asks for any."""
    if hint is None or not isfinite(hint) or hint <= shortest_s:
        return shortest_s or None
    return hint
