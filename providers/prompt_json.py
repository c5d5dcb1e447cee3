"""JSON in a prompt as a source of values: what the prompt says need not be invented."""

from __future__ import annotations

import json
import math
import re
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from providers.filling import Field

LONGEST_PROMPT = 65_536  # characters; what follows them is not searched
MOST_DOCUMENTS = 64
MOST_TRIES = 200
MOST_VALUES = 10_000
MOST_WORDS = 2_000
OPENING = re.compile(r"[{\[]")
WORD = re.compile(r"\w[\w'-]*")


class PromptJson:
    """Every JSON object or array in a prompt, and its words.

    A value is proposed for a field when it stands at the same path, or else, for one that is not
    an object, when it stands anywhere under the field's name.
    """

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt[:LONGEST_PROMPT]
        self._documents = list(_documents(self._prompt))
        self._by_name: dict[str, list[Any]] = {}
        for name, value in _members(self._documents):
            self._by_name.setdefault(name, []).append(value)

    def values(self, field: Field) -> Iterator[Any]:
        """Return candidates for ``field``, those at its own path first."""
        yield from self._at(field.path)
        if field.path and field.path[-1] == field.name:
            yield from self._by_name.get(field.name, ())

    def count(self, field: Field) -> int | None:
        """Return the length of the array at the same path, or under the same name."""
        return next((len(value) for value in self.values(field) if isinstance(value, list)), None)

    def names(self, field: Field) -> Iterable[str]:
        """Return the names in the object at the same path."""
        return [name for value in self._at(field.path) if isinstance(value, dict) for name in value]

    def words(self) -> list[str]:
        """Return the words of the prompt."""
        return WORD.findall(self._prompt)[:MOST_WORDS]

    def _at(self, path: tuple[str | int, ...]) -> Iterator[Any]:
        for document in self._documents:
            value: Any = document
            for part in path:
                try:
                    value = value[part]
                except (KeyError, IndexError, TypeError):
                    break
            else:
                yield value


def _documents(text: str) -> Iterator[Any]:
    """Return the outermost JSON objects and arrays in ``text``, in their order."""
    decoder = json.JSONDecoder(parse_constant=_number, parse_float=_number)
    at = found = 0
    for _ in range(MOST_TRIES):
        opening = OPENING.search(text, at)
        if opening is None or found == MOST_DOCUMENTS:
            return
        try:
            document, at = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            at = opening.end()
        else:
            found += 1
            yield document


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


def _members(documents: list[Any]) -> Iterator[tuple[str, Any]]:
    """Return every name in ``documents`` with its value, breadth first."""
    waiting = deque(documents)
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        here = waiting.popleft()
        if isinstance(here, dict):
            yield from here.items()
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
