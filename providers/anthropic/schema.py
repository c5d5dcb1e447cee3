"""Making a JSON Schema fit the vendor's structured outputs, or saying why it does not.

The vendor holds a model to a schema whose objects are all closed, without recursion and with few
keywords. As its own SDK does (``transform_schema``, version 2.12), objects are closed and a
constraint that is not supported goes into the description, where the model reads it. Unlike the
SDK, a schema that would come to mean something else is refused here instead: an object that is
meant to have other properties would lose them, and closed branches of an ``allOf`` contradict each
other. Such a schema is for the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from runtime.kept import kept

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 32
MOST_OPTIONAL = 24
MOST_UNIONS = 16
DEFINITIONS = ("$defs", "definitions")
KEPT = frozenset({
    *DEFINITIONS, "type", "enum", "const", "anyOf", "$ref", "properties", "required",
    "additionalProperties", "items", "title", "description",
})  # fmt: skip
DESCRIBED = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties",
    "maxProperties",
})  # fmt: skip
ANNOTATIONS = frozenset({
    "$schema", "$id", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly",
})  # fmt: skip
FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
TYPING = ("type", "enum", "const", "anyOf", "$ref")
BESIDE_REFERENCE = frozenset({"$ref", *DEFINITIONS, "title", "description"})


class CannotClose(Exception):
    """The schema cannot be made to fit; the message says where and why."""


@kept
def closed_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return ``schema`` as the vendor takes it, and the constraints it has as description only.

    Raises:
        CannotClose: the vendor would refuse it, or the change would alter its meaning.
    """
    walk = _Walk()
    try:
        closed = walk.close(schema, "$", 1)
        walk.check_references(closed)
    except (TypeError, AttributeError):
        raise CannotClose("$: is no JSON Schema") from None
    return closed, tuple(sorted(walk.described))


class _Walk:
    """One walk through a schema; counts what the vendor limits in sum."""

    def __init__(self) -> None:
        self.described: set[str] = set()
        self._optional = 0
        self._unions = 0

    def close(self, schema: Any, place: str, depth: int) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            raise CannotClose(f"{place}: allows any type")
        plain = _with_any_of({key: schema[key] for key in schema if key not in ANNOTATIONS})
        said = {key: plain[key] for key in plain if key in DESCRIBED and not _supported(key, plain)}
        kept = {key: value for key, value in plain.items() if key not in said}
        self._count(kept)
        for stands, reason in self._obstacles(kept, depth):
            if stands:
                raise CannotClose(f"{place}: {reason}")
        self.described |= said.keys()
        return self._with_children(_described(kept, said), place, depth + 1)

    def _count(self, schema: dict[str, Any]) -> None:
        required = schema.get("required", ())
        self._optional += sum(name not in required for name in schema.get("properties", ()))
        self._unions += "anyOf" in schema or isinstance(schema.get("type"), list)

    def _obstacles(self, schema: dict[str, Any], depth: int) -> Iterator[tuple[Any, str]]:
        unknown = sorted(schema.keys() - KEPT - DESCRIBED)
        yield depth > DEEPEST, f"has more than {DEEPEST} levels"
        yield self._optional > MOST_OPTIONAL, f"has more than {MOST_OPTIONAL} optional properties"
        yield self._unions > MOST_UNIONS, f"has more than {MOST_UNIONS} unions"
        yield unknown, f"uses {', '.join(unknown)}"
        yield from _obstacles_of_kind(schema)

    def _with_children(self, schema: dict[str, Any], place: str, depth: int) -> dict[str, Any]:
        for word in (*DEFINITIONS, "properties"):
            if word in schema:
                schema[word] = {
                    name: self.close(child, f"{place}.{name}", depth)
                    for name, child in schema[word].items()
                }
        if "items" in schema:
            schema["items"] = self.close(schema["items"], f"{place}[]", depth)
        if "anyOf" in schema:
            schema["anyOf"] = [self.close(child, place, depth) for child in schema["anyOf"]]
        if _may_be(schema, "object"):
            schema |= {"properties": schema.get("properties", {}), "additionalProperties": False}
        return schema

    def check_references(self, schema: dict[str, Any]) -> None:
        """Raise unless every reference leads to a definition at the top, never back to itself."""
        graph = {
            f"#/{word}/{name}": set(_references(child))
            for word in DEFINITIONS
            for name, child in schema.get(word, {}).items()
        }
        unknown = sorted(set(_references(schema)) - graph.keys())
        if unknown:
            raise CannotClose(f"$: refers to {unknown[0]}")
        try:
            TopologicalSorter(graph).prepare()
        except CycleError:
            raise CannotClose("$: is recursive") from None


def _obstacles_of_kind(schema: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield what may stand against a schema's own keywords, and whether it does."""
    beside = sorted(schema.keys() - BESIDE_REFERENCE) if "$ref" in schema else []
    values = [*_list(schema.get("enum", [])), schema.get("const")]
    others = schema.get("additionalProperties", False) is not False
    yield schema.keys().isdisjoint(TYPING), "allows any type"
    yield beside, f"narrows a $ref by {', '.join(beside)}"
    yield any(isinstance(value, list | Mapping) for value in values), "has a compound value"
    yield others, "allows other properties"
    is_open = not schema.get("properties") and "additionalProperties" not in schema
    yield _may_be(schema, "object") and is_open, "is an object of any properties"
    yield "properties" in schema and not _may_be(schema, "object"), "has properties but no type"
    yield _may_be(schema, "array") and "items" not in schema, "has items of any type"


def _with_any_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with ``oneOf``, and an ``allOf`` of one, as the ``anyOf`` that is known."""
    for word in ("oneOf", "allOf"):
        branches = schema.get(word)
        is_alike = isinstance(branches, list) and (word == "oneOf" or len(branches) == 1)
        if is_alike and "anyOf" not in schema:
            schema["anyOf"] = schema.pop(word)
    return schema


def _supported(word: str, schema: dict[str, Any]) -> bool:
    if word == "format":
        return schema[word] in FORMATS
    return word == "minItems" and schema[word] in (0, 1)


def _described(schema: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    if not said:
        return schema
    words = ", ".join(f"{word}: {json.dumps(value, default=str)}" for word, value in said.items())
    before = schema.get("description")
    return schema | {"description": f"{before}\n\n{{{words}}}" if before else f"{{{words}}}"}


def _may_be(schema: dict[str, Any], kind: str) -> bool:
    return kind in _list(schema.get("type"))


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
