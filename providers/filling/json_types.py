"""What JSON Schema calls a value's type, and when it calls two values equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def is_integer(value: Any) -> bool:
    """Return whether ``value`` is an integer; 1.0 is one, True is not."""
    return type(value) is int or (type(value) is float and value.is_integer())


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a JSON number; True is not, infinity neither."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": is_integer,
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
}


def identity(value: Any) -> Any:
    """Return something hashable that is equal for values that JSON Schema calls equal."""
    if isinstance(value, Mapping):
        return "object", frozenset((name, identity(item)) for name, item in value.items())
    if isinstance(value, list):
        return "array", tuple(map(identity, value))
    return type(value) is bool, value


def listed(value: Any) -> list[Any]:
    """Return ``value`` if it is a list, else a list of it alone; None becomes no list at all."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
