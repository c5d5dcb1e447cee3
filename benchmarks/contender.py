"""What is measured: a contender is a place in the code, opened in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["baseline", "ours", "peer"]
ANY_NUMBER = 1_000_000


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that does operations.

    Attributes:
        name: what it is, for people.
        place: ``module:function`` below ``benchmarks.contenders``; the function is called with the
            options and returns an async context manager of a ``Work``, see ``worker``.
        role: the baseline is what the others of its case are compared with.
        environment: the peer whose environment it needs; None for this one.
        options: keyword arguments of the function.
        at_most: the most operations at once that it is asked to do; beyond, its row says so.
        pinned: whether its process stays on one core; not where it consists of several.
        turn_s: a turn that takes longer is given up.
    """

    name: str
    place: str
    role: Role = "peer"
    environment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    at_most: int = ANY_NUMBER
    pinned: bool = True
    turn_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """Contenders that do the same thing, in turns.

    Attributes:
        name: what they do.
        contenders: the first one is the baseline where there is one.
        at_once: the numbers of operations under way at once.
        operations: how many a turn has, at a scale of 1; None for as many as fit into its seconds.
        warm: operations of a turn before, which does not count, where their number is fixed.
    """

    name: str
    contenders: tuple[Contender, ...]
    at_once: tuple[int, ...]
    operations: int | None = None
    warm: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the benches are run.

    Attributes:
        rounds: turns of each contender that count.
        seconds: about how long a turn lasts.
        at_once: instead of the numbers of cases without a fixed number of operations.
        scale: fixed numbers of things, as a share of the usual.
        peers: whether peers have their turns.
        patience_s: a contender that would need longer for one turn is not asked.
        soak_s: how long to soak; 0 for not at all.
    """

    rounds: int = 5
    seconds: float = 0.5
    at_once: tuple[int, ...] = ()
    scale: float = 1.0
    peers: bool = True
    patience_s: float = 20.0
    soak_s: float = 0.0

    def scaled(self, number: int) -> int:
        """Return a number of things, at least 1."""
        return max(1, int(number * self.scale))
