"""Keeps secrets out of what people read: log lines, and the messages of failed spans.

Three nets, because each has holes: names (``api_key=...``, at any depth), shapes (``sk-...``,
``Bearer ...``), and exact values (those of variables like ``OPENAI_API_KEY``). What comes out is
also plain and bounded: JSON data of limited depth and size, whatever went in.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TypeAlias

from otel.secret_shapes import (
    HINTS,
    NAMED,
    NO_VALUE,
    REDACTED,
    SHAPES,
    VALUE,
    is_secret_name,
)

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"

_LONGEST_TEXT = 8_192
_LONGEST_LOOKED_AT = 32_768  # cut at its end, which leaves no tail of a secret without its head
_DEEPEST = 8
_MOST_VALUES = 1_000
_TEXT_OF_ONE_VALUE = 256  # a longer text counts as several values
_CUT = "…"
_SHORTEST_SECRET = 8  # shorter values of variables ("1", "true") would redact half the language
_LARGEST_INT_BITS = 64
_PAIR = 2
_NAMES = 1_024
_LONGEST_NAME = 64


class Redactor:
    """Takes secrets out of texts and data.

    Attributes:
        name: the same as ``text``, remembered: for the names of fields.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Prepare to look for these exact values too; those below 8 characters are left alone."""
        known = {text for text in secrets if len(text) >= _SHORTEST_SECRET}
        self._secrets = sorted(known, key=len, reverse=True)
        self.name = lru_cache(maxsize=_NAMES)(self.text)  # the same few names are on every line

    def text(self, text: str) -> str:
        """Return the text without secrets, its middle cut out where it is too long."""
        text = text[:_LONGEST_LOOKED_AT]
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return _shortened(_without_shapes(text))

    def plain(self, value: object) -> Plain:
        """Return the value as bounded JSON data without secrets. It never raises."""
        return _Walk(self).plain(value, 0)


class _Walk:
    """One walk through one value, with a limit to what it looks at."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._left = _MOST_VALUES

    def plain(self, value: object, depth: int) -> Plain:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            return _CUT
        try:
            if isinstance(value, Mapping):
                return self._mapping(value, depth)
            if isinstance(value, list | tuple | AbstractSet):
                return self._items(value, depth)
            return self._scalar(value)
        except Exception:  # noqa: BLE001 - a value that cannot be shown must not stop the line
            return f"<unprintable {type(value).__name__}>"

    def _scalar(self, value: object) -> Plain:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return _number(value)
        return self._text(value)

    def _text(self, value: object) -> str:
        text = _text_of(value)[:_LONGEST_LOOKED_AT]
        self._left -= len(text) // _TEXT_OF_ONE_VALUE
        return self._redactor.text(text)

    def _mapping(self, value: Mapping[object, object], depth: int) -> dict[str, Plain]:
        plain: dict[str, Plain] = {}
        for key, item in value.items():
            if self._left <= 0:
                plain[_CUT] = _CUT
                break
            short = isinstance(key, str) and len(key) <= _LONGEST_NAME
            name = self._redactor.name(key) if short else self._text(key)
            plain[name] = _hidden(item) if is_secret_name(name) else self.plain(item, depth + 1)
        return plain

    def _items(
        self, value: list[object] | tuple[object, ...] | AbstractSet[object], depth: int
    ) -> list[Plain]:
        items = list(itertools.islice(value, max(self._left, 0) + 1))
        if len(items) == _PAIR and isinstance(items[0], str | bytes):  # a header, as HTTP has them
            return list(self._mapping({items[0]: items[1]}, depth).popitem())
        return [self.plain(item, depth + 1) for item in items]


def _without_shapes(text: str) -> str:
    lowered = text.lower()
    if not any(hint in lowered for hint in HINTS):
        return text
    for shape in SHAPES:
        text = re.sub(shape.pattern, shape.replacement, text)
    return _without_named(text)


def _without_named(text: str) -> str:
    """Hide the value of every secret name, also of a name inside another one's value."""
    secret, nothing = re.compile(VALUE), re.compile(NO_VALUE)
    parts, done = [], 0
    for name in re.finditer(NAMED.pattern, text):
        value = None if nothing.match(text, name.end()) else secret.match(text, name.end())
        if value is None or value.end() <= done:
            continue
        if name.end() >= done:
            parts += [text[done : name.end()], REDACTED]
        done = value.end()
    return "".join([*parts, text[done:]])


def _hidden(value: object) -> Plain:
    """Hide the value of a field, but not that there is none."""
    if value is None or isinstance(value, bool):
        return value
    return "" if isinstance(value, str) and not value else REDACTED


def _text_of(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value[:_LONGEST_LOOKED_AT]).decode(errors="backslashreplace")
    return repr(value) if isinstance(value, BaseException) else str(value)


def _number(value: float) -> Plain:
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _LARGEST_INT_BITS else f"{value:#x}"[:80]
    return float(value) if math.isfinite(value) else repr(value)


def _shortened(text: str) -> str:
    """Cut out the middle: the end of a traceback says most."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}{_CUT}{text[-half:]}"
