"""A lock between processes, on a file of its own. It is let go of when its process dies."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":  # no flock there: a lock on the first byte, which gives up after 10 s
    import msvcrt

    def _acquire(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

    def _release(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquire(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _release(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class FileLock:
    """An exclusive lock as a context manager; waits in the calling thread, so never on a loop."""

    def __init__(self, path: Path) -> None:
        """Open the file, and create it where there is none.

        Raises:
            OSError: it cannot be opened for writing.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)

    def __enter__(self) -> None:
        _acquire(self._descriptor)

    def __exit__(self, *_exception: object) -> None:
        _release(self._descriptor)

    def close(self) -> None:
        """Close the file, and with it the lock."""
        os.close(self._descriptor)
