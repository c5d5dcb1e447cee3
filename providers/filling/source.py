"""Where better values than invented ones come from; the filler takes what satisfies the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Path = tuple[str | int, ...]


class Field(NamedTuple):
    """One place in the answer.

    Attributes:
        path: property names and array positions from the root.
        type: the JSON type that is tried.
        description: what the schema says about it; empty when it says nothing.
        bounds: the schema's keywords that bound a length: ``minLength``, ``maxItems`` and so on.
        choices: the values of its ``enum``; empty when it has none.
        defaults: the values of its ``default``; empty when it has none.
        item_type: the type of an array's items; empty when it is no array or has none.
        item_choices: the values of their ``enum``; empty when they have none.
    """

    path: Path
    type: str
    description: str
    bounds: Mapping[str, Any]
    choices: tuple[Any, ...]
    defaults: tuple[Any, ...]
    item_type: str
    item_choices: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The property that it is, or is an item of; empty for the root."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")


class Source(Protocol):
    """Proposes values."""

    def values(self, field: Field) -> Iterable[Any]:
        """Return candidates for ``field``, the best first; none leaves it to invention."""

    def count(self, field: Field) -> int | None:
        """Return how many items an array shall have, or None where it does not matter."""

    def names(self, field: Field) -> Iterable[str]:
        """Return names for properties that the schema allows but does not name."""

    def words(self) -> list[str]:
        """Return the words that invented text is made of."""


class NoSource:
    """Proposes nothing; every value is invented."""

    def values(self, field: Field) -> Iterable[Any]:
        """Return nothing."""
        del field
        return ()

    def count(self, field: Field) -> int | None:
        """Return None."""
        del field
        return None

    def names(self, field: Field) -> Iterable[str]:
        """Return nothing."""
        del field
        return ()

    def words(self) -> list[str]:
        """Return nothing."""
        return []
