"""What of a request could not be sent, said again with its answer.

Whoever writes a request finds out what it has to leave out. Writing a long conversation once more
to find out again would cost as much as the first time, so that is kept for as long as the request
is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.messages import ModelRequest


class LeftOut:
    """The warnings of the requests of one account.

    Args:
        find: writes a request and returns its warnings, of one that was not written here.
    """

    __slots__ = ("_find", "_found")

    def __init__(self, find: Callable[[ModelRequest], tuple[str, ...]]) -> None:
        self._find = find
        self._found: dict[int, tuple[ref[ModelRequest], tuple[str, ...]]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def note(self, request: ModelRequest, warnings: tuple[str, ...]) -> None:
        """Keep the warnings of a request until it is gone."""
        key, found = id(request), self._found
        found[key] = ref(request, lambda _: found.pop(key, None)), warnings

    def of(self, request: ModelRequest) -> tuple[str, ...]:
        """Return the warnings of a request."""
        found = self._found.get(id(request))
        return self._find(request) if found is None else found[1]
