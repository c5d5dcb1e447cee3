"""Sums over a journal for summaries: of calls, of runs, and the steps of runs.

The database adds up what may be added up, and the rest is read row by row as it is needed, beside
the writer and without a lock.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from runtime.journal.calls import TOKENS
from runtime.journal.reading import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.connection import Connection
    from runtime.journal.location import Location
    from runtime.journal.query import CallQuery


class CallSum(NamedTuple):
    """All calls that are alike in what a summary tells apart.

    Attributes:
        agent: who asked.
        provider: who was asked.
        model: for which model.
        tenant: for whom; empty for nobody.
        day: on which day, ``YYYY-MM-DD`` of UTC.
        data_classes: with which kinds of data, with commas between them.
        region: where that data went; empty where nobody says.
        status: where they stand; those of a process that has lost them are ``lost``.
        reason: the class of their failure; empty for none.
        unpriced: whether nobody knows their price.
        calls: how many.
        input_tokens: of their prompts.
        output_tokens: of their answers.
        cost_nano_usd: what they cost, as far as that is known.
        settled_nano_usd: what budgets count for them.
    """

    agent: str
    provider: str
    model: str
    tenant: str
    day: str
    data_classes: str
    region: str
    status: str
    reason: str
    unpriced: bool
    calls: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    settled_nano_usd: int


class RunSum(NamedTuple):
    """One run, and what its calls come to.

    Attributes:
        run_id: the run.
        target: what was run.
        status: where it stands; ``lost`` where its process has lost it.
        reason: the class of its failure; empty for none.
        seconds: how long it took; None while it runs.
        calls: its model calls that have an outcome.
        errors: how many of these failed.
        unpriced_calls: how many of its calls have no known price.
        cost_nano_usd: what they cost, as far as that is known.
        settled_nano_usd: what budgets count for them.
    """

    run_id: str
    target: str
    status: str
    reason: str
    seconds: float | None
    calls: int
    errors: int
    unpriced_calls: int
    cost_nano_usd: int
    settled_nano_usd: int


class TargetSum(NamedTuple):
    """The calls of one model of one provider that have an outcome and ended alike.

    Attributes:
        provider: who was asked.
        model: for which model.
        failed: whether they failed.
        error_class: the name of their error, or else the class of their failure; empty for none.
        calls: how many.
        unpriced: how many of them have no known price.
        input_tokens: of their prompts.
        output_tokens: of their answers.
        cost_nano_usd: what they cost, as far as that is known.
        seconds: how long they took together.
    """

    provider: str
    model: str
    failed: bool
    error_class: str
    calls: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    seconds: float


class Step(NamedTuple):
    """One outcome of a piece of work: of an agent, or of a skill that one used.

    Attributes:
        run_id: the run.
        kind: what it is.
        path: the agents that it went through, outermost first; for a skill without the skill.
        failed: whether it failed.
        reason: the class of its failure; empty for none.
        seconds: how long it took; None where nobody knows its beginning.
    """

    run_id: str
    kind: Literal["agent", "skill"]
    path: tuple[str, ...]
    failed: bool
    reason: str
    seconds: float | None


_ALIKE = ("agent", "provider", "model", "tenant", "day", "data_classes", "region")
_IN, _OUT = TOKENS[:2]
_STATUS = """
    CASE WHEN call.status = 'running'
    AND (run.status <> 'running' OR is_lost(run.owner, run.pid, run.host, lease.held_until))
    THEN 'lost' ELSE call.status END
"""
_CALLS = f"""
    SELECT {", ".join(f"call.{name}" for name in _ALIKE)}, {_STATUS} AS stands, call.reason,
           call.unpriced, count(*), sum(call.{_IN}), sum(call.{_OUT}), sum(call.cost_nano_usd),
           sum(coalesce(call.settled_nano_usd, call.reserved_nano_usd))
    FROM call LEFT JOIN run ON run.run_id = call.run_id
    LEFT JOIN lease ON lease.owner = run.owner
    WHERE {{where}}
    GROUP BY {", ".join(f"call.{name}" for name in _ALIKE)}, stands, call.reason, call.unpriced
