"""What a group locks before anything is decided, in an order that is the same for all writers.

Runs by their ids, then calls, then a lock for each agent, provider or tenant whose limit is asked
for: so two that wait for each other never do so in a circle.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from runtime.journal.calls import CALL_COLUMNS, CallRow
from runtime.journal.fold import COLUMNS, RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.journal.books import CallKey
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
_SCOPES = "SELECT pg_advisory_xact_lock(key) FROM unnest(?::bigint[]) AS key"


def locked(
    connection: ServerConnection, group: Sequence[Entry]
) -> tuple[dict[str, RunState], dict[CallKey, CallRow | None]]:
    """Lock what a group is about, in an order that is the same for all, and return it."""
    runs = sorted({entry.run_id for entry in group})
    told = {(each.run_id, each.op) for each in group if each.call is not None or each.if_begun}
    keys = sorted(told)
    claims = (claim for entry in group for claim in entry.claims or ())
    scopes = sorted({_lock_of(*claim.scope[:2]) for claim in claims})
    with connection.pipeline():
        found = connection.execute(_RUNS, (runs,))
        if keys:
            begun = connection.execute(_CALLS, tuple(map(list, zip(*keys, strict=True))))
        if scopes:
            connection.execute(_SCOPES, (scopes,))
    states = {row[0]: RunState(*row) for row in found}
    calls: dict[CallKey, CallRow | None] = dict.fromkeys(keys)
    if keys:
        calls |= {(row[0], row[1]): CallRow(*row) for row in begun}
    return states, calls


def _lock_of(subject: str, name: str) -> int:
    """Return the advisory lock of an agent, provider or tenant. Two that share one only wait."""
    digest = hashlib.sha256(f"magsag {subject} {name}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], signed=True)
