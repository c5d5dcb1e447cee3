"""What a group locks before anything is decided, in an order that is the same for all writers.

Runs by their ids, then calls, then a lock for each agent, provider or tenant whose limit is asked
for: so two that wait for each other never do so in a circle. Branches need no lock of their own:
whoever claims one has locked its run.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from runtime.journal.branches import Holding
from runtime.journal.calls import CALL_COLUMNS, CallRow
from runtime.journal.entry import Right
from runtime.journal.fold import COLUMNS, RunState
from runtime.journal.records import Branch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from runtime.journal.books import CallKey
    from runtime.journal.branches import BranchKey
    from runtime.journal.entry import Entry
    from runtime.journal.postgres.driver import ServerConnection

_RUNS = f"""
    SELECT {", ".join(COLUMNS)} FROM run WHERE run_id = ANY(?) ORDER BY run_id FOR UPDATE
"""  # noqa: S608  # our own columns
_CALLS = f"""
    SELECT {", ".join(f"call.{column}" for column in CALL_COLUMNS)}
    FROM unnest(?::text[], ?::text[]) AS wanted(run_id, op) JOIN call USING (run_id, op)
    ORDER BY call.run_id, call.op FOR UPDATE OF call
"""  # noqa: S608  # our own columns
_BRANCHES = """
    SELECT run_id, op, epoch, attempt, owner
    FROM unnest(?::text[], ?::text[]) AS wanted(run_id, op) JOIN branch USING (run_id, op)
"""
_SETTLED = """
    SELECT run_id, op FROM unnest(?::text[], ?::text[]) AS wanted(run_id, op)
    JOIN journal USING (run_id, op) WHERE terminal = 1
"""
_SCOPES = "SELECT pg_advisory_xact_lock(key) FROM unnest(?::bigint[]) AS key"


class Locked(NamedTuple):
    """What a group is about, as it stands before it; None for what is not there.

    Attributes:
        states: its runs that are there.
        calls: its calls.
        branches: its branches.
    """

    states: dict[str, RunState]
    calls: dict[CallKey, CallRow | None]
    branches: dict[BranchKey, Holding | None]


def locked(connection: ServerConnection, group: Sequence[Entry]) -> Locked:
    """Lock what a group is about, in an order that is the same for all, and return it."""
    runs = sorted({entry.run_id for entry in group})
    told = {(each.run_id, each.op) for each in group if each.call is not None or each.if_begun}
    keys = sorted(told)
    not_by_owners = (each for each in group if each.by is not None)
    joined = {(each.run_id, op) for each in not_by_owners if (op := _branch_of(each)) is not None}
    claims = (claim for entry in group for claim in entry.claims or ())
    scopes = sorted({_lock_of(*claim.scope[:2]) for claim in claims})
    with connection.pipeline():
        found = connection.execute(_RUNS, (runs,))
        if keys:
            begun = connection.execute(_CALLS, _columns(keys))
        if joined:
            held = connection.execute(_BRANCHES, _columns(joined))
        if scopes:
            connection.execute(_SCOPES, (scopes,))
    states = {row[0]: RunState(*row) for row in found}
    calls: dict[CallKey, CallRow | None] = dict.fromkeys(keys)
    if keys:
        calls |= {(row[0], row[1]): CallRow(*row) for row in begun}
    branches: dict[BranchKey, Holding | None] = dict.fromkeys(joined)
    if joined:
        branches |= {(row[0], row[1]): Holding(*row[2:]) for row in held}
    return Locked(states, calls, branches)


def settled(connection: ServerConnection, keys: Collection[BranchKey]) -> set[BranchKey]:
    """Return which of some branches have their outcomes; their runs are locked."""
    return {(row[0], row[1]) for row in connection.execute(_SETTLED, _columns(keys))}


def _branch_of(entry: Entry) -> str | None:
    """Return the branch that a record is of, or that somebody wants or leaves; else None."""
    if isinstance(entry.by, Branch):
        return entry.by.op
    return entry.op if entry.by is Right.CLAIMANT else None


def _columns(keys: Iterable[tuple[str, str]]) -> tuple[list[str], ...]:
    return tuple(map(list, zip(*keys, strict=True)))


def _lock_of(subject: str, name: str) -> int:
    """Return the advisory lock of an agent, provider or tenant. Two that share one only wait."""
    digest = hashlib.sha256(f"magsag {subject} {name}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], signed=True)
