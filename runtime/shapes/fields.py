"""Reading a JSON object that somebody else wrote: every fault is named, nothing raises.

A value of ``null`` is a value that is not given.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MOST_TOLD = 360  # characters of faults of one line; those beyond are counted (errors hold 500)
MOST_FAULT = 180  # characters of one fault
MOST_SHOWN = 40  # characters of a wrong value
MOST_NAME = 80  # characters of a name that nobody knows
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.001, 366 * 86_400.0
MOST_ATTEMPTS = 100
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Kind(NamedTuple):
    """What a value must be.

    Attributes:
        expected: what a good one is, for the fault.
        is_valid: whether one is good.
    """

    expected: str
    is_valid: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    return type(value) is int and least <= value <= most


def _maps_to_text(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _is_stop(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return all(isinstance(text, str) and text for text in texts)


def _is_names(value: Any) -> bool:
    names = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)


TEXT = Kind("a text", lambda value: isinstance(value, str))
NAME = Kind(
    "a text that is not empty", lambda value: isinstance(value, str) and bool(value.strip())
)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
OBJECTS = Kind("a list of objects", lambda value: isinstance(value, list))
COUNT = Kind("a whole number of 1 or more", lambda value: _is_whole(value, 1))
ATTEMPTS = Kind(
    f"a whole number from 1 to {MOST_ATTEMPTS}", lambda value: _is_whole(value, 1, MOST_ATTEMPTS)
)
NUMBER = Kind("a number of 0 or more", lambda value: _is_number(value) and value >= 0)
SECONDS = Kind(
    f"a number of seconds from {SHORTEST_WAIT_S:g} to {LONGEST_WAIT_S:,.0f}",
    lambda value: _is_number(value) and SHORTEST_WAIT_S <= value <= LONGEST_WAIT_S,
)
TEXTS = Kind("an object whose values are texts", _maps_to_text)
NAMES = Kind("a name (letters, digits, '.', '-', '_') or a list of names", _is_names)
STOP = Kind("a text or a list of texts, none of them empty", _is_stop)
LINE_ID = Kind(
    "a text or a whole number",
    lambda value: isinstance(value, str) or _is_whole(value, -(2**63), 2**63),
)


def choice(*words: str) -> Kind:
    """Return the kind of a value that is one of ``words``."""
    return Kind(
        f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words
    )


def shown(value: Any) -> str:
    """Return a wrong value as a fault quotes it: short, and never what is inside of it."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str) and len(value) > MOST_SHOWN:
        return json.dumps(value[:MOST_SHOWN])[:-1] + '..."'
    return json.dumps(value)[: 2 * MOST_SHOWN]


class Faults:
    """What is wrong with one line; the first few of it."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._count = 0
        self._room = MOST_TOLD

    def __len__(self) -> int:
        return self._count

    def __str__(self) -> str:
        more = self._count - len(self._told)
        return "; ".join([*self._told, *([f"and {more:,} more"] if more else [])])

    def add(self, place: str, what: str) -> None:
        """Note a fault: ``place`` is the path to the field."""
        self._count += 1
        fault = (f"{place} {what}" if place else what)[:MOST_FAULT]
        self._room -= len(fault)
        if self._room >= 0:
            self._told.append(fault)


class Fields:
    """One JSON object under inspection.

    Args:
        data: the object.
        faults: where its faults go.
        path: how to get to it; empty for the line itself.
    """

    __slots__ = ("_data", "_faults", "_known", "_path")

    def __init__(self, data: Mapping[str, Any], faults: Faults, path: str = "") -> None:
        self._data = data
        self._faults = faults
        self._path = path
        self._known: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._data.get(name) is not None

    def read(self, name: str, kind: Kind) -> Any:
        """Return a value; None when it is not given, and when it is wrong, which is a fault."""
        self._known.add(name)
        value = self._data.get(name)
        if value is None or kind.is_valid(value):
            return value
        self.fault(name, f"must be {kind.expected}, not {shown(value)}")
        return None

    def need(self, name: str, kind: Kind) -> Any:
        """Return a value that must be given; None when it is missing or wrong, which is a fault."""
        if name not in self:
            self._known.add(name)
            self.fault(name, "is missing")
        return self.read(name, kind)

    def raw(self, name: str) -> Any:
        """Return a value of any kind; None when it is not given."""
        self._known.add(name)
        return self._data.get(name)

    def inside(self, name: str) -> Fields | None:
        """Return the object in a field; None when there is none."""
        value = self.read(name, OBJECT)
        return None if value is None else Fields(value, self._faults, self.place(name))

    def each(self, name: str) -> Iterator[Fields]:
        """Yield the objects of the list in a field; an item that is none is a fault."""
        for index, item in enumerate(self.read(name, OBJECTS) or ()):
            place = f"{self.place(name)}[{index}]"
            if isinstance(item, dict):
                yield Fields(item, self._faults, place)
            else:
                self._faults.add(place, f"must be an object, not {shown(item)}")

    def place(self, name: str) -> str:
        """Return the path to a field; of the object itself if the name is empty."""
        return ".".join(filter(None, (self._path, name)))

    def fault(self, name: str, what: str) -> None:
        """Note that something is wrong with a field, or with the object if the name is empty."""
        self._faults.add(self.place(name), what)

    def ignore(self, *names: str) -> None:
        """Pass over fields whatever is in them."""
        self._known.update(names)

    def close(self, advice: str = "") -> None:
        """Note a fault for every field that is given and that nobody has asked for."""
        for name in self._data:
            if name not in self._known and self._data[name] is not None:
                self.fault(name[:MOST_NAME], f"is no field that is known here{advice}")
