"""What a prompt-only agent takes and gives: types written in YAML, made into pydantic models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from runtime.catalog.faults import shown, suggestion
from runtime.catalog.values import Entry, Given, Identifier, Text, refusal

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

FieldType: TypeAlias = Literal[
    "str", "int", "float", "bool", "list[str]", "list[int]", "list[float]", "list[bool]", "dict"
]
TYPES: Mapping[FieldType, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list[str]": list[str],
    "list[int]": list[int],
    "list[float]": list[float],
    "list[bool]": list[bool],
    "dict": dict[str, Any],
}
_MOST_PROBLEMS = 20  # of one prompt; a long one could name a hundred thousand unknown fields
_EXACT = ConfigDict(
    extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=()
)
_TAKEN = sorted(name for name in dir(BaseModel) if not name.startswith("_"))


@cache
def _adapter(kind: FieldType) -> TypeAdapter[Any]:
    return TypeAdapter(TYPES[kind], config=ConfigDict(strict=True, allow_inf_nan=False))


_DEFAULT_FITS = [  # for editors: the default is of the type that stands beside it
    {
        "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
        "then": {"properties": {"default": schema}},
    }
    for kind, schema in {
        "str": {"type": "string"},
        "int": {"type": "integer"},
        "float": {"type": "number"},
        "bool": {"type": "boolean"},
        "list[str]": {"type": "array", "items": {"type": "string"}},
        "list[int]": {"type": "array", "items": {"type": "integer"}},
        "list[float]": {"type": "array", "items": {"type": "number"}},
        "list[bool]": {"type": "array", "items": {"type": "boolean"}},
        "dict": {"type": "object"},
    }.items()
]


class FieldEntry(Entry, json_schema_extra={"allOf": _DEFAULT_FITS}):
    """One field of a prompt-only agent's input or output.

    Attributes:
        type: its type; ``dict`` has keys of text and any JSON values.
        description: what it means, for the model that fills it.
        default: the value when none is given; None also when the field has no default.
    """

    type: FieldType
    description: Given[Text] = None
    default: Any = None

    @field_validator("default")
    @classmethod
    def _fits(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type")
        if kind is None:  # the type is refused already
            return value
        try:
            return _adapter(kind).validate_python(value)
        except ValidationError:
            raise refusal(f"must be of the type {kind}", "change one of the two") from None

    @property
    def optional(self) -> bool:
        """Whether the field has a default."""
        return "default" in self.model_fields_set


def _long_form(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _free(name: str) -> str:
    if name in _TAKEN:
        raise refusal("is a name that every pydantic model has already", f"write {name}_ instead")
    return name


class _OrItsType:
    """Tells editors that a field's type alone will do."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"enum": list(TYPES)}, handler(schema)]}


FieldName: TypeAlias = Annotated[
    Identifier, AfterValidator(_free), Field(json_schema_extra={"not": {"enum": _TAKEN}})
]
FieldSpec: TypeAlias = Annotated[FieldEntry, BeforeValidator(_long_form), _OrItsType()]
Fields: TypeAlias = Annotated[Mapping[FieldName, FieldSpec], Field(max_length=100)]
"""Names and types, e.g. ``{question: str, limit: {type: int, default: 3}}``."""


def fields_to_model(name: str, fields: Mapping[str, FieldEntry]) -> type[BaseModel]:
    """Return a pydantic model of these fields.

    It is exact: unknown fields, other types and numbers that are not finite are refused.

    Args:
        name: the model's name, also the title of its JSON Schema.
        fields: the fields, by name, in the order in which they shall be asked for.
    """
    definitions: dict[str, Any] = {
        field: (
            TYPES[entry.type],
            Field(entry.default if entry.optional else ..., description=entry.description),
        )
        for field, entry in fields.items()
    }
    return create_model(name, __config__=_EXACT, **definitions)


def placeholder_problems(prompt: str, names: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a prompt's ``{placeholders}``, and what to do about it.

    Args:
        prompt: the prompt, in the syntax of ``str.format``.
        names: the fields that it may name.
    """
    try:
        parts = list(Formatter().parse(prompt))
    except ValueError as error:
        yield f"the braces do not match: {error}", "write {{ and }} for braces that are text"
        return
    used = {
        (name, bool(shape or conversion))
        for _, name, shape, conversion in parts
        if name is not None
    }
    wrong = ((name, shaped) for name, shaped in sorted(used) if shaped or name not in names)
    for name, shaped in islice(wrong, _MOST_PROBLEMS):
        yield _placeholder_problem(name, names, shaped=shaped)


def _placeholder_problem(name: str, names: Mapping[str, Any], *, shaped: bool) -> tuple[str, str]:
    if shaped:
        what = f"the placeholder {shown(name)} has a format or conversion"
        return what, "name the field only; write {{ and }} for braces that are text"
    if re.search(r"[.\[]", name):
        what = f"the placeholder {shown(name)} looks inside a value"
        return what, "name an input field only, and pass the part as a field of its own"
    return f"no input field is called {shown(name)}", suggestion(name, names, kind="input fields")
