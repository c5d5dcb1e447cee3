"""``extra_body``: what only a vendor knows. It goes over the body that was written for the line.

Policies, limits and prices are asked about the line's own model, and its prompt is read from its
own fields. So nothing that names another model or prompt is let past them. Servers differ in how
strictly they read names (case, underscores), so names are compared in the loosest way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.shapes.fields import MOST_NAME, OBJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.shapes.fields import Fields

HAS_A_FIELD = "the line has a field for it, {}"
ONE_MODEL = "a line asks one model"
FORBIDDEN: Mapping[str, str] = {  # a name in the loosest spelling -> why
    "model": HAS_A_FIELD.format("model"),
    "stream": HAS_A_FIELD.format("stream"),
    "messages": HAS_A_FIELD.format("messages"),
    "input": HAS_A_FIELD.format("messages"),
    "contents": HAS_A_FIELD.format("messages"),
    "system": HAS_A_FIELD.format("system"),
    "instructions": HAS_A_FIELD.format("system"),
    "systeminstruction": HAS_A_FIELD.format("system"),
    "models": ONE_MODEL,
    "fallbacks": ONE_MODEL,
    "fallbackmodels": ONE_MODEL,
}


def extra_body_of(line: Fields) -> Mapping[str, Any]:
    """Read ``extra_body``; a field that must not be there is a fault, even one that is null."""
    extra: Mapping[str, Any] = line.read("extra_body", OBJECT) or {}
    for name in extra:
        why = FORBIDDEN.get(name.casefold().replace("_", ""))
        if why is not None:
            line.fault(f"extra_body.{name[:MOST_NAME]}", f"must not be given here; {why}")
    return extra
