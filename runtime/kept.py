"""What was worked out of a value is kept, for when that very value comes again.

The JSON Schemas of tools and answers are the same objects at every call, and are no keys of a
dictionary. They are known by their identity, which holds for as long as they are kept, too; nobody
changes them once they are made.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
R = TypeVar("R")

MOST_KEPT = 128  # more than a process has tools; what comes with a payload never comes again


def kept(function: Callable[[T], R]) -> Callable[[T], R]:
    """Return a function that works out each value's result once; the oldest results go first."""
    results: dict[int, tuple[T, R]] = {}

    @wraps(function)
    def of(value: T) -> R:
        found = results.get(id(value))
        if found is not None:
            return found[1]
        result = function(value)
        if len(results) >= MOST_KEPT:
            results.pop(next(iter(results)), None)
        results[id(value)] = value, result
        return result

    return of
