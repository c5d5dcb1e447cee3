"""The keywords of JSON Schema that constrain a value, each with its check.

A keyword says nothing about values of a type that is not its own, so each check begins with that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from providers.filling.formats import FORMATS
from providers.filling.json_types import TYPES, identity, listed
from providers.filling.references import Unfillable

if TYPE_CHECKING:
    from providers.filling.conformance import Check

    Schema = Mapping[str, Any]

Keyword = Callable[["Check", Any, Any, Mapping[str, Any]], bool]


def _type(_check: Check, value: Any, types: Any, _schema: Schema) -> bool:
    return any(name in TYPES and TYPES[name](value) for name in listed(types))


def _of_type(type_name: str, holds: Callable[[Any, Any], bool]) -> Keyword:
    """Return a check of values of one type that needs nothing but the keyword's argument."""
    is_type = TYPES[type_name]
    return lambda _check, value, argument, _schema: not is_type(value) or holds(value, argument)


def _is_multiple(value: Any, divisor: Any) -> bool:
    exact = Fraction(str(value)) % Fraction(str(divisor)) == 0
    # Validators in the field divide floats, where 0.3 is no multiple of 0.1; satisfy them too.
    return exact and (type(divisor) is int or (value / divisor).is_integer())


def _matches(text: str, pattern: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise Unfillable(f"the pattern {pattern!r} is not understood: {error}") from None


def _properties(check: Check, value: Any, schemas: Schema, _schema: Schema) -> bool:
    return not isinstance(value, Mapping) or all(
        check.passes(value[name], schema) for name, schema in schemas.items() if name in value
    )


def _pattern_properties(check: Check, value: Any, schemas: Schema, _schema: Schema) -> bool:
    return not isinstance(value, Mapping) or all(
        check.passes(item, schema)
        for pattern, schema in schemas.items()
        for name, item in value.items()
        if _matches(name, pattern)
    )


def _additional_properties(check: Check, value: Any, rest: Any, schema: Schema) -> bool:
    if not isinstance(value, Mapping):
        return True
    declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return all(
        check.passes(item, rest)
        for name, item in value.items()
        if name not in declared and not any(_matches(name, pattern) for pattern in patterns)
    )


def _unevaluated_properties(check: Check, value: Any, rest: Any, schema: Schema) -> bool:
    if not isinstance(value, Mapping):
        return True
    if "additionalProperties" in schema:
        return True
    seen = check.seen_below(value, schema)
    return all(check.passes(item, rest) for name, item in value.items() if name not in seen)


def _property_names(check: Check, value: Any, names: Any, _schema: Schema) -> bool:
    return not isinstance(value, Mapping) or all(check.passes(name, names) for name in value)


def _dependent_required(_check: Check, value: Any, needs: Schema, _schema: Schema) -> bool:
    return not isinstance(value, Mapping) or all(
        needed in value for name, names in needs.items() if name in value for needed in names
    )


def _dependent_schemas(check: Check, value: Any, schemas: Schema, _schema: Schema) -> bool:
    return not isinstance(value, Mapping) or all(
        check.passes(value, schema) for name, schema in schemas.items() if name in value
    )


def _dependencies(check: Check, value: Any, needs: Schema, schema: Schema) -> bool:
    names = {name: need for name, need in needs.items() if isinstance(need, list)}
    schemas = {name: need for name, need in needs.items() if not isinstance(need, list)}
    return _dependent_required(check, value, names, schema) and _dependent_schemas(
        check, value, schemas, schema
    )


def _items(check: Check, value: Any, items: Any, schema: Schema) -> bool:
    if not isinstance(value, list):
        return True
    if isinstance(items, list):
        return _prefix_items(check, value, items, schema)
    return all(check.passes(item, items) for item in value[len(schema.get("prefixItems", ())) :])


def _additional_items(check: Check, value: Any, rest: Any, schema: Schema) -> bool:
    items = schema.get("items")
    if not isinstance(value, list) or not isinstance(items, list):
        return True
    return all(check.passes(item, rest) for item in value[len(items) :])


def _prefix_items(check: Check, value: Any, schemas: list[Any], _schema: Schema) -> bool:
    return not isinstance(value, list) or all(map(check.passes, value, schemas))


def _contains(check: Check, value: Any, wanted: Any, schema: Schema) -> bool:
    if not isinstance(value, list):
        return True
    found = sum(check.passes(item, wanted) for item in value)
    return bool(schema.get("minContains", 1) <= found <= schema.get("maxContains", found))


def _one_of(check: Check, value: Any, branches: list[Any], _schema: Schema) -> bool:
    return sum(check.passes(value, branch) for branch in branches) == 1


def _if(check: Check, value: Any, condition: Any, schema: Schema) -> bool:
    return check.passes(
        value, schema.get("then" if check.passes(value, condition) else "else", True)
    )


KEYWORDS: dict[str, Keyword] = {
    "type": _type,
    "const": lambda _check, value, constant, _schema: identity(value) == identity(constant),
    "enum": lambda _check, value, choices, _schema: identity(value) in map(identity, choices),
    "minimum": _of_type("number", lambda value, bound: value >= bound),
    "maximum": _of_type("number", lambda value, bound: value <= bound),
    "exclusiveMinimum": _of_type("number", lambda value, bound: value > bound),
    "exclusiveMaximum": _of_type("number", lambda value, bound: value < bound),
    "multipleOf": _of_type("number", _is_multiple),
    "minLength": _of_type("string", lambda text, least: len(text) >= least),
    "maxLength": _of_type("string", lambda text, most: len(text) <= most),
    "pattern": _of_type("string", _matches),
    "format": _of_type(
        "string", lambda text, name: name not in FORMATS or FORMATS[name].fits(text)
    ),
    "minItems": _of_type("array", lambda items, least: len(items) >= least),
    "maxItems": _of_type("array", lambda items, most: len(items) <= most),
    "uniqueItems": _of_type(
        "array", lambda items, unique: not unique or len(set(map(identity, items))) == len(items)
    ),
    "minProperties": _of_type("object", lambda value, least: len(value) >= least),
    "maxProperties": _of_type("object", lambda value, most: len(value) <= most),
    "required": _of_type("object", lambda value, names: all(name in value for name in names)),
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "unevaluatedProperties": _unevaluated_properties,
    "propertyNames": _property_names,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "dependencies": _dependencies,
    "items": _items,
    "additionalItems": _additional_items,
    "prefixItems": _prefix_items,
    "contains": _contains,
    "allOf": lambda check, value, parts, _schema: all(check.passes(value, part) for part in parts),
    "anyOf": lambda check, value, parts, _schema: any(check.passes(value, part) for part in parts),
    "oneOf": _one_of,
    "not": lambda check, value, schema, _schema: not check.passes(value, schema),
    "if": _if,
    "$ref": lambda check, value, reference, _schema: check.refers(value, reference),
}
