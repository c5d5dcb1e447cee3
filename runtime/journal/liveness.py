"""Whether a process may still be there."""

from __future__ import annotations

import os
import socket


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


def is_dead(pid: int | None, host: str | None) -> bool:
    """Whether a process of this machine is gone; of another machine's nobody knows."""
    return pid is not None and host == socket.gethostname() and not is_alive(pid)
