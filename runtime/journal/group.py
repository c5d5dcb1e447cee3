"""What a group of records comes to: who may write, which number each has, what its calls cost.

Every database that is written in groups decides so, within one transaction and under whatever
lock keeps other writers from these runs. Nothing is written here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from runtime.journal.entry import Parking, Right
from runtime.journal.fold import COLUMNS, COUNTS, Call
from runtime.journal.records import Branch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runtime.journal.books import Books
    from runtime.journal.entry import Entry, Verdict
    from runtime.journal.fold import RunState
    from runtime.journal.holdings import Holdings

_LEFT_OUT = frozenset(("fenced", "not_taken", "not_noted", "moves"))
_LARGEST_INLINE = 64 * 1024  # bytes; longer bodies are kept once, by their hash
_COUNTED = frozenset((Call, type(None)))  # facts that change no more than counts
_KEPT_ONCE = frozenset(("run_code",))  # of any size: many runs have the same

Verdicts: TypeAlias = "list[tuple[Entry, Verdict]]"
JournalRow = tuple[str, int, int, float, str, str, int, int, str]
FiledRow = tuple[str, int, int, float, str, str, int, int, bytes]

# Nothing in them is None or a bool: sqlite3 asks for adapters of these, which takes longer than
# all the rest of a row.
_KEY = ("run_id", "seq", "epoch", "at", "kind", "op", "terminal", "cost_nano_usd")
JOURNAL_COLUMNS = (*_KEY, "body")
FILED_COLUMNS = (*_KEY, "sha256")


def _insert(columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO journal ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  # our own columns


INSERT = _insert(JOURNAL_COLUMNS)
INSERT_FILED = _insert(FILED_COLUMNS)
KEEP = "INSERT INTO blob (sha256, data) VALUES (?, ?) ON CONFLICT DO NOTHING"
SAVE = (
    f"INSERT INTO run ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608  # our own columns
    f"ON CONFLICT (run_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS[1:])}"
)
GROW = f"UPDATE run SET {', '.join(f'{column} = ?' for column in COUNTS)} WHERE run_id = ?"  # noqa: S608  # our own columns


@dataclass(slots=True)
class Outcome:
    """What is to be written of a group.

    Attributes:
        rows: of the table ``journal``, as ``INSERT`` takes them.
        filed: those whose bodies are elsewhere, as ``INSERT_FILED`` takes them.
        large: these bodies by their digests, as ``KEEP`` takes them.
        changed: the runs that the records have changed; only these: what is known of others may
            be old.
        told: those of them of which records tell more than what is counted.
        verdicts: what became of those records of which something was in question.
        moves: those that are no records, and the runs as they are behind the group: who has a
            branch is decided when the records are written, so that no outcome is overlooked.
    """

    rows: list[JournalRow] = field(default_factory=list)
    filed: list[FiledRow] = field(default_factory=list)
    large: dict[bytes, str] = field(default_factory=dict)
    changed: dict[str, RunState] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    verdicts: Verdicts = field(default_factory=list)
    moves: list[tuple[Entry, RunState]] = field(default_factory=list)

    def tell(self, entry: Entry, state: RunState, standing: Verdict) -> None:
        """Note what is to be said of a record's standing, or is to be found out later."""
        if standing == "moves":
            self.moves.append((entry, state))
        elif standing is not None:
            self.verdicts.append((entry, standing))


def decide(
    entries: Iterable[Entry],
    state_of: Callable[[Entry], RunState],
    books: Books,
    is_lost: Callable[[RunState], bool],
    holdings: Holdings,
) -> Outcome:
    """Return what is to be written of some records.

    Args:
        entries: the records, in order.
        state_of: the run of a record as it stands before them.
        books: the calls of this transaction; what changes in them is noted there.
        is_lost: whether the owner of a run has lost it, see ``ownership``.
        holdings: who has the branches of this transaction.
    """
    outcome, states = Outcome(), dict[str, "RunState"]()
    for entry in entries:
        run_id = entry.run_id
        state = states.get(run_id)
        if state is None:
            state = states[run_id] = state_of(entry)
        if entry.by is not None or entry.epoch != state.epoch:  # which is said of few
            standing = _standing(entry, state, is_lost, holdings)
            outcome.tell(entry, state, standing)
            if standing in _LEFT_OUT:
                continue
        if entry.claims is not None:
            short = books.shortfall(entry)
            outcome.verdicts.append((entry, short or "admitted"))
            if short is not None:
                continue
        elif entry.if_begun and not books.is_running(entry):
            continue
        if entry.call is not None:
            books.take(entry)
        outcome.changed[run_id] = state
        seq = state.take(entry.at, entry.facts)
        if seq == 1 or type(entry.facts) not in _COUNTED:
            outcome.told.add(run_id)
        _write(entry, seq, outcome)
    return outcome


def settle(verdicts: Verdicts) -> list[Entry]:
    """Tell records what became of them, once that is committed; return those that were fenced."""
    for entry, verdict in verdicts:
        entry.verdict = verdict
    return [entry for entry, verdict in verdicts if verdict == "fenced"]


def _standing(
    entry: Entry, state: RunState, is_lost: Callable[[RunState], bool], holdings: Holdings
) -> Verdict:
    """Return whether a record's writer owns its run, or need not, where that is in question."""
    by = entry.by
    if isinstance(by, Right):
        return _OTHERS[by](entry, state, is_lost)
    if state.is_fenced(entry.epoch) or (isinstance(by, Branch) and not holdings.has(entry, by)):
        return "fenced"
    if isinstance(by, Parking):
        return "noted" if state.may_park(by.seen) else "not_noted"
    return None


def _takes_over(entry: Entry, state: RunState, is_lost: Callable[[RunState], bool]) -> Verdict:
    has_left = state.is_parked or state.is_of(entry.facts) or is_lost(state)
    return "taken" if has_left and state.may_be_taken(entry.epoch) else "not_taken"


_OTHERS: dict[Right, Callable[[Entry, RunState, Callable[[RunState], bool]], Verdict]] = {
    Right.NEW_OWNER: _takes_over,
    Right.ANYONE: lambda _, state, __: "noted" if state.may_be_asked() else "not_noted",
    Right.CLAIMANT: lambda _, __, ___: "moves",
}


def _write(entry: Entry, seq: int, outcome: Outcome) -> None:
    row = (
        entry.run_id,
        seq,
        entry.epoch,
        entry.at,
        entry.kind,
        entry.op,
        int(entry.terminal),
        entry.cost_nano_usd,
        entry.text,
    )
    if entry.size <= _LARGEST_INLINE and entry.kind not in _KEPT_ONCE:
        outcome.rows.append(row)
        return
    digest = hashlib.sha256(entry.text.encode()).digest()
    outcome.large[digest] = entry.text
    outcome.filed.append((*row[:-1], digest))
