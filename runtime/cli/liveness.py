"""Whether a run that the journal calls running can still be: its process may be gone."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.journal import RunRow

LOST = "lost"


def status_of(row: RunRow) -> str:
    """Return where a run stands; ``lost`` when its process on this machine is dead."""
    if row.status == "running" and row.host == socket.gethostname() and not is_alive(row.pid):
        return LOST
    return row.status


def is_alive(pid: int | None) -> bool:
    """Return whether there may be such a process; True where that cannot be asked."""
    if pid is None or os.name != "posix":  # elsewhere, signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
