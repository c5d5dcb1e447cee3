"""Types from hints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from runtime import sag, skill
from runtime.errors import ConfigurationError, InvalidInput, InvalidOutput
from runtime.signature import Signature, is_loose, to_json


class Box(BaseModel):
    size: int
    label: str = "plain"


@dataclass
class Pair:
    left: int
    right: int


def takes_box(box: Box) -> Box: ...  # type: ignore[empty-body]  # only its hints are looked at
def takes_pair(pair: Pair) -> list[date]: ...  # type: ignore[empty-body]  # likewise
def takes_fields(name: str, times: int = 1) -> str: ...  # type: ignore[empty-body]  # likewise
def takes_one(n: int) -> int: ...  # type: ignore[empty-body]  # likewise
def takes_nothing() -> None: ...
def takes_anything(x): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  # an author may leave hints out


def signature(function: Any) -> Signature:
    return Signature(function, owner="it", skip=0)


@pytest.mark.parametrize(
    ("function", "given", "arguments"),
    [
        (takes_box, {"size": 1}, ((Box(size=1),), {})),
        (takes_box, Box(size=2), ((Box(size=2),), {})),
        (takes_pair, {"left": 1, "right": 2}, ((Pair(1, 2),), {})),
        (takes_fields, {"name": "a"}, ((), {"name": "a", "times": 1})),
        (takes_one, 3, ((), {"n": 3})),
        (takes_one, {"n": "3"}, ((), {"n": 3})),
        (takes_nothing, None, ((), {})),
        (takes_anything, [1, {"a": None}], (([1, {"a": None}],), {})),
    ],
)
def test_an_input_becomes_typed_arguments(function: Any, given: Any, arguments: Any) -> None:
    assert signature(function).arguments(given) == arguments


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (takes_box, {"bogus": 1}, "input of it: size: Field required"),
        (takes_fields, {"nam": "a"}, "name: Field required; nam: Extra inputs are not permitted"),
        (takes_one, "x", "n: Input should be a valid integer"),
        (takes_nothing, {"a": 1}, "a: Extra inputs are not permitted"),
        (takes_pair, {"left": 1}, "right: Field required"),
    ],
)
def test_a_wrong_input_names_every_wrong_field(function: Any, given: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        signature(function).arguments(given)


def test_a_call_becomes_an_input() -> None:
    both = signature(takes_fields)
    assert both.bind(("a",), {"times": 2}) == {"name": "a", "times": 2}
    assert signature(takes_box).bind((), {"size": 1}) == {"size": 1}
    with pytest.raises(InvalidInput, match=r"it takes \(name, times\)"):
        both.bind((1, 2, 3), {})
    with pytest.raises(InvalidInput, match=r"it takes \(name, times\)"):
        both.bind(("a",), {"name": "b"})


def test_an_output_is_both_the_type_and_json() -> None:
    value, data = signature(takes_pair).output(["2026-11-22"])
    assert (value, data) == ([date(2026, 11, 22)], ["2026-11-22"])
    assert signature(takes_pair).restore(data) == value
    with pytest.raises(InvalidOutput, match="output of it: 0: "):
        signature(takes_pair).output(["never"])


def test_what_is_no_json_is_refused() -> None:
    assert to_json({"box": Box(size=1), "when": date(2026, 1, 2)}) == {
        "box": {"size": 1, "label": "plain"},
        "when": "2026-01-02",
    }
    with pytest.raises(InvalidInput, match="not JSON"):
        to_json(object())


def test_schemas_come_from_the_hints() -> None:
    schema = signature(takes_fields).input_schema
    assert schema["required"] == ["name"]
    assert schema["properties"]["times"]["default"] == 1
    assert signature(takes_box).output_schema["properties"]["size"]["type"] == "integer"


def test_parameters_have_any_name_and_kind() -> None:
    def function(
        a: int, /, b: int, *rest: int, schema: int = 1, model_x: str = "m", _u: int = 3
    ) -> None: ...

    it = signature(function)
    given = {"a": 1, "b": 2, "schema": 4}
    assert it.arguments(given) == ((1,), {"b": 2, "schema": 4, "model_x": "m", "_u": 3})
    assert set(it.input_schema["properties"]) == {"a", "b", "schema", "model_x", "_u"}
    with pytest.raises(InvalidInput, match="input of it: _u: Input should be a valid integer"):
        it.arguments(given | {"_u": "x"})


def test_an_optional_or_annotated_structure_takes_the_whole_input() -> None:
    def maybe(box: Box | None = None) -> None: ...
    def noted(pair: Annotated[Pair, "both"]) -> None: ...
    def either(box: Box | int) -> None: ...
    def keyword(*, box: Box) -> None: ...

    assert signature(maybe).arguments({"size": 1}) == ((Box(size=1),), {})
    assert signature(maybe).arguments(None) == ((None,), {})
    assert signature(noted).arguments({"left": 1, "right": 2}) == ((Pair(1, 2),), {})
    assert signature(either).arguments(3) == ((3,), {})
    assert signature(keyword).arguments({"size": 1}) == ((), {"box": Box(size=1)})


def test_an_input_that_is_not_given_is_the_default() -> None:
    def greet(name="world"): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # an author may leave hints out
    def options(box: Box = Box(size=3)) -> None: ...  # noqa: B008  # what authors write

    assert signature(greet).arguments(None) == (("world",), {})
    assert signature(options).arguments(None) == ((Box(size=3),), {})


def test_a_structure_may_be_called_by_its_name_and_never_with_too_much() -> None:
    both = signature(takes_box)
    assert both.bind((), {"box": {"size": 1}}) == {"size": 1}
    assert signature(takes_nothing).bind((), {}) == {}
    for args, kwargs in ((1, 2), {}), ((1,), {"size": 2}):  # type: ignore[var-annotated]  # empty mapping
        with pytest.raises(InvalidInput, match=r"it takes \(box\)"):
            both.bind(args, kwargs)


def test_what_contains_itself_or_is_no_number_is_no_json() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="not JSON"):
        to_json(endless)
    with pytest.raises(InvalidOutput, match="is no JSON"):
        signature(takes_anything).output(endless)


@pytest.mark.parametrize("decorate", [sag, skill])
def test_a_function_that_yields_is_refused(decorate: Any) -> None:
    async def stream(ctx: Any) -> Any:
        yield ctx

    with pytest.raises(ConfigurationError, match="it yields, but an answer is returned"):
        decorate(stream)


def test_an_unknown_life_of_a_class_is_refused() -> None:
    class Kept:
        async def run(self, ctx: Any) -> None: ...

    with pytest.raises(ConfigurationError, match="per is delegation, run or process"):
        sag(per="session")(Kept)  # type: ignore[call-overload]  # that is the mistake


class Loose(BaseModel):
    """A model of which one field may be anything."""

    inner: Any
    day: date = date(2026, 1, 1)


ATOMS = st.none() | st.booleans() | st.integers() | st.text() | st.dates()
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
HINTS: list[Any] = [Any, object, list, tuple, dict, list[Any], dict[int, Any], Loose, list[Loose]]


@given(st.sampled_from(HINTS), VALUES)
def test_an_answer_is_the_same_at_once_as_from_the_journal(hint: Any, value: Any) -> None:
    wrap: dict[Any, Any] = {
        list: [value], tuple: (value,), dict: {1: value}, list[Any]: [value],
        dict[int, Any]: {1: value}, Loose: {"inner": value}, list[Loose]: [{"inner": value}],
    }  # fmt: skip

    def answers() -> Any: ...

    answers.__annotations__["return"] = hint
    both = signature(answers)
    live, data = both.output(wrap.get(hint, value))
    assert both.restore(json.loads(json.dumps(data))) == live


@pytest.mark.parametrize(
    ("hint", "loose"),
    [
        *((hint, True) for hint in HINTS),
        *((hint, False) for hint in (str, list[str], tuple[int, ...], dict[int, date], Box)),
        (Literal["Any"], False),
        (date | None, False),
        (dict[str, Any] | None, True),
    ],
)
def test_a_type_is_loose_where_a_part_of_it_may_be_anything(hint: Any, loose: bool) -> None:
    assert is_loose(hint) is loose
