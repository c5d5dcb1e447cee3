"""Whether something is a JSON Schema at all: every keyword's argument is of the kind that it takes.

It is checked once, before the walk, so that everything after it can rely on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from providers.filling.json_types import TYPES, is_number, listed
from providers.filling.references import Unfillable

DEEPEST = 100

SCHEMA_WORDS = (
    "additionalProperties", "unevaluatedProperties", "propertyNames", "contains", "additionalItems",
    "not", "if", "then", "else",
)  # fmt: skip
SCHEMA_LIST_WORDS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMA_MAP_WORDS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_count(value: Any) -> bool:
    return is_number(value) and value >= 0


def _is_schema(value: Any) -> bool:
    return isinstance(value, bool | Mapping)


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


KINDS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (SCHEMA_WORDS, _is_schema, "a schema"),
    (("items",), lambda value: _is_schema(value) or _is_list(value), "a schema"),
    ((*SCHEMA_LIST_WORDS, "enum", "examples"), _is_list, "a list"),
    ((*SCHEMA_MAP_WORDS, "dependentRequired", "dependencies"), _is_map, "an object"),
    (("required",), _is_texts, "a list of names"),
    (("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), is_number, "a number"),
    (("multipleOf",), lambda value: is_number(value) and value > 0, "a number above 0"),
    (
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
         "minContains", "maxContains"),
        _is_count,
        "a number of 0 or more",
    ),
    (("$ref", "pattern", "format"), lambda value: isinstance(value, str), "text"),
    (
        ("type",),
        lambda value: all(isinstance(name, str) and name in TYPES for name in listed(value)),
        "the name of a JSON type, or a list of them",
    ),
)  # fmt: skip
EXPECTED = {word: (is_kind, kind) for words, is_kind, kind in KINDS for word in words}


def check_shape(schema: Any) -> None:
    """Check that ``schema`` is one.

    Raises:
        Unfillable: it is not; the message says where.
    """
    waiting = [("$", schema, 0)]
    seen: set[int] = set()  # a part may stand in many places; once is enough
    while waiting:
        place, here, depth = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if depth > DEEPEST:
            raise Unfillable(f"the schema is nested deeper than {DEEPEST} levels")
        if not _is_schema(here):
            raise Unfillable(f"the schema's {place} is an object or a boolean, not {here!r}")
        if isinstance(here, Mapping):
            _check_arguments(here, place)
            waiting += [(f"{place}.{word}", part, depth + 1) for word, part in _parts(here)]


def _check_arguments(schema: Mapping[str, Any], place: str) -> None:
    for word, argument in schema.items():
        if word in EXPECTED:
            is_kind, kind = EXPECTED[word]
            if not is_kind(argument):
                raise Unfillable(f"the schema's {place}.{word} is {kind}, not {argument!r}")


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for word in (*SCHEMA_WORDS, "items"):
        if word in schema and not isinstance(schema[word], list):
            yield word, schema[word]
    for word in (*SCHEMA_LIST_WORDS, "items"):
        if isinstance(schema.get(word), list):
            yield from ((f"{word}[{position}]", part) for position, part in enumerate(schema[word]))
    for word in (*SCHEMA_MAP_WORDS, "dependencies"):
        for name, part in schema.get(word, {}).items():
            if word != "dependencies" or not isinstance(part, list):
                yield f"{word}.{name}", part
