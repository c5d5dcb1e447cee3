"""What this machine knows of processes: who we are, and who is still there.

On Linux all of it is known. Elsewhere there is no boot id, no pid namespace and no time of start: a
number that is in use then counts as its owner's, as long as the lease holds. On Windows nobody can
ask for a number (signal 0 would end the process), so the lease alone decides.
"""

from __future__ import annotations

import os
import socket
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.journal import ownership
from runtime.journal.ownership import ProcessIdentity, Sighting, identity_of, standing_of

if TYPE_CHECKING:
    from runtime.journal.ownership import Standing
    from runtime.journal.records import RunRow

_PROC = Path("/proc")
_GONE = frozenset("ZXx")  # states of a process that has ended and was not waited for
_STATE, _STARTED = 0, 19  # fields 3 and 22 of ``stat``, counted behind the name
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def steady_clock() -> float:
    """Return seconds that never jump, and go on while the machine sleeps where that is offered."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def this_process() -> ProcessIdentity:
    """Return who we are; a forked child is somebody else."""
    return _identity(os.getpid())


@lru_cache(maxsize=1)
def _identity(pid: int) -> ProcessIdentity:
    return ProcessIdentity(
        socket.gethostname(),
        pid,
        look(pid).started,
        _link(_PROC / "self" / "ns" / "pid"),
        _text(_PROC / "sys" / "kernel" / "random" / "boot_id"),
        _text(Path("/etc/machine-id")),
    )


def look(pid: int) -> Sighting:
    """Return what can be seen of a number."""
    if os.name != "posix":
        return Sighting(exists=None)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return Sighting(exists=False)
    except PermissionError:
        pass  # it is there, and another user's
    # A folder that was mounted for another pid namespace counts by other numbers.
    if _link(_PROC / "self") != str(os.getpid()):
        return Sighting(exists=True)
    _, _, rest = _text(_PROC / str(pid) / "stat").rpartition(")")  # a name may have any character
    fields = rest.split()
    if not fields:  # it may be hidden from us
        return Sighting(exists=True)
    return Sighting(fields[_STATE] not in _GONE, int(fields[_STARTED]))


def standing(owner: ProcessIdentity) -> Standing:
    """Return whether a process is alive or dead for certain, or nobody can know here."""
    return standing_of(owner, this_process(), look)


def is_lost(
    now: float, owner: str | None, pid: int | None, host: str | None, held_until: float | None
) -> bool:
    """Whether a run's owner has lost it, so that it may be taken over.

    Args:
        now: the time by the clock that leases in its store are of.
        owner: the owner's identity as text; None in rows of an earlier version.
        pid: its number.
        host: the name of its machine.
        held_until: when its lease is over; None where it has none.
    """
    process = identity_of(owner, pid, host)
    return process is not None and ownership.is_lost(standing(process), held_until, now)


def has_lost(row: RunRow, now: float) -> bool:
    """Whether the owner of a run that is not over has lost it; see ``is_lost``."""
    return is_lost(now, row.owner, row.pid, row.host, row.held_until)


def is_ours(row: RunRow) -> bool:
    """Whether this process is the owner of a run."""
    return row.owner == str(this_process())


def owner_note() -> dict[str, str | int]:
    """Return who owns the runs of this process, as the records say by which it does."""
    process = this_process()
    return {"pid": process.pid, "host": process.host, "owner": str(process)}


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
