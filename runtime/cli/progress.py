"""A run as a tree of agents, folded from its journal records. Pure: no clock, no terminal.

A line stands for all tasks that one agent got from the agent above it, so the tree is as large as
the ways through which agents call each other, however many tasks there are. Only tasks that are
not over are remembered one by one, so a record costs the same in a run of a million.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runtime.journal import Record

MOST_LINES = 200  # lines of the tree; agents beyond are counted with the agent above them
ROOT = ""

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("done", "failed", "cancelled", "running", "queued")


class Row(NamedTuple):
    """One line of the tree.

    Attributes:
        depth: how many agents stand above it.
        agent: the agent's slug.
        counts: its tasks by state; states without tasks are left out.
        restarts: how often crashed bodies of it were started again.
        calls: its own model calls that came to an end.
        tokens: the tokens of those.
        cost_nano_usd: what they cost; None when nobody knows the price of any.
        elapsed_s: from its first task's start to its last one's end, or until now.
    """

    depth: int
    agent: str
    counts: Mapping[State, int]
    restarts: int
    calls: int
    tokens: int
    cost_nano_usd: int | None
    elapsed_s: float

    @property
    def tasks(self) -> int:
        """How many tasks the line stands for."""
        return sum(self.counts.values())


@dataclass(slots=True)
class _Line:
    agent: str
    began: float
    ended: float
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    restarts: int = 0
    calls: int = 0
    unpriced: int = 0
    tokens: int = 0
    cost: int = 0
    below: dict[str, _Line] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return self.counts["running"] + self.counts["queued"] > 0

    def row(self, depth: int, now: float) -> Row:
        return Row(
            depth,
            self.agent,
            {state: count for state, count in self.counts.items() if count},
            self.restarts,
            self.calls,
            self.tokens,
            None if self.unpriced and self.unpriced == self.calls else self.cost,
            max(0.0, (now if self.active else self.ended) - self.began),
        )


class _Task(NamedTuple):
    line: _Line
    state: State


class Progress:
    """The tree of one run. Give it every record in order; read ``rows`` as often as you like."""

    def __init__(self) -> None:
        self._top = _Line(ROOT, 0.0, 0.0)
        self._lines = 0
        self._tasks: dict[str, _Task] = {}
        self._folds: Mapping[str, Callable[[Record], None]] = {
            "delegation_sent": self._sent,
            "delegation_started": self._started,
            "delegation_completed": self._ended,
            "delegation_failed": self._ended,
            "invocation_completed": self._called,
            "invocation_failed": self._called,
        }

    def __repr__(self) -> str:
        return f"<Progress [{self._lines} lines, {len(self._tasks)} tasks not over]>"

    def take(self, record: Record) -> None:
        """Fold one record in; kinds that do not show are passed over."""
        fold = self._folds.get(record.kind)
        if fold is not None:
            fold(record)

    def rows(self, now: float) -> Iterator[Row]:
        """Yield the lines from the top, each agent above those that it called.

        Args:
            now: seconds since the Unix epoch, for what is not over.
        """
        pending = [(0, line) for line in reversed(self._top.below.values())]
        while pending:
            depth, line = pending.pop()
            yield line.row(depth, now)
            pending.extend((depth + 1, below) for below in reversed(line.below.values()))

    def _sent(self, record: Record) -> None:
        above = self._line_above(record.op)
        agent = str(record.body["agent"])
        line = above.below.get(agent)
        if line is None and self._lines >= MOST_LINES:
            line = above
        elif line is None:
            line = above.below[agent] = _Line(agent, record.at, record.at)
            self._lines += 1
        line.counts["queued"] += 1
        self._tasks[record.op] = _Task(line, "queued")

    def _started(self, record: Record) -> None:
        if self._move(record.op, "running") and record.body.get("attempt", 1) > 1:
            self._tasks[record.op].line.restarts += 1

    def _ended(self, record: Record) -> None:
        failure: State = "cancelled" if record.body.get("reason") == "cancelled" else "failed"
        self._move(record.op, "done" if record.kind == "delegation_completed" else failure)
        task = self._tasks.get(record.op)
        if task is not None:
            task.line.ended = record.at
            if not record.body.get("unfinished"):  # else it may go on
                del self._tasks[record.op]

    def _move(self, op: str, state: State) -> bool:
        task = self._tasks.get(op)
        if task is None:
            return False
        task.line.counts[task.state] -= 1
        task.line.counts[state] += 1
        self._tasks[op] = _Task(task.line, state)
        return True

    def _called(self, record: Record) -> None:
        line, usage = self._line_above(record.op), record.body.get("usage") or {}
        line.calls += 1
        line.unpriced += record.body.get("unpriced") is True
        line.cost += record.cost_nano_usd
        line.tokens += (usage.get("input_tokens") or 0) + (usage.get("output_tokens") or 0)

    def _line_above(self, op: str) -> _Line:
        """Return the line of the task that a step belongs to, by the step's name."""
        task = self._tasks.get(op.rpartition("/")[0])
        return self._top if task is None else task.line
