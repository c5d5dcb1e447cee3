"""When a child is restarted, and when its supervisor gives up. Pure: tables and arithmetic.

| restart   | normal | shutdown | killed  | crashed |
|-----------|--------|----------|---------|---------|
| permanent | again  | again    | again   | again   |
| transient | -      | -        | again   | again   |
| temporary | -      | -        | -       | -       |
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runtime.actors.exits import ExitKind

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]

RESTARTED: dict[Restart, frozenset[ExitKind]] = {
    "permanent": frozenset(("normal", "shutdown", "killed", "crashed")),
    "transient": frozenset(("killed", "crashed")),
    "temporary": frozenset(),
}


class RestartIntensity:
    """At most ``intensity`` restarts within any ``period`` seconds.

    Attributes:
        intensity: how many restarts are patience; 0 means none at all.
        period: the length of the window in seconds.
    """

    __slots__ = ("_stamps", "intensity", "period")

    def __init__(self, intensity: int, period: float) -> None:
        self.intensity = intensity
        self.period = period
        self._stamps: deque[float] = deque()

    def __repr__(self) -> str:
        return f"<RestartIntensity {len(self._stamps)} of {self.intensity} in {self.period:g} s>"

    def spend(self, now: float) -> bool:
        """Count a restart at ``now`` and return whether it is still within the intensity."""
        self._stamps.append(now)
        while self._stamps[0] < now - self.period or len(self._stamps) > self.intensity + 1:
            self._stamps.popleft()
        return len(self._stamps) <= self.intensity
