"""What other people's instrumentation says, made harmless: it must not fail where a span ends.

The SDK refuses what it cannot send when it is said, in one line of log, and never raises. Here it
is left out, or said as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def plain_attributes(attributes: Mapping[Any, object] | None) -> dict[str, Any]:
    """Return attributes that can be sent, as they are now: a list may change."""
    return {
        name: _plain(value)
        for name, value in (attributes or {}).items()
        if isinstance(name, str) and value is not None
    }


def plain_text(value: object) -> str:
    """Return something as text, whatever its ``__str__`` does."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # whatever it does, the span goes on
        return f"<unprintable {type(value).__name__}>"


def nanoseconds(instant: float | None) -> int | None:
    """Return an instant as a span has it; None for now, and for what no span can have."""
    if instant is None or not 0 <= instant < 1 << 64:
        return None
    return int(instant)


def _plain(value: object) -> object:
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return tuple(_plain(item) for item in value)
    return plain_text(value)
