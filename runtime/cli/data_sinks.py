"""Where rows go, one after the other, as text: nothing is kept of a row that is written."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, Protocol

from runtime.cli.data_rows import cells_of, json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Write = Callable[[str], object]


class Sink(Protocol):
    """Takes rows with the same columns."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""

    def close(self) -> None:
        """Write what comes behind the last row. Called once, unless something failed before."""


class JsonLines:
    """One object a line."""

    def __init__(self, write: Write, *, unicode: bool = True) -> None:
        self._write = write
        self._text: Callable[[Any], str] = json_text if unicode else json.dumps

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        self._write(f"{self._text(row)}\n")

    def close(self) -> None:
        """Write nothing more."""


class JsonArray:
    """One array, an object a line; ``[]`` when there are none."""

    def __init__(self, write: Write, *, unicode: bool = True) -> None:
        self._write = write
        self._text: Callable[[Any], str] = json_text if unicode else json.dumps
        self._before = "[\n"

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        self._write(f"{self._before}  {self._text(row)}")
        self._before = ",\n"

    def close(self) -> None:
        """Write the end of the array."""
        self._write("[]\n" if self._before == "[\n" else "\n]\n")


class Csv:
    """RFC 4180: a head, then one line a row; every cell is quoted, whatever a reader splits at."""

    def __init__(self, write: Write, columns: Sequence[str]) -> None:
        self._writer = csv.writer(_Written(write), quoting=csv.QUOTE_ALL)
        self._writer.writerow(columns)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        self._writer.writerow(cells_of(row))

    def close(self) -> None:
        """Write nothing more."""


class _Written:
    """What ``csv`` takes for a file."""

    def __init__(self, write: Write) -> None:
        self.write = write
