"""Types written in YAML become exact pydantic models."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from runtime.catalog import FieldEntry, fields_to_model
from runtime.catalog.fields import TYPES, FieldType

VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    "str": st.text(max_size=5),
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "list[str]": st.lists(st.text(max_size=5), max_size=3),
    "list[int]": st.lists(st.integers(), max_size=3),
    "list[float]": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    "list[bool]": st.lists(st.booleans(), max_size=3),
    "dict": st.dictionaries(st.text(max_size=5), st.none() | st.integers(), max_size=3),
}
NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,8}\Z").filter(
    lambda name: not hasattr(BaseModel, name)
)


@st.composite
def fields_and_values(draw: st.DrawFn) -> tuple[dict[str, FieldEntry], dict[str, Any]]:
    """Return fields, some with a default, and a value for each that has none."""
    fields, values = {}, {}
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        kind = draw(st.sampled_from(list(VALUES)))
        value = draw(VALUES[kind])
        if draw(st.booleans()):
            fields[name] = FieldEntry(type=kind, default=value)
        else:
            fields[name], values[name] = FieldEntry(type=kind), value
    return fields, values


def test_every_type_has_a_python_type() -> None:
    assert set(TYPES) == set(get_args(FieldType)) == set(VALUES)


@given(fields_and_values())
def test_any_fields_make_a_model_that_takes_their_values_and_fills_their_defaults(
    case: tuple[dict[str, FieldEntry], dict[str, Any]],
) -> None:
    fields, values = case
    model = fields_to_model("Anything", fields)
    dumped = model.model_validate(values).model_dump()
    defaults = {name: field.default for name, field in fields.items() if field.optional}
    assert dumped == {**defaults, **values}
    written = model.model_validate(values).model_dump_json()
    assert model.model_validate_json(written).model_dump() == dumped


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("str", 1),
        ("int", "1"),
        ("int", True),
        ("int", 1.0),
        ("float", "1"),
        ("float", float("nan")),
        ("bool", 1),
        ("bool", "yes"),
        ("list[str]", "ab"),
        ("list[int]", [1, "2"]),
        ("list[float]", [float("inf")]),
        ("dict", [("a", 1)]),
        ("dict", {1: 2}),
        ("str", None),
    ],
)
def test_a_model_does_not_guess(kind: FieldType, value: Any) -> None:
    model = fields_to_model("Exact", {"x": FieldEntry(type=kind)})
    with pytest.raises(ValidationError):
        model.model_validate({"x": value})
    with pytest.raises(ValidationError, match=f"must be of the type {kind}".replace("[", r"\[")):
        FieldEntry(type=kind, default=value)


def test_unknown_and_missing_fields_are_refused() -> None:
    model = fields_to_model("Exact", {"x": FieldEntry(type="int")})
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({"x": 1, "y": 2})
    with pytest.raises(ValidationError, match="Field required"):
        model.model_validate({})


def test_a_default_of_one_value_is_not_shared_between_two() -> None:
    model: Any = fields_to_model("Fresh", {"x": FieldEntry(type="list[int]", default=[1])})
    model().x.append(2)
    assert model().x == [1]


def test_the_schema_says_what_a_model_must_fill() -> None:
    fields = {
        "summary": FieldEntry(type="str", description="Two sentences."),
        "count": FieldEntry(type="int", default=3),
    }
    schema = fields_to_model("Answer", fields).model_json_schema()
    assert schema["title"] == "Answer"
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["summary"]
    assert schema["properties"]["summary"]["description"] == "Two sentences."
    assert schema["properties"]["count"]["default"] == 3
