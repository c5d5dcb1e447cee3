"""Strategies for JSON Schemas that can be satisfied, shared by the tests that need any schema."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["title", "year", "tags", "author", "note", "größe", "a.b", "x"])
PATTERNS = ("^[a-z]{2,5}$", r"^\d{3}-\d{4}$", "^(red|green|blue)-[A-F0-9]{6}$", "[xyz]+", r"^v\d+")
FORMATS = ("date", "date-time", "time", "uuid", "email", "uri", "ipv4", "ipv6", "hostname")
LINK = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/link"}, {"type": "null"}]},
        "more": {"type": "array", "items": {"$ref": "#/$defs/link"}},
    },
    "required": ["value", "next"],
}


@st.composite
def _numbers(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind}
    low = draw(st.integers(-1_000, 1_000))
    width = draw(st.integers(2, 500))
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + width
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, 2, 0.5, 0.1] if width > 8 else [1]))
    return schema


@st.composite
def _strings(draw: st.DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    kind = draw(st.sampled_from(["length", "pattern", "format"]))
    if kind == "length":
        schema["minLength"] = draw(st.integers(0, 60))
        schema["maxLength"] = schema["minLength"] + draw(st.integers(0, 40))
    else:
        schema[kind] = draw(st.sampled_from(PATTERNS if kind == "pattern" else FORMATS))
    return schema


SCALARS = st.one_of(
    st.just(True),
    st.just({}),
    _numbers("integer"),
    _numbers("number"),
    _strings(),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": ["string", "null"]}),
    st.builds(lambda value: {"const": value}, st.sampled_from([1, "a", None, True, [1, 2]])),
    st.builds(
        lambda values: {"enum": values},
        st.lists(st.sampled_from(["a", "b", 1, 2.5, None, False]), min_size=1, unique_by=repr),
    ),
)


@st.composite
def _arrays(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "minItems": draw(st.integers(0, 4))}
    if draw(st.booleans()):
        schema["maxItems"] = schema["minItems"] + draw(st.integers(0, 3))
    if draw(st.booleans()):
        schema["prefixItems"] = draw(st.lists(items, min_size=1, max_size=2))
    return schema | {"items": draw(items)}


@st.composite
def _objects(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> dict[str, Any]:
    properties = draw(st.dictionaries(NAMES, items, max_size=4))
    names = sorted(properties)
    required = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    rest = draw(st.sampled_from(["open", "closed", "typed"]))
    if rest != "open":
        schema["additionalProperties"] = False if rest == "closed" else draw(items)
    if rest != "closed" and draw(st.booleans()):
        schema["minProperties"] = len(properties) + draw(st.integers(0, 2))
    return schema


def _tagged(kind: int, part: Any) -> dict[str, Any]:
    properties = {"kind": {"const": kind}, "value": part}
    return {"type": "object", "properties": properties, "required": ["kind"]}


def _choices(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda parts: {"anyOf": parts}, st.lists(items, min_size=1, max_size=3)),
        st.builds(lambda one, two: {"oneOf": [_tagged(1, one), _tagged(2, two)]}, items, items),
        st.builds(lambda part: {"allOf": [part, {"description": "once more"}, part]}, items),
        st.builds(
            lambda part: {
                "type": "object",
                "properties": {"value": part, "next": {"$ref": "#/$defs/link"}},
            },
            items,
        ),
    )


def json_schemas() -> st.SearchStrategy[Any]:
    """Return schemas of every kind that an answer is likely to be asked for in."""
    grown = st.recursive(
        SCALARS,
        lambda items: st.one_of(_arrays(items), _objects(items), _choices(items)),
        max_leaves=12,
    )
    return grown.map(lambda schema: {"allOf": [schema], "$defs": {"link": LINK}})


def json_values() -> st.SearchStrategy[Any]:
    """Return small JSON values, with the property names that the schemas use."""
    return st.recursive(
        st.none() | st.booleans() | st.integers(-5, 1200) | st.floats(-5, 5) | st.text(max_size=5),
        lambda items: (
            st.lists(items, max_size=4)
            | st.dictionaries(NAMES | st.text(max_size=3), items, max_size=4)
        ),
        max_leaves=8,
    )
