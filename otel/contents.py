"""Prompts, answers and tool arguments as span attributes: opt-in, redacted, bounded, valid JSON.

Each is one JSON text of at most 8,192 characters, in the message shape of the GenAI conventions:
``[{"role": "user", "parts": [{"type": "text", "content": "..."}]}]``. What is too long is cut
inside its texts, the longest first. What does not fit even then loses its oldest messages, and
begins with one that says how many.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel.redaction import Redactor

MOST_CHARACTERS: Final = 8_192  # of one attribute; as many as any attribute may have
MOST_MESSAGES: Final = 16  # that are looked at, the newest: looking for secrets takes its time
LOOKED_AT: Final = 2 * MOST_CHARACTERS  # of each text
TEXTS: Final = (8_192, 4_096, 2_048, 1_024, 512, 256, 128, 64)  # to how much each text is cut
_CUT = "…"


class Contents:
    """Turns contents into attributes.

    Args:
        redactor: takes the secrets out first.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def messages(self, messages: Sequence[dict[str, Any]]) -> str:
        """Return the turns of a conversation, oldest first, as JSON."""
        return self._fitted(messages, _left_out)

    def parts(self, parts: Sequence[dict[str, Any]]) -> str:
        """Return the parts of one message, e.g. the system's instructions, as JSON."""
        return self._fitted(parts, lambda count: _part(f"{_CUT} {count} parts left out"))

    def value(self, value: object) -> str:
        """Return the arguments or the result of a tool as JSON."""
        plain = self._redactor.plain(_cut(value, LOOKED_AT))
        return _short(plain) or _as_text(plain)

    def _fitted(
        self, items: Sequence[dict[str, Any]], left_out: Callable[[int], dict[str, Any]]
    ) -> str:
        newest = items[-MOST_MESSAGES:]
        plain: list[Any] = [self._redactor.plain(_cut(item, LOOKED_AT)) for item in newest]
        earlier = len(items) - len(plain)
        while True:
            shown = [left_out(earlier), *plain] if earlier else plain
            text = _short(shown)
            if text is not None:
                return text
            if len(plain) <= 1:
                return _as_text(shown)
            drop = max(1, len(plain) // 4)
            plain, earlier = plain[drop:], earlier + drop


def _left_out(count: int) -> dict[str, Any]:
    return {"role": "system", "parts": [_part(f"{_CUT} {count} earlier messages left out")]}


def _part(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _short(value: Any) -> str | None:
    """Return JSON data with its texts cut until it is short enough; None where that is not it."""
    for longest in TEXTS:
        text = _json(_cut(value, longest))
        if len(text) <= MOST_CHARACTERS:
            return text
    return None


def _as_text(value: Any) -> str:
    """Return the beginning of JSON data as one JSON text: of a shape nobody can shorten."""
    whole = _json(value)
    length = MOST_CHARACTERS
    while len(text := _json(whole[:length] + _CUT)) > MOST_CHARACTERS:
        length -= len(text) - MOST_CHARACTERS
    return text


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else value[: longest - 1] + _CUT
    if isinstance(value, dict):
        return {name: _cut(item, longest) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, longest) for item in value]
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
