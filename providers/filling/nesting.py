"""How deep one must go at least to satisfy a schema, and which references a schema holds.

A recursive schema ends only where something may be left out or another branch be taken. The depth
is found by asking whether the schema can be satisfied within 0, 1, 2... levels; every question is
about less depth or a smaller schema, so the asking ends, and its answers are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from providers.filling.json_types import listed

if TYPE_CHECKING:
    from providers.filling.references import References

DEEPEST = 40
CONTAINERS = {"object", "array"}


class Nesting:
    """What is known about the depth of the schemas of one document."""

    def __init__(self, references: References) -> None:
        self._references = references
        # The schema stands beside the answer so that its id is not given to another one.
        self._answers: dict[tuple[int, int], tuple[Any, bool]] = {}
        self._held: dict[int, tuple[Any, frozenset[str]]] = {}

    def needed(self, schema: Any) -> float:
        """Return the levels that ``schema`` needs at least; infinity when it never ends."""
        return next((depth for depth in range(DEEPEST) if self._ends(schema, depth)), math.inf)

    def references_in(self, schema: Any) -> frozenset[str]:
        """Return the references that stand anywhere in ``schema``; they are not followed."""
        if not isinstance(schema, Mapping | list):
            return frozenset()
        if id(schema) not in self._held:
            parts = schema.values() if isinstance(schema, Mapping) else schema
            held = [self.references_in(part) for part in parts]
            own = schema.get("$ref") if isinstance(schema, Mapping) else None
            held.append(frozenset([own] if isinstance(own, str) else []))
            self._held[id(schema)] = (schema, frozenset().union(*held))
        return self._held[id(schema)][1]

    def _ends(self, schema: Any, depth: int) -> bool:
        if not isinstance(schema, Mapping):
            return schema is not False
        if depth < 0:
            return False
        key = (id(schema), depth)
        if key not in self._answers:
            self._answers[key] = (schema, self._find(schema, depth))
        return self._answers[key][1]

    def _find(self, schema: Mapping[str, Any], depth: int) -> bool:
        if "$ref" in schema and not self._ends(self._references.target(schema["$ref"]), depth - 1):
            return False
        if not all(self._ends(part, depth) for part in schema.get("allOf", ())):
            return False
        for word in ("anyOf", "oneOf"):
            if word in schema and not any(self._ends(part, depth) for part in schema[word]):
                return False
        return self._own_part_ends(schema, depth)

    def _own_part_ends(self, schema: Mapping[str, Any], depth: int) -> bool:
        types = set(listed(schema.get("type"))) or CONTAINERS & {
            "object" if "required" in schema else "", "array" if "minItems" in schema else ""
        }  # fmt: skip
        if not types or types - CONTAINERS or "enum" in schema or "const" in schema:
            return True
        object_ends = "object" in types and all(
            self._ends(schema.get("properties", {}).get(name, True), depth - 1)
            for name in schema.get("required", ())
        )
        return object_ends or ("array" in types and self._array_ends(schema, depth))

    def _array_ends(self, schema: Mapping[str, Any], depth: int) -> bool:
        least = schema.get("minItems", 0)
        prefix = [*schema.get("prefixItems", ())][:least]
        rest = [schema.get("items", True)] if least > len(prefix) else []
        return all(self._ends(part, depth - 1) for part in (*prefix, *rest))
