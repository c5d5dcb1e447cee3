"""The journal: an append-only record of every run, written before anybody relies on it.

In reading order:

- ``records``: what is written (``Record``), by a table of kinds, and what is read back
- ``protocol``: ``Journal``, what dispatch, context and the command line may ask for
- ``faults``: ``JournalFailed`` and ``JournalUnusable``, each with the next step
- ``ownership``: who owns a run, and whether another may have it; ``tenure``: what an owner may do
  by its lease; both pure; ``liveness``: what this machine knows of processes
- ``branches``: Delegations that other processes work on, and who may write what of them; pure
- ``fold``: how records become the row of a run; pure, shared by every journal
- ``calls``, ``query``: how they become the audit trail, a row for each model call, and what may be
  asked of it; ``ledger``: what agents, providers and tenants have spent, and limits on that
- ``entry``: a record checked, encoded and out of its caller's reach
- ``memory`` with ``memory_calls`` and ``memory_branches``: ``MemoryJournal``, for tests and
  ``--db :memory:``
- ``stored``: ``StoredJournal``, what is the same in every database, on top of

  - ``backlog`` and ``bell``: from any thread to the writer, and back to the event loop
  - ``writer``: the one thread that commits, in groups, and tries again
  - ``group``, ``books``, ``leases``, ``holdings``: what a group comes to, its calls, and whose the
    runs and the branches are, on a ``connection``
  - ``reading``, ``readonly``, ``reader``, ``contents``: queries beside it; ``watch``: whether
    others have written to the file, so that owners hear requests

- ``sqlite``: ``SqliteJournal``, the default, with ``store``, ``schema``, ``backfill`` and ``lock``:
  the file that the writer's thread owns
- ``postgres``: ``PostgresJournal``, an extra: a server that processes on several machines share;
  ``location``: a file's path, or a server's address

- ``search`` with ``search_pattern``, ``search_records``, ``search_scan``, ``search_index`` and
  ``search_file``: where something stands in the records
- ``vacuum`` with ``over``, ``freed`` and ``broom``: old runs go, and the file gets small
- ``archive`` and ``restore`` with ``archive_file`` and ``archive_rows``: they go into files, and
  come back; ``caretaker``: a journal is kept below a size
"""

from __future__ import annotations

from runtime.journal.branches import Claimed, Gone, Held, Ours, Settled
from runtime.journal.calls import CallRow, CallStatus
from runtime.journal.faults import Fenced, JournalFailed, JournalUnusable
from runtime.journal.fold import known_cost
from runtime.journal.ledger import Balance, Claim, Scope, Shortfall, scope_of
from runtime.journal.memory import MemoryJournal
from runtime.journal.protocol import Journal
from runtime.journal.query import CallQuery, Filed, place_of
from runtime.journal.records import (
    KINDS,
    PARKED,
    REQUESTS,
    Branch,
    EventRow,
    JournalStatistics,
    Kind,
    KindRule,
    Record,
    Request,
    RunRow,
    RunStatus,
)
from runtime.journal.sqlite import SqliteJournal

__all__ = [
    "KINDS",
    "PARKED",
    "REQUESTS",
    "Balance",
    "Branch",
    "CallQuery",
    "CallRow",
    "CallStatus",
    "Claim",
    "Claimed",
    "EventRow",
    "Fenced",
    "Filed",
    "Gone",
    "Held",
    "Journal",
    "JournalFailed",
    "JournalStatistics",
    "JournalUnusable",
    "Kind",
    "KindRule",
    "MemoryJournal",
    "Ours",
    "Record",
    "Request",
    "RunRow",
    "RunStatus",
    "Scope",
    "Settled",
    "Shortfall",
    "SqliteJournal",
    "known_cost",
    "place_of",
    "scope_of",
]
