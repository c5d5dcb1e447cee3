"""A file that gets its name when it is whole: nobody ever reads half of it under that name."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.location import Location

ENDS = ("", "-wal", "-shm", "-lock", "-search", "-search-lock", "-search-journal")


@contextmanager
def whole_file(path: Path, journal: Location | None) -> Iterator[Path]:
    """Hand out a path to write to; when the block has succeeded, the file is at ``path``.

    What is no plain file, such as ``/dev/null`` or a named pipe, is written as it is.

    Args:
        path: where it is wanted.
        journal: where the journal is, whose file it must not replace; None where it has none.

    Raises:
        ConfigurationError: it cannot be written; the error says what to do.
    """
    try:
        target = path.resolve()
        if target.exists() and not (target.is_file() or target.is_dir()):
            yield target
            return
        _refuse(path, target, journal)
        part = target.with_name(f"{target.name}.part")
        try:
            yield part
            _settle(part, target)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror or error}; make room there, or name another"
            " file"
        ) from error


def _refuse(path: Path, target: Path, journal: Location | None) -> None:
    if target.is_dir():
        raise ConfigurationError(f"{path} is a folder; name a file in it")
    if not isinstance(journal, Path) or target.parent != journal.parent:
        return
    if target.name in {f"{journal.name}{end}" for end in ENDS}:
        raise ConfigurationError(f"{path} is the journal, or belongs to it; name another file")


def _settle(part: Path, target: Path) -> None:
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    part.replace(target)
