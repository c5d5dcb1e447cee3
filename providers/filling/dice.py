"""Choices that look random, are a hash of where they are made, and so are always the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Dice:
    """Rolls for one seed. A roll depends on the seed and the place only, not on earlier rolls."""

    def __init__(self, seed: str) -> None:
        self._seed = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def number(self, place: str) -> int:
        """Return 64 bits for ``place``."""
        text = place.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, key=self._seed, digest_size=8).digest(), "big")

    def below(self, sides: int, place: str) -> int:
        """Return a whole number from 0 to ``sides - 1``."""
        return self.number(place) % sides

    def rotated(self, choices: Sequence[T], place: str) -> list[T]:
        """Return ``choices`` in their order, beginning with any one of them."""
        if not choices:
            return []
        first = self.below(len(choices), place)
        return [*choices[first:], *choices[:first]]
