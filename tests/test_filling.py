"""Filling a schema: whatever it is, the value satisfies it, or the error says why there is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from providers.filling import Unfillable, conforms, fill
from tests.json_schemas import json_schemas, json_values

FORMAT_CHECKER = Draft202012Validator.FORMAT_CHECKER


def agrees(value: Any, schema: Any) -> bool:
    """Return whether our check says what a validator says, which knows few formats."""
    ours, theirs = conforms(value, schema), Draft202012Validator(schema).is_valid(value)
    return ours == theirs or (theirs and "'format'" in repr(schema))


@settings(max_examples=300, deadline=None)
@given(schema=json_schemas(), prompt=st.text(max_size=30))
def test_a_value_is_filled_that_satisfies_any_schema(schema: Any, prompt: str) -> None:
    value = fill(schema, prompt).value
    Draft202012Validator(schema, format_checker=FORMAT_CHECKER).validate(value)


@settings(max_examples=300, deadline=None)
@given(schema=json_schemas(), value=json_values())
def test_our_check_agrees_with_a_validator_on_any_value(schema: Any, value: Any) -> None:
    assert agrees(value, schema)


@settings(max_examples=200, deadline=None)
@given(schema=json_schemas(), other=json_schemas())
def test_our_check_agrees_with_a_validator_on_what_suits_another_schema(
    schema: Any, other: Any
) -> None:
    value = fill(other, "seed").value
    assert agrees(value, schema)


@settings(max_examples=50, deadline=None)
@given(schema=json_schemas(), prompt=st.text(max_size=30))
def test_the_same_prompt_gets_the_same_value(schema: Any, prompt: str) -> None:
    assert fill(schema, prompt) == fill(schema, prompt)


def test_different_prompts_get_different_values() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"format": "uuid"}}}
    values = [fill(schema, f"prompt {number}").value for number in range(20)]
    assert len({str(value) for value in values}) == 20


NODE = {
    "type": "object",
    "properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}},
    "required": ["left", "right"],
}
LEAF = {
    "type": "object",
    "properties": {"leaf": {"type": "string"}},
    "required": ["leaf"],
    "additionalProperties": False,
}
EITHER = {"anyOf": [{"$ref": "#/$defs/node"}, {"$ref": "#/$defs/leaf"}]}
BINARY = {**NODE, "properties": {"left": EITHER, "right": EITHER}}
CARD = {
    "type": "object",
    "properties": {"card": {"type": "string"}, "name": {"type": "string"}},
    "required": ["card"],
    "dependentRequired": {"card": ["address"]},
    "dependentSchemas": {
        "card": {"properties": {"cvv": {"pattern": r"^\d{3}$"}}, "required": ["cvv"]}
    },
}
HARD: dict[str, Any] = {
    "a recursive object": {"$defs": {"node": BINARY, "leaf": LEAF}, "$ref": "#/$defs/node"},
    "recursion from the root": {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["children"],
    },
    "a branch that never ends": {
        "$defs": {"node": NODE},
        "anyOf": [{"$ref": "#/$defs/node"}, {"type": "integer"}],
    },
    "thirty levels": None,
    "an anchor": {"$defs": {"x": {"$anchor": "here", "type": "string"}}, "$ref": "#here"},
    "a pointer with escapes": {"$defs": {"a/b%c": {"const": 1}}, "$ref": "#/$defs/a~1b%25c"},
    "not a type": {"not": {"type": ["string", "integer"]}},
    "not some values": {"type": "integer", "minimum": 1, "maximum": 3, "not": {"enum": [1, 2]}},
    "not a property": {"type": "object", "properties": {"a": {}}, "not": {"required": ["a"]}},
    "all different": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 5},
        "uniqueItems": True,
        "minItems": 5,
    },
    "all different texts": {
        "type": "array",
        "items": {"type": "string"},
        "uniqueItems": True,
        "minItems": 40,
    },
    "contains no zero": {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 2},
        "minItems": 2,
        "not": {"contains": {"const": 0}},
    },
    "nothing in it": {"type": "array", "not": {"minItems": 1}},
    "contains exactly two": {
        "type": "array",
        "items": {"type": "integer"},
        "contains": {"const": 77},
        "minContains": 2,
        "maxContains": 2,
    },
    "a tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"const": 2}], "items": False},
    "cents": {"type": "number", "multipleOf": 0.01, "minimum": 19.9, "maximum": 20},
    "common multiples": {
        "type": "integer",
        "allOf": [{"multipleOf": 4}, {"multipleOf": 6}],
        "minimum": 13,
    },
    "a tight range": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-9},
    "a large number": {"type": "integer", "minimum": 10**30},
    "an integer between halves": {"type": "integer", "minimum": 0.5, "maximum": 1.5},
    "a mapping": {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "minProperties": 3,
    },
    "names by pattern": {
        "type": "object",
        "patternProperties": {"^x-[a-z]+$": {"type": "number"}},
        "additionalProperties": False,
        "minProperties": 3,
    },
    "names by rule": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z]{3}$"},
        "minProperties": 2,
    },
    "then": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "x": {"type": "integer"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["x"]},
        "else": {"not": {"required": ["x"]}},
    },
    "dependents": CARD,
    "two closed parts": {
        "allOf": [
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "additionalProperties": False,
            },
            {"properties": {"b": {"type": "string"}}},
        ]
    },
    "nothing unevaluated": {
        "type": "object",
        "allOf": [{"properties": {"a": {"type": "integer"}}}],
        "properties": {"b": {"type": "string"}},
        "unevaluatedProperties": False,
    },
    "exactly one of two": {
        "type": "object",
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    },
    "overlapping branches": {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 2}]},
    "an enum with a type": {"type": "integer", "enum": ["a", 3, "b"]},
    "a long word": {"type": "string", "pattern": "^[a-z]+$", "minLength": 20, "maxLength": 22},
    "a pattern and a format": {"type": "string", "format": "date", "pattern": "^2"},
    "a foreign script": {"type": "string", "pattern": "^[\\u4e00-\\u9fff]{3}$"},
    "escapes": {"type": "string", "pattern": r"^\(\d+\)\s\w{2}\.[^a-z]?$"},
    "the empty text": {"type": "string", "maxLength": 0},
    "anything": True,
    "nothing said": {},
}
for _ in range(30):
    HARD["thirty levels"] = {
        "type": "object", "properties": {"n": HARD["thirty levels"] or {}}, "required": ["n"]
    }  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_a_hard_schema_is_filled(name: str) -> None:
    for seed in range(10):
        value = fill(HARD[name], f"prompt {seed}").value
        Draft202012Validator(HARD[name], format_checker=FORMAT_CHECKER).validate(value)


KEYWORD_SCHEMAS: list[Any] = [
    {"type": ["integer", "null"]},
    {"enum": [1, "1", None, [1], {"a": 1}]},
    {"const": {"a": [1.0]}},
    {"const": False},
    {"multipleOf": 0.1},
    {"multipleOf": 3},
    {"exclusiveMinimum": 1, "maximum": 3},
    {"minLength": 2, "maxLength": 3},
    {"pattern": "^a.b$"},
    {"uniqueItems": True},
    {"contains": {"type": "integer"}, "minContains": 2, "maxContains": 3},
    {"contains": {"const": 1}, "minContains": 0},
    {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
    {"items": False},
    {"required": ["a"], "maxProperties": 1},
    {"minProperties": 2},
    {"properties": {"a": False}},
    {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    {"propertyNames": {"maxLength": 1}},
    {"dependentRequired": {"a": ["b"]}},
    {"dependentSchemas": {"a": {"required": ["b"], "properties": {"b": {"type": "integer"}}}}},
    {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"minProperties": 1}},
    {"if": {"type": "integer"}, "else": {"type": "string"}},
    {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
    {"not": {"anyOf": [{"type": "string"}, {"required": ["a"]}]}},
    {"unevaluatedProperties": False},
    {"properties": {"a": True}, "unevaluatedProperties": {"type": "string"}},
    {
        "anyOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": True}}],
        "unevaluatedProperties": False,
    },
    {
        "if": {"required": ["a"], "properties": {"a": True}},
        "then": {"properties": {"b": True}},
        "else": {"patternProperties": {"^b": True}},
        "unevaluatedProperties": False,
    },
    {
        "$defs": {"x": {"properties": {"a": True}, "additionalProperties": {"type": "integer"}}},
        "$ref": "#/$defs/x",
        "unevaluatedProperties": False,
    },
    {"dependentSchemas": {"a": {"properties": {"a": True}}}, "unevaluatedProperties": False},
    {
        "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}, "type": "array"}},
        "$ref": "#/$defs/tree",
    },
]
KEYWORD_VALUES: list[Any] = [
    None, True, False, 0, 1, 1.0, 2, 3, 0.3, 0.25, 6, -1, "", "a", "1", "ab", "a.b", "axb", "abcd",
    [], [1], [1, 1], [1, "a"], [1, 1, 1, 1], [1, 2, 3], [True, 1], [[1], [1.0]], [[], [[]]], ["a"],
    {}, {"a": 1}, {"b": 1}, {"a": "x"}, {"a": 1, "b": 2}, {"a": 1, "b": "x"}, {"a": [1]},
    {"ab": 1}, {"c": "x"}, {"a": 1, "c": 3}, {"a": 1, "b": 2, "c": "x"},
]  # fmt: skip


@pytest.mark.parametrize("schema", KEYWORD_SCHEMAS, ids=str)
def test_our_check_agrees_with_a_validator_keyword_by_keyword(schema: Any) -> None:
    for value in KEYWORD_VALUES:
        assert agrees(value, schema), value


def test_a_reference_to_itself_satisfies_nothing_and_ends() -> None:
    assert not conforms(1, {"$ref": "#"})
    circle = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]}}}
    assert conforms(1, circle | {"$ref": "#/$defs/a"})
    assert not conforms("x", circle | {"$ref": "#/$defs/a"})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", ["2024-02-29"], ["2023-02-29", "20240229", "2024-1-1"]),
        ("date-time", ["2024-01-01T00:00:00Z", "2024-01-01t10:00:00.5+02:00"], ["2024-01-01", ""]),
        ("time", ["10:00:00Z"], ["10:00", "25h"]),
        ("duration", ["P1D", "PT5M"], ["P", "5M"]),
        ("uuid", ["12345678-1234-4234-8234-123456789abc"], ["12345"]),
        ("email", ["a@b.c"], ["a@b", "a b@c.d"]),
        ("ipv4", ["127.0.0.1"], ["127.0.0.256"]),
        ("ipv6", ["::1"], ["::g"]),
        ("hostname", ["a-b.example"], ["-a.b", "a_b"]),
        ("uri", ["https://a.b/c?d=e#f", "urn:x:y"], ["/a", "no uri"]),
        ("json-pointer", ["", "/a~1b"], ["a", "/~2"]),
        ("regex", ["^a$"], ["("]),
        ("of-my-own", ["anything"], []),
    ],
)
def test_a_format_is_checked(name: str, good: list[str], bad: list[str]) -> None:
    schema = {"type": "string", "format": name}
    assert all(conforms(text, schema) for text in (*good, fill(schema, "x").value))
    assert not any(conforms(text, schema) for text in bad)


def test_the_older_spellings_are_understood() -> None:
    pair = {"type": "array", "items": [{"const": 1}, {"const": 2}], "additionalItems": False}
    schema = {"definitions": {"pair": pair}, "$ref": "#/definitions/pair"}
    value = fill(schema, "x").value
    assert value == [1, 2]
    assert Draft7Validator(schema).is_valid(value)
    needs = {"properties": {"b": {"const": 5}}, "required": ["b"]}
    dependent = {"type": "object", "required": ["a", "c"], "dependencies": {"a": ["d"], "c": needs}}
    assert fill(dependent, "x").value.keys() == {"a", "b", "c", "d"}
    assert fill(dependent, "x").value["b"] == 5
    assert not conforms({"a": 1, "c": 1, "b": 5}, dependent)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (False, r"^\$: nothing satisfies the schema$"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, r"^\$: nothing satisfies"),
        ({"const": 3, "type": "string"}, r"^\$: nothing satisfies"),
        (
            {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3},
            r"^\$\[2\]: nothing satisfies",
        ),
        (
            {"$defs": {"node": NODE}, "$ref": "#/$defs/node"},
            r"^\$\.left\.left.*\.\.\.: nested deeper",
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "required": ["a"]},
            r"^\$\.a: \$ref '#/x' points to nothing",
        ),
        ({"$ref": "https://example.com/x.json"}, "is not in this schema"),
        ({"type": "string", "pattern": "^(?=.*[A-Z])x+$"}, r"not understood at '\(\?="),
        ({"type": "string", "pattern": r"^\p{L}+$"}, "not understood: bad escape"),
        ({"type": "string", "pattern": r"^(a)\1$"}, "not understood at"),
        ({"type": "string", "pattern": "(a"}, "unbalanced"),
        ({"type": "string", "pattern": "(a{9999}){9999}"}, "more than 100000 characters"),
        ({"type": "string", "minLength": 10**9}, "above 100000"),
        ({"type": "array", "minItems": 10**9}, "more than the 1000"),
        ({"type": "object", "minProperties": 10**9}, "more properties than the 1000"),
        ({"type": "array", "unevaluatedItems": False}, "unevaluatedItems is not understood"),
        ({"type": "strng"}, r"\$\.type is the name of a JSON type.*not 'strng'"),
        ({"properties": {"a": 5}}, r"the schema's \$\.properties\.a is an object or a boolean"),
        ({"required": "a"}, r"\$\.required is a list of names"),
        ({"multipleOf": 0}, "a number above 0"),
        ("text", "is an object or a boolean, not 'text'"),
    ],
)
def test_a_schema_that_cannot_be_filled_is_refused_with_place_and_reason(
    schema: Any, said: str
) -> None:
    with pytest.raises(Unfillable, match=said):
        fill(schema, "x")


def test_a_schema_that_would_take_for_ever_is_given_up() -> None:
    several = {"anyOf": [{"minLength": number} for number in range(8)]}
    hopeless: Any = {"allOf": [several, several, several], "type": "string", "not": {}}
    for _ in range(6):
        hopeless = {
            "anyOf": [
                {"type": "object", "properties": {name: hopeless}, "required": [name]}
                for name in "abcdefgh"
            ]
        }
    with pytest.raises(Unfillable, match="gave up after 50000 steps"):
        fill(hopeless, "x")


def test_a_schema_nested_without_end_is_refused_and_does_not_overflow() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5_000):
        schema = {"anyOf": [schema]}
    with pytest.raises(Unfillable, match="nested deeper than 100 levels"):
        fill(schema, "x")


def test_a_pattern_that_is_not_understood_may_still_have_an_example() -> None:
    schema = {"type": "string", "pattern": "^(?=.*[A-Z])x+[A-Z]$", "examples": ["no", "xxA"]}
    assert fill(schema, "x").value == "xxA"


def test_what_was_invented_is_named_by_its_place() -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"const": "a"},
            "list": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        },
    }
    assert fill(schema, "x").invented == ("$.list[0]", "$.list[1]")
