"""What can go wrong with a journal, and what a person does about it."""

from __future__ import annotations

import errno
import logging
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.errors import ConfigurationError, RuntimeFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.journal.entry import Entry
    from runtime.journal.location import Location
    from runtime.journal.records import Branch

_log = logging.getLogger("runtime.journal")


class JournalUnusable(ConfigurationError):
    """The journal's file cannot be opened for writing."""


class JournalFailed(RuntimeFault):
    """The journal cannot be written or read, so nothing may go on that relies on it."""

    reason = "journal"


class DatabaseFault(Exception):
    """A database server could not do what it was asked; the text says why, and what to do."""


# What a database raises that cannot be read or written just now.
STORE_FAULTS = (sqlite3.Error, OSError, DatabaseFault)


class ArchiveUnusable(ConfigurationError):
    """A file of archived runs cannot be written, or is not what it should be."""


_PRIMARY_CODE = 0xFF  # SQLite keeps the class of an error in the low byte of its code

_SQLITE_ADVICE = {
    sqlite3.SQLITE_BUSY: "another program keeps it locked: close that program",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked: close that program",
    sqlite3.SQLITE_READONLY: "give this user the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "give this user the right to write the file and its folder",
    sqlite3.SQLITE_IOERR: "check the disk: its free space, its quota, its health",
    sqlite3.SQLITE_FULL: "free some space on that disk; the journal then goes on by itself",
    sqlite3.SQLITE_CORRUPT: "restore a copy, or save what is left with: sqlite3 FILE .recover",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: choose another file with --db",
    sqlite3.SQLITE_CANTOPEN: "check that its folder exists and that this user may write there",
}
_OS_ADVICE = {
    errno.ENOSPC: "free some space on that disk; the journal then goes on by itself",
    errno.EDQUOT: "free some space in this user's quota; the journal then goes on by itself",
    errno.EACCES: "give this user the right to write the folder, or choose another with --db",
    errno.EPERM: "give this user the right to write the folder, or choose another with --db",
    errno.EROFS: "that disk is mounted read-only: choose another with --db",
    errno.ENOTDIR: "a part of that path is a file: choose another with --db",
    errno.EEXIST: "a part of that path is a file: choose another with --db",
    errno.ENOLCK: "that file system has no locks: choose a local disk with --db",
}


def describe(location: Location, error: Exception) -> str:
    """Return one line that names the journal, what is wrong, and the next step."""
    if isinstance(error, DatabaseFault):
        return f"journal {location}: {error}"
    return f"journal {location}: {error}; {_advice(error)}"


def _advice(error: Exception) -> str:
    if isinstance(error, OSError):
        return _OS_ADVICE.get(error.errno or 0, "choose another file with --db")
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    return _SQLITE_ADVICE.get(code, "choose another file with --db")


@contextmanager
def translated(location: Location) -> Iterator[None]:
    """Say of what goes wrong with a journal what a person can do.

    Raises:
        JournalFailed: something did.
    """
    try:
        yield
    except STORE_FAULTS as error:
        raise JournalFailed(describe(location, error)) from error


def unwritten(path: Path, error: OSError) -> ArchiveUnusable:
    """Return the error of an archive that cannot be written."""
    return ArchiveUnusable(
        f"archive {path} cannot be written: {error.strerror or error}; its runs stay in the"
        " journal: make room there, or name another folder"
    )


class Fenced(JournalFailed):
    """Somebody else has taken a run over: whoever owned it must stop."""


def fenced(run_id: str, branch: Branch | None = None) -> Fenced:
    """Return the error of whoever writes into a run that is another's by now.

    Args:
        run_id: the run.
        branch: the only part of it that was the writer's; None for all.
    """
    what = f"run {run_id}" if branch is None else f"{branch.op} of run {run_id}"
    return Fenced(f"{what} was taken over by another process; this one has stopped it")


def report_refusal(entry: Entry) -> None:
    """Log a record that is left out, without its body: a journal never drops one in silence."""
    why = "its operation already has an outcome; a failure that is tried again needs terminal=False"
    if entry.verdict == "fenced":
        why = "another process has taken its run over"
    _log.error(
        f"the journal refused a record: {why}",
        extra={"run_id": entry.run_id, "kind": entry.kind, "op": entry.op, "bytes": entry.size},
    )
