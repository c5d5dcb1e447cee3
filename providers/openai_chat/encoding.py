"""JSON text of what our own side made: compact, nothing that is no JSON, any mapping an object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def json_text(value: Any) -> str:
    """Return ``value`` as JSON.

    Raises:
        TypeError: it holds something that JSON has no form for.
        ValueError: it holds a number that JSON has no form for, or itself.
    """
    return ENCODER.encode(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__}")


ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain
)
