"""A run's events as a tree of its delegations. Pure.

A step's name begins with the name of the step above it, so the tree needs nothing but names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.cli.crowds import counted, crowds
from runtime.cli.liveness import LOST
from runtime.cli.text import TIMES, duration, money, one_line, plural
from runtime.governance.cost import NANO
from runtime.journal import known_cost
from runtime.journal.records import PARKED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runtime.journal import EventRow


UNDER_WAY = ("queued", "running")


@dataclass(slots=True)
class Task:
    """One delegation of a run.

    Attributes:
        agent: the slug of the agent that got it.
        task: its name in the run.
        sent_at: when, in seconds since the Unix epoch.
        status: ``queued``, ``running``, ``completed`` or ``failed``; of a run that nobody is at
            work on, where that stands.
        attempts: how many times a body was started.
        duration_s: from being sent to its outcome; None until then.
        calls: its own model calls with an outcome, those of tasks below not counted.
        call_errors: those of them that failed.
        unpriced: those of them whose price nobody knows.
        tokens: their tokens.
        cost: nano-USD of those with a price.
        skills: its own uses of skills with an outcome.
        skill_errors: those of them that failed.
        error: why it failed, one line.
        reason: the class of that.
        below: what it delegated.
    """

    agent: str
    task: str
    sent_at: float
    status: str = "queued"
    attempts: int = 0
    duration_s: float | None = None
    calls: int = 0
    call_errors: int = 0
    unpriced: int = 0
    tokens: int = 0
    cost: int = 0
    skills: int = 0
    skill_errors: int = 0
    error: str | None = None
    reason: str | None = None
    below: list[Task] = field(default_factory=list)

    @property
    def known_cost(self) -> int | None:
        """Nano-USD of its own calls; None when nobody knows the price of any."""
        return known_cost(self.cost, self.calls, self.call_errors, self.unpriced)

    def as_json(self) -> dict[str, Any]:
        """Return it and what is below as JSON data; costs in USD."""
        cost = self.known_cost
        return {
            "agent": self.agent,
            "task": self.task,
            "status": self.status,
            "attempts": self.attempts,
            "duration_s": self.duration_s,
            "calls": self.calls,
            "call_errors": self.call_errors,
            "tokens": self.tokens,
            "cost_usd": None if cost is None else cost / NANO,
            "skills": self.skills,
            "skill_errors": self.skill_errors,
            "error": self.error,
            "reason": self.reason,
            "delegations": [task.as_json() for task in self.below],
        }


def op_above(op: str) -> str:
    """Return the name of the step above a step; empty for the run itself."""
    return op.rpartition("/")[0]


class Story:
    """Folds events into the tree; give it every event in order.

    Attributes:
        roots: the tasks at the top; one in every run that began.
    """

    def __init__(self) -> None:
        self.roots: list[Task] = []
        self._tasks: dict[str, Task] = {}
        self._folds: Mapping[str, Callable[[EventRow, Task], None]] = {
            "delegation_started": _started,
            "delegation_completed": _ended,
            "delegation_failed": _ended,
        }
        self._steps: Mapping[str, Callable[[EventRow, Task], None]] = {
            "invocation_completed": _called,
            "invocation_failed": _called,
            "skill_completed": _used,
            "skill_failed": _used,
        }

    def take(self, event: EventRow) -> None:
        """Fold one event in; kinds that do not show are passed over."""
        above = self._tasks.get(op_above(event.op))
        task = self._tasks.get(event.op)
        if event.kind == "delegation_sent":
            task = Task(str(event.body.get("agent")), str(event.body.get("task")), event.at)
            self._tasks[event.op] = task
            (self.roots if above is None else above.below).append(task)
        elif event.kind in self._folds and task is not None:
            self._folds[event.kind](event, task)
        elif event.kind in self._steps and above is not None:
            self._steps[event.kind](event, above)

    def close(self, status: str) -> None:
        """Say of what has not ended where its run stands, when nobody is at work on it."""
        if status != "running":
            for task in self._tasks.values():
                if task.status in UNDER_WAY:
                    task.status = status if status in PARKED else LOST


def _started(event: EventRow, task: Task) -> None:
    task.status = "running"
    task.attempts = max(task.attempts, event.body.get("attempt") or 1)


def _ended(event: EventRow, task: Task) -> None:
    task.status = event.kind.removeprefix("delegation_")
    task.duration_s = round(event.at - task.sent_at, 3)
    task.error, task.reason = event.body.get("error"), event.body.get("reason")


def _called(event: EventRow, task: Task) -> None:
    usage = event.body.get("usage") or {}
    task.calls += 1
    task.call_errors += event.kind == "invocation_failed"
    task.unpriced += event.body.get("unpriced") is True
    task.tokens += (usage.get("input_tokens") or 0) + (usage.get("output_tokens") or 0)
    task.cost += event.cost_nano_usd


def _used(event: EventRow, task: Task) -> None:
    task.skills += 1
    task.skill_errors += event.kind == "skill_failed"


def lines(tasks: list[Task], depth: int = 0) -> Iterator[str]:
    """Yield the tree for people: of many tasks of one agent the failed ones and a few more."""
    for crowd in crowds(tasks, lambda task: task.agent, lambda task: task.status == "completed"):
        for task in crowd.shown:
            yield f"{'  ' * depth}{_line(task)}"
            yield from lines(task.below, depth + 1)
        if crowd.hidden:
            counts = counted(task.status for task in crowd.hidden)
            yield f"{'  ' * depth}{crowd.kind} {TIMES} {len(crowd.hidden):,} more: {counts}"


def _line(task: Task) -> str:
    facts = [f"{task.task} {task.status}"]
    if task.duration_s is not None:
        facts.append(duration(task.duration_s))
    if task.attempts > 1:
        facts.append(plural(task.attempts, "attempt"))
    if task.calls:
        failed = f" ({task.call_errors:,} failed)" if task.call_errors else ""
        facts.append(f"{plural(task.calls, 'call')}{failed}, {task.tokens:,} tokens")
        facts.append(money(task.known_cost, task.unpriced if task.known_cost is not None else 0))
    if task.skills:
        failed = f" ({task.skill_errors:,} failed)" if task.skill_errors else ""
        facts.append(f"{plural(task.skills, 'skill')}{failed}")
    if task.error:
        facts.append(f"{task.reason}: {one_line(task.error)}")
    return "  ".join(facts)
