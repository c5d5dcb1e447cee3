"""``extra_body``: what only a vendor knows. It goes over the body that was written for the line.

Policies, limits and prices are asked about the line's own model, its prompt is read from its own
fields, and what it may cost is reserved by its own ``max_tokens``. So nothing that names another
model, prompt or allowance is let past them. Servers differ in how strictly they read names (case,
underscores), so names are compared in the loosest way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runtime.shapes.fields import MOST_NAME, OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.shapes.fields import Fields

HAS_A_FIELD = "the line has a field for it, {}"
ONE_MODEL = "a line asks one model"
ONE_ANSWER = "a line has one answer"
ALLOWANCES: Mapping[str, str] = {  # a name in the loosest spelling -> why; also within settings
    "n": ONE_ANSWER,
    "bestof": ONE_ANSWER,
    "candidatecount": ONE_ANSWER,
    "maxtokens": HAS_A_FIELD.format("max_tokens"),
    "maxcompletiontokens": HAS_A_FIELD.format("max_tokens"),
    "maxoutputtokens": HAS_A_FIELD.format("max_tokens"),
    "maxnewtokens": HAS_A_FIELD.format("max_tokens"),
    "numpredict": HAS_A_FIELD.format("max_tokens"),
}
FORBIDDEN: Mapping[str, str] = {
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
    **ALLOWANCES,
}
SETTINGS = frozenset({"generationconfig", "options"})  # objects that have allowances, too


def extra_body_of(line: Fields) -> Mapping[str, Any]:
    """Read ``extra_body``; a field that must not be there is a fault, even one that is null."""
    extra: Mapping[str, Any] = line.read("extra_body", OBJECT) or {}
    for path, why in _faults(extra):
        line.fault(f"extra_body.{path}", f"must not be given here; {why}")
    return extra


def _faults(extra: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path of each field that must not be there, and why."""
    for name, value in extra.items():
        shown = name[:MOST_NAME]
        if _loose(name) in FORBIDDEN:
            yield shown, FORBIDDEN[_loose(name)]
        elif _loose(name) in SETTINGS and isinstance(value, Mapping):
            for inner in value:
                if _loose(inner) in ALLOWANCES:
                    yield f"{shown}.{inner[:MOST_NAME]}", ALLOWANCES[_loose(inner)]


def _loose(name: str) -> str:
    return name.casefold().replace("_", "")
