"""What a ``$ref`` points to: a JSON pointer, an anchor or an ``$id`` within the same schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]


class Unfillable(Exception):
    """No value was found that satisfies the schema; the message says where and why.

    Attributes:
        reason: why.
        place: where in the answer; empty while that is not known.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason
        self.place = place

    def located(self, place: str) -> Unfillable:
        """Return this failure with ``place``, unless it knows its place already."""
        return self if self.place else Unfillable(self.reason, place)


class References:
    """The references of one schema document."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._named: dict[str, Any] | None = None

    def target(self, reference: str) -> Any:
        """Return the schema that ``reference`` names.

        Raises:
            Unfillable: there is none in this document; nothing is fetched from elsewhere.
        """
        fragment = reference.removeprefix("#")
        if reference.startswith("#") and (not fragment or fragment.startswith("/")):
            return self._pointed(fragment, reference)
        if self._named is None:
            self._named = dict(_names(self._root))
        if reference not in self._named:
            raise Unfillable(f"$ref {reference!r} is not in this schema")
        return self._named[reference]

    def _pointed(self, pointer: str, reference: str) -> Any:
        found = self._root
        for part in pointer.split("/")[1:]:
            step = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (KeyError, IndexError, ValueError, TypeError):
                raise Unfillable(f"$ref {reference!r} points to nothing") from None
        return found


def _names(schema: Any) -> list[tuple[str, Any]]:
    """Return every anchor and id below ``schema`` with what it names."""
    found = []
    waiting = [schema]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Mapping):
            waiting.extend(here.values())
            for word, prefix in (("$anchor", "#"), ("$dynamicAnchor", "#"), ("$id", "")):
                if isinstance(here.get(word), str):
                    found.append((prefix + here[word], here))
        elif isinstance(here, list):
            waiting.extend(here)
    return found
