"""Values that OTLP can carry, and of bounded size.

Protobuf has no lone surrogates and no integers above 64 bits. One such name or message makes the
exporter throw away the whole batch that the span is in, so they are made harmless here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel.attributes import AttributeValue

_LONGEST_TEXT = 8_192
_LONGEST_NAME = 256
_LONGEST_LIST = 128
_LARGEST_INT = (1 << 63) - 1


def sendable(attributes: Mapping[str, AttributeValue] | None) -> dict[str, AttributeValue]:
    """Return the attributes with every value as OTLP can carry it, cut to at most 8,192 signs."""
    return {name: _value(value) for name, value in (attributes or {}).items()}


def sendable_name(name: str) -> str:
    """Return a name of at most 256 signs."""
    return _text(name, _LONGEST_NAME)


def sendable_text(text: str) -> str:
    """Return a text of at most 8,192 signs."""
    return _text(text, _LONGEST_TEXT)


def _value(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return sendable_text(value)
    if isinstance(value, int):
        return value if -_LARGEST_INT <= value <= _LARGEST_INT else sendable_name(hex(value))
    if isinstance(value, Sequence):
        return [sendable_text(str(item)) for item in value[:_LONGEST_LIST]]
    return value


def _text(text: str, longest: int) -> str:
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