"""  # noqa: S608  # our own columns
_RUNS = """
    SELECT run.run_id, run.target,
           CASE WHEN run.status = 'running'
           AND is_lost(run.owner, run.pid, run.host, lease.held_until) THEN 'lost'
           ELSE run.status END,
           coalesce(run.reason, ''), run.ended_at - run.started_at,
           run.calls, run.errors, run.unpriced_calls, run.cost_nano_usd, coalesce((
               SELECT sum(coalesce(settled_nano_usd, reserved_nano_usd))
               FROM call WHERE call.run_id = run.run_id
           ), 0)
    FROM run LEFT JOIN lease ON lease.owner = run.owner
    WHERE run.started_at >= :since AND (CAST(:workflow AS TEXT) IS NULL OR run.target = :workflow)
"""
_NEWEST = "SELECT run_id FROM run WHERE started_at >= ? ORDER BY started_at DESC LIMIT ?"
_COUNT = f"SELECT count(*) FROM ({_NEWEST}) AS newest"  # noqa: S608  # our own
_TARGETS = f"""
    SELECT provider, model, status = 'failed' AS failed,
           CASE WHEN error_class <> '' THEN error_class ELSE reason END AS class,
           count(*), sum(unpriced), sum({_IN}), sum({_OUT}), sum(cost_nano_usd),
           sum(max(0.0, ended_at - started_at))
    FROM call WHERE status IN ('completed', 'failed') AND run_id IN ({_NEWEST})
    GROUP BY provider, model, status, class
"""  # noqa: S608  # our own columns
_STEPS = """
    SELECT journal.run_id, kind, op, at,
           CASE WHEN kind IN ('delegation_failed', 'skill_failed')
           THEN coalesce(body, data) END
    FROM journal JOIN run ON run.run_id = journal.run_id LEFT JOIN blob USING (sha256)
    WHERE run.started_at >= :since AND (CAST(:workflow AS TEXT) IS NULL OR run.target = :workflow)
    AND kind IN (
        'delegation_started', 'delegation_completed', 'delegation_failed',
        'skill_started', 'skill_completed', 'skill_failed'
    )
    AND coalesce(body, data) NOT LIKE '{"inherited":%'
    ORDER BY journal.run_id, seq
"""


class Overview:
    """Adds up a journal; made by ``opened``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls, location: Location) -> Iterator[Overview]:
        """Open a journal; it is closed when the block ends.

        Raises:
            JournalFailed: it cannot be read, now or later in the block.
        """
        with reading(location) as connection:
            connection.execute("BEGIN")  # all sums are of one moment
            yield cls(connection)

    def calls(self, query: CallQuery) -> Iterator[CallSum]:
        """Yield the calls of a query, added up; its limit and its place do not count."""
        where = " AND ".join(query.conditions()) or "TRUE"
        for row in self._connection.execute(_CALLS.format(where=where), query.parameters()):
            yield CallSum(*row)._replace(unpriced=bool(row[9]))

    def runs(self, since: float, workflow: str | None) -> Iterator[RunSum]:
        """Yield the runs that began at or after a time, of one workflow or of any."""
        given = {"since": since, "workflow": workflow}
        return (RunSum(*row) for row in self._connection.execute(_RUNS, given))

    def newest(self, since: float, limit: int) -> tuple[int, list[TargetSum]]:
        """Return how many runs are the newest, and their calls by provider and model.

        Args:
            since: only runs that began at or after this time.
            limit: the most runs.
        """
        runs = self._connection.execute(_COUNT, (since, limit))
        targets = self._connection.execute(_TARGETS, (since, limit))
        return runs.fetchone()[0], [TargetSum(*row) for row in targets]

    def steps(self, since: float, workflow: str | None) -> Iterator[Step]:
        """Yield the pieces of work of the same runs that have an outcome."""
        given = {"since": since, "workflow": workflow}
        begun: dict[str, float] = {}
        current = ""
        for run_id, kind, op, at, failure in self._connection.execute(_STEPS, given):
            if run_id != current:
                current = run_id
                begun.clear()
            if kind.endswith("_started"):
                begun.setdefault(op, at)
            else:
                reason = "" if failure is None else json.loads(failure).get("reason") or ""
                yield _step(run_id, kind, op, reason, _since(begun.pop(op, None), at))


def _since(began: float | None, at: float) -> float | None:
    return None if began is None else max(0.0, at - began)


def _step(run_id: str, kind: str, op: str, reason: str, seconds: float | None) -> Step:
    names = tuple(part.partition(":")[0] for part in op.split("/"))
    is_skill = kind.startswith("skill")
    path = names[:-1] if is_skill else names
    failed = kind.endswith("_failed")
    return Step(run_id, "skill" if is_skill else "agent", path, failed, reason, seconds)
