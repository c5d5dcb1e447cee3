"""What is wrong in a catalog, where, and what to do about it: one line a fault, all at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_MANY = 12  # more names than this are counted instead of listed
_LONGEST_SHOWN = 60  # characters of a value that a fault repeats


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong, and what to do.

    Attributes:
        file: the file, relative to the current directory if it lies below it.
        line: the line, counted from 1; 0 for a folder, which has no lines.
        column: the column in characters, counted from 1; 0 for a folder.
        what: what is wrong, one line.
        todo: what to do about it, one line.
    """

    file: str
    line: int
    column: int
    what: str
    todo: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return " ".join(f"{place}: {self.what}; {self.todo}".splitlines())


class CatalogFaults(ConfigurationError):
    """The catalog is wrong; each line is one fault.

    Attributes:
        faults: all of them, sorted by file, line and column, each once.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(map(str, self.faults)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the faults, not by the message."""
        return type(self), (self.faults,)


def shown(text: str) -> str:
    """Return a text in quotes, on one line and not too long, as faults repeat it."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def suggestion(word: str, known: Collection[str], *, kind: str) -> str:
    """Say what the writer of an unknown word should do.

    Args:
        word: what was written.
        known: what could have been written.
        kind: what the known words are, in the plural, e.g. ``keys``.
    """
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {shown(near[0])}?"
    if not known:
        return f"there are no {kind} yet"
    if len(known) > _MANY:
        return f"none of the {len(known)} {kind} is like it"
    return f"the {kind} are {', '.join(map(shown, sorted(known)))}"
