"""The one thread that writes: take what waits, commit it as one group, ring the bell.

A group that cannot be written stays in its hands and is tried again, first soon and then once a
second, until it is written or ``stop`` is called: a full disk costs time, never a record. Whoever
waits for the group decides by ``stalled_s`` how long is too long. Where nothing comes while runs
are under way, an empty group renews the lease.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runtime.backoff import Backoff
from runtime.journal.entry import Right
from runtime.journal.faults import STORE_FAULTS, report_refusal
from runtime.journal.liveness import steady_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.journal.backlog import Backlog
    from runtime.journal.bell import Bell
    from runtime.journal.entry import Entry
    from runtime.journal.tenure import Tenure

_RETRY = Backoff(first=0.02, longest=1.0)
_LOGGED_FAILURES = frozenset({1, 10, 100, 1_000, 10_000, 100_000})

_log = logging.getLogger("runtime.journal")


class Store(Protocol):
    """A database as the one thread sees it that writes it.

    What it raises for a database that cannot be written just now is one of ``STORE_FAULTS``.
    """

    def commit(self, group: Sequence[Entry]) -> list[Entry]:
        """Write a group in one transaction and return the records that were left out.

        A record whose claims do not hold is left out, too, but that is no fault: it has a verdict.
        A group whose commit has failed is given again as it was, until it is written. The same
        transaction renews the lease where that is due; an empty group is there for nothing else.
        """

    def reap(self, now: float) -> None:
        """Settle the calls that died with their processes, and forget the leases of these."""

    def tidy(self) -> None:
        """Do between two groups what the database needs done."""

    def close(self) -> None:
        """Let go of the database. Never raises for what it cannot do."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a writer is. Replaced as a whole, so that another thread never reads half of it.

    Attributes:
        settled: records that are committed or refused; all earlier ones are, too.
        refused: those of them that were left out.
        batches: commits.
        largest_batch: the most records in one of them.
        bytes_written: bytes of the committed bodies.
    """

    settled: int = 0
    refused: int = 0
    batches: int = 0
    largest_batch: int = 0
    bytes_written: int = 0

    def after(self, group: Sequence[Entry], refused: Sequence[Entry]) -> Progress:
        """Return the progress after a commit of a group without those that were refused."""
        size = sum(entry.size for entry in group) - sum(entry.size for entry in refused)
        return Progress(
            settled=self.settled + len(group),
            refused=self.refused + len(refused),
            batches=self.batches + bool(group),
            largest_batch=max(self.largest_batch, len(group) - len(refused)),
            bytes_written=self.bytes_written + size,
        )


class Writer:
    """A thread that moves records from a backlog into a store.

    Attributes:
        opened: resolved when the store is open, or with the exception that kept it closed.
        error: why the group in hand could not be written; None while all is well.
        progress: how far it is.
        ended: whether the thread has let go of the store; nothing is written any more.
    """

    def __init__(
        self, open_store: Callable[[Tenure], Store], tenure: Tenure, backlog: Backlog, bell: Bell
    ) -> None:
        self.opened: Future[None] = Future()
        self.error: Exception | None = None
        self.progress = Progress()
        self.ended = False
        self._open_store = open_store
        self._tenure = tenure
        self._backlog = backlog
        self._bell = bell
        self._busy_since: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Give up the next time that a group cannot be written."""
        self._stopping.set()

    def stalled_s(self) -> float:
        """Return for how many seconds the group in hand has kept it busy; 0 when there is none."""
        busy_since = self._busy_since
        return 0.0 if busy_since is None else time.monotonic() - busy_since

    def _run(self) -> None:
        try:
            with closing(self._open()) as store:
                self._serve(store)
        except Exception as error:  # noqa: BLE001  # whoever waits must be told, not left waiting
            self.error = error
            if not self.opened.exception():
                _log.exception("the journal's writer has died")
        finally:
            self._backlog.close()
            self.ended = True
            self._bell.ring()

    def _open(self) -> Store:
        try:
            store = self._open_store(self._tenure)
        except BaseException as error:
            self.opened.set_exception(error)
            raise
        self._settle_the_lost(store)
        self.opened.set_result(None)
        self._bell.ring()
        return store

    def _settle_the_lost(self, store: Store) -> None:
        """Settle the calls of processes that have died, so that nobody waits for them."""
        try:
            store.reap(time.time_ns() / 1e9)
        except STORE_FAULTS as error:  # whoever needs their money will try again
            _log.warning("calls of dead processes stay open", extra={"error": str(error)})

    def _serve(self, store: Store) -> None:
        for group in self._backlog.groups(lambda: self._tenure.due_in(steady_clock())):
            self._busy_since = time.monotonic()
            if not self._write(store, group):
                return
            self._bell.ring()
            self._tidy(store)
            self._busy_since = None

    def _write(self, store: Store, group: list[Entry]) -> bool:
        failures = 0
        while True:
            try:
                refused = [entry for entry in store.commit(group) if not _is_late(entry)]
            except STORE_FAULTS as error:
                failures += 1
                self._report(error, failures)
                if self._stopping.wait(_RETRY.delay(failures - 1, random.random())):  # noqa: S311  # jitter is no secret
                    return False
            else:
                self._settle(group, refused, failures)
                return True

    def _settle(self, group: list[Entry], refused: list[Entry], failures: int) -> None:
        for entry in refused:
            report_refusal(entry)
        if failures:
            _log.info("the journal writes again", extra={"failures": failures})
        self.error = None
        self._busy_since = time.monotonic()  # what comes now is a checkpoint: another wait
        self.progress = self.progress.after(group, refused)

    def _report(self, error: Exception, failures: int) -> None:
        self.error = error
        if failures in _LOGGED_FAILURES:
            pending = self._backlog.appended - self.progress.settled
            _log.error(
                "the journal cannot be written, and tries again",
                extra={"error": str(error), "failures": failures, "pending": pending},
            )

    def _tidy(self, store: Store) -> None:
        try:
            store.tidy()
        except STORE_FAULTS as error:  # nothing is lost: the log only stays long
            _log.warning("the journal's log stays long", extra={"error": str(error)})


def _is_late(entry: Entry) -> bool:
    """Whether a record is a request of whoever came second, which is no fault; tell them so."""
    if entry.by is Right.ANYONE and entry.verdict is None:
        entry.verdict = "not_noted"
    return entry.verdict == "not_noted"
