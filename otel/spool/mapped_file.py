"""A file of fixed size that one process has mapped into its memory, and holds the lock of.

What is copied into the mapping outlives the process. The lock ends with the process, however that
ends; so who gets the lock of another's file knows that it is dead.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class MappedFile:
    """One file.

    Attributes:
        path: where it is.
        memory: what is in it.
    """

    __slots__ = ("_descriptor", "memory", "path")

    def __init__(self, path: Path, memory: mmap.mmap, descriptor: int) -> None:
        self.path = path
        self.memory = memory
        self._descriptor = descriptor

    def delete(self) -> None:
        """Give it up, and remove it."""
        self.path.unlink(missing_ok=True)
        self.abandon()

    def cut(self, size: int) -> None:
        """Cut it to a size; nobody may look at what was behind that."""
        os.ftruncate(self._descriptor, size)

    def keep(self, size: int) -> None:
        """Give it up, cut to a size."""
        self.cut(size)
        self.abandon()

    def abandon(self) -> None:
        """Give it up as it is."""
        self.memory.close()
        os.close(self._descriptor)


def make(path: Path, size: int) -> MappedFile:
    """Make a file that is not there yet.

    Raises:
        OSError: it cannot be made, e.g. the disk is full.
    """
    hidden = path.with_name(f".{path.name}")  # nobody may find it before it is locked
    descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _allocate(descriptor, size)
        memory = mmap.mmap(descriptor, size)
        hidden.rename(path)
    except BaseException:
        os.close(descriptor)
        hidden.unlink(missing_ok=True)
        raise
    return MappedFile(path, memory, descriptor)


def take(path: Path) -> MappedFile | None:
    """Take over the file of a dead process; None if its process lives, or it is gone.

    Raises:
        OSError: it cannot be read.
        ValueError: it is empty.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():  # else another took it, and is done with it
            return MappedFile(path, mmap.mmap(descriptor, 0), descriptor)
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Return whether a process has it; a file that is gone is nobody's."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _allocate(descriptor: int, size: int) -> None:
    """Give a file its size and its blocks: a mapping has no way to say that the disk is full."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    while size > 0:  # macOS has no such call
        size -= os.write(descriptor, bytes(min(size, 1 << 20)))
