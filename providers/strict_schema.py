"""Making a JSON Schema fit the strict mode of structured outputs, or saying why it does not.

Strict mode promises that the answer satisfies the schema, but takes only a part of JSON Schema:
the root is an object, every object lists all its properties as required and allows no others, and
many keywords are unknown to it. Two changes are made, and both only ever narrow the schema, so
what satisfies the changed one satisfies the original: properties become required, and objects are
closed. Keywords that only annotate are dropped. Anything else that strict mode does not take is a
reason to send the schema as it is, without strict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.kept import kept

DEEPEST = 10
MOST_PROPERTIES = 5_000
MOST_CHOICES = 1_000

CONSTRAINTS = frozenset({
    "type", "enum", "const", "anyOf", "$ref", "$defs", "definitions", "properties", "required",
    "additionalProperties", "items", "minItems", "maxItems", "pattern", "format", "multipleOf",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "title", "description",
})  # fmt: skip
ANNOTATIONS = frozenset({
    "$schema", "$id", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly",
})  # fmt: skip
FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid",
})  # fmt: skip
DEFINITIONS = ("$defs", "definitions")
TYPING = ("type", "enum", "const", "anyOf", "$ref")
BESIDE_REFERENCE = frozenset({"$ref", "title", "description"})


class NotEligible(Exception):
    """The schema cannot be made to fit; the message says where and why."""


@kept
def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``schema`` changed so that strict mode takes it; the argument is left alone.

    Raises:
        NotEligible: strict mode would refuse it, or the change would alter its meaning.
    """
    if schema.get("type") != "object" or "anyOf" in schema:
        raise NotEligible("$: the root is not a plain object")
    try:
        return _Rewriting().rewrite(schema, "$", 1)
    except (AttributeError, TypeError, RecursionError):
        # The keywords are not of the types that JSON Schema gives them: not ours to judge.
        raise NotEligible("$: is no well-formed JSON Schema") from None


class _Rewriting:
    """One walk through a schema; counts what strict mode limits in sum."""

    def __init__(self) -> None:
        self._properties = 0
        self._choices = 0

    def rewrite(self, schema: Any, place: str, depth: int) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            raise NotEligible(f"{place}: allows any type")
        kept = {word: value for word, value in schema.items() if word not in ANNOTATIONS}
        self._count(kept, place, depth)
        _refuse(_first_obstacle(kept), place)
        if "$ref" in kept:
            return {"$ref": kept["$ref"]}
        return self._with_children(kept, place, depth)

    def _count(self, schema: dict[str, Any], place: str, depth: int) -> None:
        self._properties += len(schema.get("properties", ()))
        self._choices += len(schema.get("enum", ()))
        for number, most, what in (
            (depth, DEEPEST, "levels"),
            (self._properties, MOST_PROPERTIES, "properties"),
            (self._choices, MOST_CHOICES, "enum values"),
        ):
            _refuse(f"has more than {most} {what}" if number > most else None, place)

    def _with_children(self, schema: dict[str, Any], place: str, depth: int) -> dict[str, Any]:
        for word in DEFINITIONS:
            if word in schema:
                schema[word] = self._named(schema[word], f"{place}.{word}", depth)
        if "properties" in schema:
            schema["properties"] = self._named(schema["properties"], place, depth + 1)
            schema |= {"required": list(schema["properties"]), "additionalProperties": False}
        if "items" in schema:
            schema["items"] = self.rewrite(schema["items"], f"{place}[]", depth)
        if "anyOf" in schema:
            schema["anyOf"] = [self.rewrite(branch, place, depth) for branch in schema["anyOf"]]
        return schema

    def _named(self, schemas: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        return {
            name: self.rewrite(schema, f"{place}.{name}", depth) for name, schema in schemas.items()
        }


def _first_obstacle(schema: dict[str, Any]) -> str | None:
    """Return why strict mode does not take the schema's own keywords, or None."""
    types = schema.get("type")
    types = types if isinstance(types, list) else [types]
    unknown = sorted(schema.keys() - CONSTRAINTS)
    beside = sorted(schema.keys() - BESIDE_REFERENCE) if "$ref" in schema else []
    obstacles = (
        (unknown, f"uses {', '.join(unknown)}"),
        (schema.keys().isdisjoint(TYPING), "allows any type"),
        (beside, f"narrows a $ref by {', '.join(beside)}"),
        (schema.get("format", "date") not in FORMATS, f"uses the format {schema.get('format')}"),
        ("array" in types and "items" not in schema, "has items of any type"),
        ("object" in types and not schema.get("properties"), "is an object of any properties"),
        (schema.get("additionalProperties", False) is not False, "allows other properties"),
    )
    return next((reason for stands, reason in obstacles if stands), None)


def _refuse(reason: str | None, place: str) -> None:
    if reason is not None:
        raise NotEligible(f"{place}: {reason}")
