"""Everything that one value must satisfy: the schemas that apply to it at once, seen as one.

References, ``allOf`` and boolean schemas are resolved away; a schema that leaves alternatives
(``anyOf``, ``oneOf``, ``if``, ``dependentSchemas``) becomes several ``Demands``, tried in turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from providers.filling.json_types import TYPES, identity, listed
from providers.filling.references import Unfillable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from providers.filling.references import References, Schema

# The type that a keyword is about, for schemas that name none.
TELLING = {
    "object": ("properties", "required", "additionalProperties", "patternProperties",
               "minProperties", "propertyNames"),
    "array": ("items", "prefixItems", "minItems", "contains", "uniqueItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}  # fmt: skip
ANY_TYPE = ("string", "integer", "boolean", "object", "array", "null", "number")
BOUNDS = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "format")


class Demands:
    """The schemas that one value must satisfy at once.

    Attributes:
        schemas: object schemas; what they refer to and the branch chosen are among them.
        followed: the references that were followed to get here.
    """

    def __init__(
        self, schemas: tuple[Schema, ...] = (), followed: frozenset[str] = frozenset()
    ) -> None:
        self.schemas = schemas
        self.followed = followed

    def all(self, word: str) -> list[Any]:
        """Return the arguments of the keyword ``word``."""
        return [schema[word] for schema in self.schemas if word in schema]

    def types(self) -> list[str]:
        """Return the types that a value may have, the likeliest first."""
        named = [set(listed(types)) for types in self.all("type")]
        named = [types | {"integer"} if "number" in types else types for types in named]
        allowed = [name for name in self._order() if all(name in types for types in named)]
        return [
            name for name in allowed if not (name == "integer" and "number" in allowed)
        ] or allowed

    def _order(self) -> list[str]:
        spoken = [name for types in self.all("type") for name in listed(types) if name in TYPES]
        telling = [name for name, words in TELLING.items() if any(self.all(word) for word in words)]
        order = dict.fromkeys([*spoken, *telling, *ANY_TYPE])
        return sorted(order, key=lambda name: name == "null")

    def constants(self) -> list[Any] | None:
        """Return the values that ``const`` and ``enum`` leave, or None if neither is there."""
        groups = [[value] for value in self.all("const")] + self.all("enum")
        if not groups:
            return None
        first, *others = groups
        allowed = [set(map(identity, group)) for group in others]
        return [value for value in first if all(identity(value) in group for group in allowed)]

    def description(self) -> str:
        """Return what the schemas say about themselves."""
        said = [*self.all("description"), *self.all("title")]
        return " ".join(text for text in said if isinstance(text, str))

    def bounds(self) -> dict[str, Any]:
        """Return the keywords that bound a length or a range; of several the last."""
        return {word: self.all(word)[-1] for word in BOUNDS if self.all(word)}

    def declared(self) -> list[str]:
        """Return the names of properties in the order of their declaration."""
        return list(dict.fromkeys(name for names in self.all("properties") for name in names))

    def property(self, name: str) -> list[Any]:
        """Return the schemas that apply to the property ``name``."""
        return [part for schema in self.schemas for part in _property_schemas(schema, name)]

    def item(self, position: int) -> list[Any]:
        """Return the schemas that apply to the array item at ``position``."""
        return [part for schema in self.schemas for part in _item_schemas(schema, position)]


def _property_schemas(schema: Schema, name: str) -> list[Any]:
    found = [schema["properties"][name]] if name in schema.get("properties", {}) else []
    for pattern, part in schema.get("patternProperties", {}).items():
        if re.search(pattern, name):
            found.append(part)
    if found:
        return found
    return [schema[word] for word in ("additionalProperties",) if word in schema]


def _item_schemas(schema: Schema, position: int) -> list[Any]:
    items = schema.get("items", True)
    prefix = schema.get("prefixItems", items if isinstance(items, list) else ())
    if position < len(prefix):
        return [prefix[position]]
    return [schema.get("additionalItems", True) if isinstance(items, list) else items]


def alternatives(
    schemas: list[Any], references: References, order: Callable[[list[Any]], list[Any]]
) -> Iterator[Demands]:
    """Return the ways in which a value may satisfy ``schemas``, in the order that ``order`` makes.

    Args:
        schemas: the schemas, any that JSON Schema knows.
        references: the document that they are a part of.
        order: puts the branches of a choice into the order in which they are tried, and leaves out
            those that lead nowhere.

    Raises:
        Unfillable: a reference leads nowhere, or something is no schema.
    """
    return _Expansion(references, order).of(tuple(schemas), Demands(), ())


class _Expansion:
    """Resolves references and ``allOf`` at once and choices one after the other."""

    def __init__(self, references: References, order: Callable[[list[Any]], list[Any]]) -> None:
        self._references = references
        self._order = order

    def of(
        self, waiting: tuple[Any, ...], known: Demands, choices: tuple[list[Any], ...]
    ) -> Iterator[Demands]:
        while waiting:
            schema, waiting = waiting[0], waiting[1:]
            if schema is False:
                return
            if schema is not True:
                known, more = self._joined(known, schema)
                waiting += more
                choices += _choices(schema)
        if not choices:
            yield known
            return
        for branch in self._order(choices[0]):
            yield from self.of((branch,), known, choices[1:])

    def _joined(self, known: Demands, schema: Any) -> tuple[Demands, tuple[Any, ...]]:
        """Return ``known`` with ``schema``, and the schemas that it brings along."""
        if not isinstance(schema, Mapping):
            raise Unfillable(f"a schema is an object or a boolean, not {schema!r}")
        more = tuple(schema.get("allOf", ()))
        reference = schema.get("$ref")
        if reference is None or reference in known.followed:
            return Demands((*known.schemas, schema), known.followed), more
        target = self._references.target(reference)
        return Demands((*known.schemas, schema), known.followed | {reference}), (target, *more)


def _choices(schema: Schema) -> tuple[list[Any], ...]:
    found = [list(schema[word]) for word in ("anyOf", "oneOf") if word in schema]
    if "if" in schema:
        found.append(
            [{"allOf": [schema["if"], schema.get("then", True)]}, schema.get("else", True)]
        )
    for word in ("dependentSchemas", "dependencies"):
        for name, part in schema.get(word, {}).items():
            if not isinstance(part, list):
                found.append([part, {"properties": {name: False}}])
    return tuple(found)
