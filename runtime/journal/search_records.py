"""The records that are searched: which there are, newest first, and the text of each.

The text of a record is its kind, its step and its body as JSON, in which escapes are resolved: a
line break in a prompt is one, not a backslash and an n that would hide the word behind it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.journal.search_pattern import snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.connection import Connection
    from runtime.journal.search_pattern import Wanted

_ESCAPES = re.compile(r'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))+')
_SIMPLE = {r"\n": "\n", r"\"": '"', r"\t": "\t", r"\\": "\\"}
_STEP = re.compile(r"([^:/]+):[^:/]+:[0-9]+")
_OWN_STEP = ("invocation_", "skill_")  # kinds whose last step is no delegation

_RECORD = """
    SELECT journal.run_id, coalesce(run.target, ''), journal.seq, journal.at, journal.kind,
           journal.op, coalesce(journal.body, blob.data),
           coalesce(call.agent, ''), coalesce(call.path, '')
    FROM journal
    LEFT JOIN blob ON blob.sha256 = journal.sha256
    LEFT JOIN run ON run.run_id = journal.run_id
    LEFT JOIN call ON call.run_id = journal.run_id AND call.op = journal.op
    WHERE journal.run_id = ? AND journal.seq = ?
"""


class Place(NamedTuple):
    """Where a record is."""

    run_id: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Which records are searched; what is None is of no matter.

    Attributes:
        run_id: those of this run.
        agent: those of this agent, or of those it delegated to.
        since: those written at or after this time, in seconds since the Unix epoch.
        limit: the newest so many of what is found.
    """

    run_id: str | None = None
    agent: str | None = None
    since: float | None = None
    limit: int = 100


class Hit(NamedTuple):
    """A record in which something was found.

    Attributes:
        run_id: its run.
        workflow: the workflow or agent that the run was started with.
        seq: its place in the run.
        at: when, in seconds since the Unix epoch.
        kind: a key of ``KINDS``.
        agent: whose it is; empty for the run's own.
        op: the step.
        snippet: the text around the match.
    """

    run_id: str
    workflow: str
    seq: int
    at: float
    kind: str
    agent: str
    op: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it is searched; the fields are the columns of ``_RECORD``."""

    run_id: str
    workflow: str
    seq: int
    at: float
    kind: str
    op: str
    body: str
    call_agent: str
    call_path: str

    def agents(self) -> list[str]:
        """Return whose it is and those above, outermost first; some may be there twice."""
        steps = [match[1] for match in map(_STEP.fullmatch, self.op.split("/")) if match]
        if self.kind.startswith(_OWN_STEP):
            del steps[-1:]
        said: Any = json.loads(self.body)
        own = said.get("agent")
        above = [*self.call_path.split("/"), *steps, self.call_agent]
        return [name for name in (*above, own) if isinstance(name, str) and name]

    def hit(self, sought: Wanted) -> Hit | None:
        """Return it as a hit; None if it has not what is sought."""
        text = text_of(self.kind, self.op, self.body)
        span = sought.find(text)
        if span is None:
            return None
        start = len(text_of(self.kind, self.op, ""))
        if span[0] >= start:  # the hit has kind and step anyway
            text, span = text[start:], (span[0] - start, span[1] - start)
        agent, shown = (self.agents() or [""])[-1], snippet(text, span)
        return Hit(self.run_id, self.workflow, self.seq, self.at, self.kind, agent, self.op, shown)


def text_of(kind: str, op: str, body: str) -> str:
    """Return what is searched of a record."""
    if "\\" in body:
        body = _ESCAPES.sub(_resolved, body)
    return f"{kind} {op} {body}"


def _resolved(match: re.Match[str]) -> str:
    escaped = match[0]
    plain: str = _SIMPLE.get(escaped) or json.loads(f'"{escaped}"')
    return plain


def record_at(connection: Connection, place: Place) -> Row | None:
    """Return a record; None if it is gone."""
    row = connection.execute(_RECORD, place).fetchone()
    return None if row is None else Row(*row)


def newest_first(connection: Connection, bounds: Bounds) -> Iterator[Place]:
    """Yield where the records are that may be wanted; whose they are is not looked at."""
    conditions = {"run_id = :run_id": bounds.run_id, "at >= :since": bounds.since}
    where = " AND ".join(text for text, value in conditions.items() if value is not None)
    query = f"SELECT run_id, seq FROM journal WHERE {where or '1'}"  # noqa: S608  # our own conditions
    given = {"run_id": bounds.run_id, "since": bounds.since}
    for row in connection.execute(f"{query} ORDER BY at DESC, run_id DESC, seq DESC", given):
        yield Place(*row)
