"""Whether a value satisfies a schema: the checking half of JSON Schema 2020-12.

It is here, and not a library, because it decides while a value is being built, and because the
product should not need a validator for its fake. ``keywords`` is the table of what is checked. The
older spellings ``definitions``, ``dependencies`` and ``items`` as a list are understood as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from providers.filling.keywords import KEYWORDS
from providers.filling.references import References, Unfillable

if TYPE_CHECKING:
    from collections.abc import Iterator

# Their meaning depends on what other keywords have seen; a wrong guess would be a wrong answer.
NOT_UNDERSTOOD = ("unevaluatedItems", "$dynamicRef", "$recursiveRef")


def conforms(value: Any, schema: Any, references: References | None = None) -> bool:
    """Return whether ``value`` satisfies ``schema``.

    Args:
        value: a JSON value.
        schema: an object or boolean schema.
        references: the document that ``schema`` is a part of; ``schema`` itself by default.

    Raises:
        Unfillable: the schema refers to what is not there or uses what is not understood.
    """
    return Check(references or References(schema)).passes(value, schema)


class Check:
    """One check; remembers which references it is inside of, so that a circle ends."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._inside: set[tuple[int, int]] = set()

    def passes(self, value: Any, schema: Any) -> bool:
        """Return whether ``value`` satisfies ``schema``."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise Unfillable(f"a schema is an object or a boolean, not {schema!r}")
        for word in NOT_UNDERSTOOD:
            if word in schema:
                raise Unfillable(f"{word} is not understood")
        return all(
            KEYWORDS[word](self, value, argument, schema)
            for word, argument in schema.items()
            if word in KEYWORDS
        )

    def refers(self, value: Any, reference: str) -> bool:
        """Return whether ``value`` satisfies what ``reference`` names; not if only by a circle."""
        target = self._references.target(reference)
        here = (id(target), id(value))
        if here in self._inside:
            return False
        self._inside.add(here)
        try:
            return self.passes(value, target)
        finally:
            self._inside.discard(here)

    def seen_properties(self, value: Mapping[str, Any], schema: Any) -> set[str]:
        """Return the properties of ``value`` that ``schema`` says something about."""
        if not isinstance(schema, Mapping) or not self.passes(value, schema):
            return set()
        if "additionalProperties" in schema or "unevaluatedProperties" in schema:
            return set(value)
        return self.seen_below(value, schema)

    def seen_below(self, value: Mapping[str, Any], schema: Mapping[str, Any]) -> set[str]:
        """Return the same, but for the schema's own word on the rest."""
        seen = {name for name in value if _declares(schema, name)}
        for part in self._parts(value, schema):
            seen |= self.seen_properties(value, part)
        return seen

    def _parts(self, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        for word in ("allOf", "anyOf", "oneOf"):
            yield from schema.get(word, ())
        if "$ref" in schema:
            yield self._references.target(schema["$ref"])
        if "if" in schema:
            yield schema["if"]
            yield schema.get("then" if self.passes(value, schema["if"]) else "else")
        for name, part in schema.get("dependentSchemas", {}).items():
            if name in value:
                yield part


def _declares(schema: Mapping[str, Any], name: str) -> bool:
    return name in schema.get("properties", {}) or any(
        re.search(pattern, name) for pattern in schema.get("patternProperties", {})
    )
