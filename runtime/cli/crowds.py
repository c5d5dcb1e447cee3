"""Of many of one kind, the few that tell most are shown, and the rest is counted. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
SHOWN = 10  # of one kind in one place that are shown one by one, where nobody wants more


class Crowd(NamedTuple, Generic[T]):
    """All of one kind in one place.

    Attributes:
        kind: what they are.
        shown: those that are shown, in their order.
        hidden: those that are only counted.
    """

    kind: str
    shown: list[T]
    hidden: list[T]


def crowds(
    items: Iterable[T],
    kind_of: Callable[[T], str],
    dullness: Callable[[T], Any],
    most: int = SHOWN,
) -> list[Crowd[T]]:
    """Divide what stands in one place into its kinds, in the order of their first.

    Args:
        items: what stands there.
        kind_of: what one is.
        dullness: how little one tells; those with the least of it are shown.
        most: how many of a kind are shown.
    """
    kinds: dict[str, list[T]] = {}
    for item in items:
        kinds.setdefault(kind_of(item), []).append(item)
    return [_crowd(kind, members, dullness, most) for kind, members in kinds.items()]


def _crowd(kind: str, members: list[T], dullness: Callable[[T], Any], most: int) -> Crowd[T]:
    if len(members) <= most:
        return Crowd(kind, members, [])
    chosen = {id(member) for member in sorted(members, key=dullness)[:most]}
    shown = [member for member in members if id(member) in chosen]
    return Crowd(kind, shown, [member for member in members if id(member) not in chosen])


def counted(words: Iterable[str]) -> str:
    """Return how often each word is there: ``9,989 completed, 1 failed``."""
    return ", ".join(f"{count:,} {word}" for word, count in Counter(words).items())
