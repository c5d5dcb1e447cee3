"""Which runs wait on which nodes: a run that waits on three counts for a third on each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Waiting(NamedTuple):
    runs: Mapping[str, float]
    others: float


class WaitingRuns:
    """The runs that have calls waiting, by node."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Waiting] = {}
        self._counts: Counter[str] = Counter()

    def set(self, node: str, runs: Mapping[str, float], others: float = 0.0) -> None:
        """Replace what was known of a node.

        Args:
            node: which.
            runs: the weight of each run that waits on it.
            others: the weight of those that are not named.
        """
        former = self._nodes.pop(node, None)
        for run in former.runs if former is not None else ():
            self._counts[run] -= 1
            if not self._counts[run]:
                del self._counts[run]
        if runs or others:
            self._nodes[node] = _Waiting(runs, others)
            self._counts.update(runs.keys())

    def share(self, node: str) -> float:
        """Return the weight of a node: that of its runs, each divided by its nodes; 1.0 if none."""
        waiting = self._nodes.get(node)
        if waiting is None:
            return 1.0
        shares = (weight / self._counts[run] for run, weight in waiting.runs.items())
        return sum(shares) + waiting.others

    def spread(self, node: str) -> dict[str, int]:
        """Return on how many nodes those runs of a node wait that wait on several."""
        waiting = self._nodes.get(node)
        if waiting is None:
            return {}
        return {run: self._counts[run] for run in waiting.runs if self._counts[run] > 1}
