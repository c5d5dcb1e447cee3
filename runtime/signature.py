"""Types from hints: what a function wants, what it answers, and JSON in between.

Hints are read once, when an agent or skill is defined. A function with one structured parameter
(a pydantic model, a dataclass, a mapping, a list) takes the whole input as that parameter; any
other takes an object with a field per parameter, as ``def hello(ctx, name: str = "world")`` does.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError
from typing_extensions import TypedDict

from runtime.errors import ConfigurationError, InvalidInput, InvalidOutput

if TYPE_CHECKING:
    from collections.abc import Callable

NO_SILENT_NULLS = ConfigDict(ser_json_inf_nan="constants")  # NaN is no JSON, so it is refused
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any, config=NO_SILENT_NULLS)
FIELDS = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
SCALARS = frozenset((type(None), str, int, float, bool))  # JSON as they are
BARE = (dict, list, tuple, set, frozenset, Mapping, Sequence, Iterable)
STRUCTURED_ORIGINS = (dict, list, tuple, set, frozenset, Mapping)


class Signature:
    """What one function takes and gives, as validators.

    Attributes:
        parameters: the parameters that come from the input, without a leading context.
        input_schema: the JSON Schema of the input.
        output_schema: the JSON Schema of the output.
    """

    __slots__ = (
        "_by_position", "_fields", "_input", "_is_loose", "_output", "_owner", "_validate",
        "parameters",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        owner: str,
        skip: int,
        local_names: Mapping[str, Any] | None = None,
    ) -> None:
        """Read the hints of ``function``, leaving out its first ``skip`` parameters.

        Raises:
            ConfigurationError: a hint cannot be resolved, or is no type; the message says where.
        """
        self._owner = owner
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        hints = _hints(function, [p.name for p in parameters], owner, local_names or {})
        self.parameters = tuple(
            p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        )
        try:
            self._fields = not self._takes_whole_input(hints)
            self._by_position = tuple(p.name for p in self.parameters if not self._goes_by_name(p))
            self._input = self._input_adapter(hints, function.__name__)
            self._validate = self._input.validator.validate_python
            answer = hints.get("return", Any)
            self._output: TypeAdapter[Any] = _output_adapter(answer)
            self._is_loose = is_loose(answer)
        except (PydanticUserError, TypeError) as error:
            raise ConfigurationError(f"{owner} ({_where(function)}): {error}") from error

    def _takes_whole_input(self, hints: Mapping[str, Any]) -> bool:
        if len(self.parameters) != 1:
            return False
        return _is_structured(hints.get(self.parameters[0].name, Any))

    def _goes_by_name(self, parameter: Parameter) -> bool:
        """Whether a parameter gets its argument by name; those that do not come before."""
        if parameter.kind is parameter.KEYWORD_ONLY:
            return True
        return self._fields and parameter.kind is not parameter.POSITIONAL_ONLY

    def _input_adapter(self, hints: Mapping[str, Any], name: str) -> TypeAdapter[Any]:
        if not self._fields:
            return TypeAdapter(hints.get(self.parameters[0].name, Any))
        fields = {p.name: _field(p, hints.get(p.name, Any)) for p in self.parameters}
        # No model: it would keep some names for itself, and costs twice as much at each input.
        taken = TypedDict(f"{name}_input", fields)  # type: ignore[misc]  # not a literal
        return TypeAdapter(with_config(FIELDS)(taken))

    @property
    def input_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the input."""
        return self._input.json_schema()

    @property
    def output_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the output."""
        return self._output.json_schema()

    def without(self, value: Any, names: Iterable[str]) -> Any:
        """Return an input without some of its keys, where they would be refused as unknown."""
        if not isinstance(value, Mapping) or not any(name in value for name in names):
            return value
        schema = self.input_schema
        if schema.get("additionalProperties", True) is not False:
            return value
        foreign = {name for name in names if name not in schema.get("properties", {})}
        return {name: each for name, each in value.items() if name not in foreign}

    def arguments(self, value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the validated arguments for an input.

        Raises:
            InvalidInput: the input has another type; the message names every wrong field.
        """
        try:
            checked = self._validate(self._as_fields(value))
        except ValidationError as error:
            raise InvalidInput(f"input of {self._owner}: {explain(error)}") from error
        kwargs = checked if self._fields else {self.parameters[0].name: checked}
        if not self._by_position:
            return (), kwargs
        return tuple(kwargs.pop(name) for name in self._by_position), kwargs

    def named(self, value: Any) -> dict[str, Any]:
        """Return the validated arguments for an input by their names, as JSON data.

        Of a function that takes its whole input in one parameter, the input's fields are named.

        Raises:
            InvalidInput: the input has another type; the message names every wrong field.
        """
        args, kwargs = self.arguments(value)
        given = dict(zip((p.name for p in self.parameters), args, strict=False)) | kwargs
        data: dict[str, Any] = to_json(given)
        (only,) = data.values() if len(data) == 1 else (None,)
        return data | only if not self._fields and isinstance(only, dict) else data

    def _as_fields(self, value: Any) -> Any:
        if not self._fields:
            default = self.parameters[0].default
            return default if value is None and default is not Parameter.empty else value
        if value is None:
            return {}
        if len(self.parameters) != 1 or _is_mapping(value):
            return value
        return {self.parameters[0].name: value}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return the input that a call with ``args`` and ``kwargs`` means.

        Raises:
            InvalidInput: too many arguments, or one given twice.
        """
        names = [p.name for p in self.parameters]
        if len(args) > len(names) or set(names[: len(args)]) & set(kwargs):
            raise InvalidInput(f"{self._owner} takes ({', '.join(names)})")
        if not self._fields:
            if args and kwargs:
                raise InvalidInput(f"{self._owner} takes ({', '.join(names)})")
            if args or kwargs.keys() == set(names):
                return args[0] if args else kwargs[names[0]]
            return dict(kwargs) or None
        return dict(zip(names, args, strict=False)) | dict(kwargs)

    def output(self, value: Any) -> tuple[Any, Any]:
        """Return the answer as the declared type and as JSON data.

        What no hint speaks of is JSON data in the typed answer, too, as it will be when a run that
        was interrupted gets it from the journal: who relies on it sees no difference.

        Raises:
            InvalidOutput: the answer has another type, or is no JSON.
        """
        try:
            checked = self._output.validator.validate_python(value)
            if type(checked) in SCALARS:
                return checked, checked
            data = self._output.dump_python(checked, mode="json")
            return (self.restore(data) if self._is_loose else checked), data
        except ValidationError as error:
            raise InvalidOutput(f"output of {self._owner}: {explain(error)}") from error
        except (PydanticSerializationError, ValueError) as error:
            raise InvalidOutput(f"output of {self._owner} is no JSON: {error}") from error

    def restore(self, data: Any) -> Any:
        """Return JSON data that ``output`` made as the declared type."""
        return self._output.validate_python(data)


def to_json(value: Any) -> Any:
    """Return a value as JSON data: models, dataclasses, dates and the like are dumped.

    Raises:
        InvalidInput: it cannot be.
    """
    if type(value) in SCALARS:
        return value
    try:
        return ANYTHING.dump_python(value, mode="json")
    except (ValueError, RecursionError) as error:  # also what contains itself
        raise InvalidInput(f"not JSON: {error}") from error


def explain(error: ValidationError) -> str:
    """Return a validation error as one line that names each field."""
    faults = [
        f"{'.'.join(str(part) for part in fault['loc']) or 'value'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return "; ".join(faults)


def _hints(
    function: Callable[..., Any], names: list[str], owner: str, local_names: Mapping[str, Any]
) -> dict[str, Any]:
    """Resolve the hints of the named parameters and of the return; others may be unresolvable."""
    annotations = inspect.get_annotations(function)
    wanted = {name: annotations[name] for name in (*names, "return") if name in annotations}
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(
            SimpleNamespace(__annotations__=wanted), namespace, dict(local_names), True
        )
    except (NameError, TypeError, SyntaxError) as error:
        raise ConfigurationError(
            f"{owner} ({_where(function)}): a type hint cannot be read: {error};"
            " import its name at run time, not only under TYPE_CHECKING"
        ) from error


def _where(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)


def _output_adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=NO_SILENT_NULLS)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(hint)  # it brings a configuration of its own


def _field(parameter: Parameter, hint: Any) -> Any:
    """Return the type of the field that a parameter is, by its own name."""
    if parameter.default is Parameter.empty:
        return Annotated[hint, Field(alias=parameter.name)]
    return NotRequired[Annotated[hint, Field(default=parameter.default, alias=parameter.name)]]


def _is_structured(hint: Any) -> bool:
    """Whether a parameter of that type takes the whole input; an optional one does, too."""
    if hint is Any or hint is object:
        return True
    origin = typing.get_origin(hint) or hint
    if origin is Annotated:
        return _is_structured(typing.get_args(hint)[0])
    if origin in (typing.Union, UnionType):
        return any(_is_structured(each) for each in typing.get_args(hint))
    if not isinstance(origin, type):
        return False
    return (
        issubclass(origin, (BaseModel, *STRUCTURED_ORIGINS))
        or dataclasses.is_dataclass(origin)
        or typing.is_typeddict(origin)
    )


def is_loose(hint: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a type says nothing of a part of its values, so that JSON brings back another one."""
    if hint in (Any, object, *BARE) or isinstance(hint, TypeVar):
        return True
    if isinstance(hint, type) and hint not in seen:
        parts = _parts_of(hint)
        return any(is_loose(part, seen | {hint}) for part in parts)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    return origin is not Literal and any(is_loose(each, seen) for each in args if each is not ...)


def _parts_of(cls: type) -> list[Any]:
    """Return the types of the fields of a class."""
    if issubclass(cls, BaseModel):
        return [field.annotation for field in cls.model_fields.values()]
    if dataclasses.is_dataclass(cls) or typing.is_typeddict(cls):
        return list(inspect.get_annotations(cls).values())
    return []


def _is_mapping(value: Any) -> bool:
    kind = type(value)
    if kind is dict or kind in SCALARS:
        return kind is dict
    return isinstance(value, Mapping | BaseModel) or dataclasses.is_dataclass(value)
