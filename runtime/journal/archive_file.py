"""A file of archived runs: lines of JSON, compressed by gzip, whole or refused.

::

    {"magsag_archive": 1, "schema": 3, "tables": {"run": [COLUMN, ...], "journal": ..., ...}}
    ["run", [VALUE, ...]]           one for each run, before its other rows
    ["blob", [VALUE, ...]]          a large body, once, before the first record that has it
    ["journal", [VALUE, ...]]       the records of the run, in their order
    ["call", [VALUE, ...]]          its model calls
    {"end": {"runs": 1, "records": 9, "calls": 2, "contents": 0}, "sha256": HEX}

The values of a row are in the order of the columns that the first line names; bytes are
``{"hex": ...}``. The digest is of all lines above the last one, and nothing comes behind that, so
a file that is damaged or cut off is never taken for a whole one. Nothing in it depends on when it
was written: equal runs make an equal file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from runtime.journal.faults import ArchiveUnusable, unwritten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FORMAT = "magsag_archive"
VERSION = 1
_GZIP = 31  # zlib's name for its longest window with gzip's header
_LEVEL = 6  # of compression; more costs much and saves little
_BUFFER = 256 * 1024
_LONGEST_LINE = 2**31 - 1  # SQLite's longest text is shorter
COUNTS = {"run": "runs", "journal": "records", "call": "calls", "blob": "contents"}


class Head(NamedTuple):
    """What the first line of a file says.

    Attributes:
        schema: the version of the journal's tables.
        tables: the columns of each.
    """

    schema: int
    tables: Mapping[str, Sequence[str]]


class ArchiveWriter:
    """Writes one file.

    Attributes:
        size: bytes so far, before compression.
    """

    def __init__(self, file: IO[bytes], head: Head) -> None:
        self.size = 0
        self._file = file
        self._zip = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._counts = dict.fromkeys(COUNTS.values(), 0)
        self._digest = hashlib.sha256()
        self._put({FORMAT: VERSION, "schema": head.schema, "tables": head.tables})

    def add(self, table: str, row: Sequence[object]) -> None:
        """Write a row."""
        self._counts[COUNTS[table]] += 1
        self._put([table, row])

    def end(self) -> str:
        """Write the last line, and return the digest of all."""
        self._put({"end": self._counts, "sha256": self._digest.hexdigest()})
        self._file.write(self._zip.flush())
        return self._digest.hexdigest()

    def _put(self, data: object) -> None:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=_hex)
        line = f"{text}\n".encode()
        self._file.write(self._zip.compress(line))
        self._digest.update(line)
        self.size += len(line)


def _hex(value: bytes) -> dict[str, str]:
    return {"hex": value.hex()}


@contextmanager
def written(part: Path, mode: int, head: Head) -> Iterator[ArchiveWriter]:
    """Hand out the writer of a file, which is on the disk when the block ends.

    Args:
        part: the file; what is there is overwritten.
        mode: who may read it.
        head: its first line.

    Raises:
        ArchiveUnusable: it cannot be written.
    """
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield ArchiveWriter(file, head)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritten(part, error) from error


class ArchiveReader:
    """Reads one file, line by line. Made by ``opened``.

    Attributes:
        head: what its first line says.
    """

    def __init__(self, path: Path, file: gzip.GzipFile) -> None:
        self._path = path
        self._file = file
        self._digest = hashlib.sha256()
        self._counts = dict.fromkeys(COUNTS.values(), 0)
        with _damage(path):
            self.head = self._begun()

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[ArchiveReader]:
        """Open a file; it is closed when the block ends.

        Raises:
            ArchiveUnusable: it is no archive, a newer version's, damaged, or cannot be read, which
                may turn out while its rows are read, too.
        """
        with _damage(path):
            file = gzip.open(path)  # noqa: SIM115  # closed below
        with closing(file):
            yield cls(path, file)

    def rows(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield the table and the values of each row; ends only if the file is whole."""
        while (row := self._next()) is not None:
            yield row

    def check(self) -> dict[str, int]:
        """Read all, and return how many ``runs``, ``records``, ``calls`` and ``contents``."""
        for _ in self.rows():
            pass
        return self._counts

    def _next(self) -> tuple[str, list[Any]] | None:
        with _damage(self._path):
            above, line = self._digest.hexdigest(), self._line()
            if isinstance(line, dict):
                self._check_end(line, above)
                return None
            table, row = line
            self._counts[COUNTS[table]] += 1
            return table, [_value(each) for each in row]

    def _line(self) -> Any:
        line = self._file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError("it is cut off")
        self._digest.update(line)
        return json.loads(line)

    def _begun(self) -> Head:
        line = self._line()
        if not isinstance(line, dict) or FORMAT not in line:
            raise ValueError("it does not begin as one")
        if line[FORMAT] != VERSION:
            raise ArchiveUnusable(
                f"archive {self._path} has format {line[FORMAT]}, this version of the runtime knows"
                f" {VERSION}; install a newer version"
            )
        return Head(int(line["schema"]), line["tables"])

    def _check_end(self, line: dict[str, Any], above: str) -> None:
        if line["sha256"] != above or line["end"] != self._counts:
            raise ValueError("its digest is wrong")
        if self._file.read(1):
            raise ValueError("something comes behind its end")


def _value(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def digest_of(path: Path) -> str:
    """Return the digest of all lines, as they are read back from the disk.

    Raises:
        ArchiveUnusable: the file is damaged, or cannot be read.
    """
    digest = hashlib.sha256()
    with _damage(path), gzip.open(path) as file:
        while piece := file.read(_BUFFER):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError, ValueError, LookupError, TypeError) as error:
        why = str(error) or type(error).__name__
        raise ArchiveUnusable(
            f"archive {path} is damaged, or none: {why}; nothing of it was used: take another copy"
        ) from error
    except OSError as error:
        raise ArchiveUnusable(
            f"archive {path} cannot be read: {error.strerror or error}"
        ) from error
