"""How many bodies of one kind run at once; the others stand in line. Pure: it runs nothing itself.

A body that waits for its own delegations leaves the gate and comes back to the front of the line,
so the limit counts bodies that *run*, and a recursive delegation cannot deadlock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Gate:
    """Admits at most ``capacity`` at a time, first come, first served, returners first.

    Attributes:
        capacity: how many may be inside.
        inside: how many are.
    """

    __slots__ = ("_line", "_returning", "capacity", "inside")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.inside = 0
        self._line: deque[Callable[[], bool]] = deque()
        self._returning: deque[Callable[[], bool]] = deque()

    def __repr__(self) -> str:
        return (
            f"<Gate [{self.inside}/{self.capacity} inside, {len(self._line)} in line,"
            f" {len(self._returning)} returning]>"
        )

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @property
    def is_open(self) -> bool:
        """Whether there is a place, and nobody stands in line for it."""
        return self.inside < self.capacity and not (self._line or self._returning)

    def enter(self, admit: Callable[[], bool], *, returning: bool = False) -> None:
        """Call ``admit`` as soon as there is room.

        Args:
            admit: returns False when it has no use for the place any more; the next one gets it.
            returning: go to the front of the line.
        """
        if self.walk_in():
            if not admit():
                self.inside -= 1
            return
        (self._returning if returning else self._line).append(admit)
        self._admit()

    def walk_in(self) -> bool:
        """Take a place if there is one and nobody stands in line; return whether that was so."""
        if not self.is_open:
            return False
        self.inside += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self.inside -= 1
        if self._line or self._returning:
            self._admit()

    def squeeze_in(self) -> None:
        """Count one more inside, even beyond the capacity: a body that runs already."""
        self.inside += 1

    def _admit(self) -> None:
        while self.inside < self.capacity:
            line = self._returning or self._line
            if not line:
                return
            self.inside += 1
            if not line.popleft()():
                self.inside -= 1
