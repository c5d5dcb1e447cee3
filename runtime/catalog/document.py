"""What a catalog file holds, with the line and column of every part of it."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runtime.catalog.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead to a value, e.g. ``("skills", 0)``; empty for the whole file."""

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class Position(NamedTuple):
    """A place in a file: line and column, both counted from 1, the column in characters."""

    line: int
    column: int


START = Position(1, 1)


class Lines:
    """Where the lines of a text begin, as an editor counts them."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in _LINE_BREAK.finditer(text))]

    def position(self, index: int) -> Position:
        """Return the place of the character number ``index``, counted from 0."""
        line = bisect_right(self._starts, index)
        return Position(line, index - self._starts[line - 1] + 1)


class Spot(NamedTuple):
    """Where a value is written.

    Attributes:
        key: the place of its key; of the value itself in a list and for the whole file.
        value: the place of the value.
        raw: a scalar as it is written, without quotes; None for a list or mapping.
    """

    key: Position
    value: Position
    raw: str | None


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data, and where each part of it is written.

    The longest part of a path that is in the file is what counts, so every path has a place.

    Attributes:
        file: the file's name as faults show it.
        data: the top-level mapping: text, numbers, booleans, None, lists and mappings.
        spots: the place of every path in ``data``.
    """

    file: str
    data: Mapping[str, Any]
    spots: Mapping[Path, Spot]

    def spot(self, path: Path) -> Spot:
        """Return the place of the longest part of a path that is in the file."""
        while path not in self.spots:
            path = path[:-1]
        return self.spots[path]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an entry comes from: a document, or the part of it below ``path``."""

    document: Document
    path: Path = ()

    def at(self, *path: str | int, key: bool = False) -> Position:
        """Return where a value of the entry is written, or with ``key`` where its key is."""
        spot = self.document.spot((*self.path, *path))
        return spot.key if key else spot.value

    def place(self, *path: str | int) -> str:
        """Return where a value of the entry is written, as ``file:line:column``."""
        line, column = self.at(*path)
        return f"{self.document.file}:{line}:{column}"

    def line(self, *path: str | int) -> str:
        """Return where the key of a value of the entry is written, as ``file:line``."""
        return f"{self.document.file}:{self.at(*path, key=True).line}"

    def fault(self, *path: str | int, what: str, todo: str, key: bool = False) -> Fault:
        """Return a fault at a value of the entry, or with ``key`` at its key."""
        return Fault(self.document.file, *self.at(*path, key=key), what, todo)
