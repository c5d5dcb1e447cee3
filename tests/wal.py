"""Write-ahead logs of SQLite, cut and damaged as a crash may leave them."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = 32
FRAME_HEADER = 24
SECTOR = 512


class Image(NamedTuple):
    """The files of a journal as its process left them.

    Attributes:
        file: the database.
        log: the write-ahead log.
    """

    file: bytes
    log: bytes

    @classmethod
    def of(cls, path: Path) -> Image:
        """Return the image of a journal that nobody has open."""
        return cls(path.read_bytes(), path.with_name(f"{path.name}-wal").read_bytes())

    def put(self, folder: Path, log: bytes) -> Path:
        """Write the files with another log into a new folder, and return the path of the first."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path = folder / "journal.db"
        path.write_bytes(self.file)
        path.with_name("journal.db-wal").write_bytes(log)
        return path

    @property
    def frame(self) -> int:
        """The length of a frame: its header and a page."""
        (page,) = struct.unpack(">I", self.log[8:12])
        return FRAME_HEADER + int(page)

    def commits(self) -> list[int]:
        """Return where in the log each commit ends."""
        ends = range(HEADER + self.frame, len(self.log) + 1, self.frame)
        return [end for end in ends if any(self.log[end - self.frame + 4 : end - self.frame + 8])]

    def damaged(self, seed: int, sectors: int) -> bytes:
        """Return the log with a random half of its last sectors zeroed, or full of other bytes."""
        rng = random.Random(seed)  # noqa: S311  # no secret
        log = bytearray(self.log)
        first = max(HEADER, len(log) - sectors * SECTOR)
        for at in range(first - first % SECTOR, len(log), SECTOR):
            if at >= HEADER and rng.random() < 1 / 2:
                size = min(SECTOR, len(log) - at)
                log[at : at + size] = rng.randbytes(size) if rng.random() < 1 / 2 else bytes(size)
        return bytes(log)


def recovered(path: Path) -> list[tuple[Any, ...]]:
    """Return the records that a reader finds after a crash, in a file that is whole."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT * FROM journal ORDER BY run_id, seq").fetchall()


def cuts(image: Image) -> Iterator[int]:
    """Yield lengths: each byte of the last page, and those at and beside each border of a frame."""
    yield from range(len(image.log) - image.frame, len(image.log) + 1)
    for border in range(HEADER, len(image.log) - image.frame, image.frame):
        yield from (border - 1, border, border + 1)
