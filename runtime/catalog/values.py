"""The types that several entries share: names, lists, amounts of money, and values not given."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

T = TypeVar("T")

LONGEST_NAME = 100  # characters
LONGEST_WAIT_S = 366 * 86_400
_NANO = Decimal("1e-9")
_AMOUNT = r"[0-9]{1,9}(\.[0-9]{1,9})?"
_AMOUNT_LIMIT = Decimal(10**9)  # US dollars; below it nano-dollars fit into 64 bits


class Entry(BaseModel, extra="forbid", strict=True, frozen=True, defer_build=True):
    """What entries and their parts are: exact, and they stay as they are.

    What validates one is built with the first document that is read as it, and that of a part with
    its whole: a run would otherwise wait 0.1 s for validators that nobody asks.
    """


def refusal(what: str, todo: str, *path: str | int) -> PydanticCustomError:
    """Return the error by which a validator refuses a value.

    Args:
        what: what is wrong, a phrase that follows the name of the field.
        todo: what to do.
        path: where inside the value it is; the value itself if empty.
    """
    context = {"what": what, "todo": todo, "path": path}
    return PydanticCustomError("catalog", "{what}; {todo}", context)


# --- text ----------------------------------------------------------------------------------------

_TEXT = r"\S"
_SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_NAME = r"^[A-Za-z0-9._-]+$"
_MODEL = r"^\S+$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_FIELD = r"^[A-Za-z][A-Za-z0-9_]*$"
_ENTRYPOINT = r"^[^:\\\x00-\x1f]+\.py:[^\W\d]\w*$"
URL = r"^https?://[^\s/?#]+[^\s?#]*$"
_SUFFIX = r"^(/[A-Za-z0-9._~-]+)+$"
_TARGET = r"^[^/\s]+/\S+$"
_PATTERN = r"^[^\s\[\]]+$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

PATTERNS = {  # pattern -> what it wants, for the one who broke it
    _TEXT: ("must not be empty", "write a text"),
    _SLUG: ("must be lower-case words joined by '-'", "write it like 'my-agent'"),
    _NAME: ("must be letters, digits, '.', '-' and '_'", "write it like 'find-documents'"),
    _MODEL: ("must be a name without spaces", "write it as the provider spells it"),
    _VARIABLE: ("must be the name of an environment variable", "write it like OPENAI_API_KEY"),
    _FIELD: ("must be a letter, then letters, digits and '_'", "write it like 'key_points'"),
    _ENTRYPOINT: ("must be a relative path.py:attribute", "write it like 'agents/a.py:run'"),
    URL: ("must be an http:// or https:// URL", "write it like 'https://example.com/v1'"),
    _SUFFIX: ("must be a URL path without a '/' at its end", "write it like '/v1'"),
    _TARGET: ("must be provider/model", "write it like 'openai/gpt-4o'"),
    _DAY: ("must be a day", "write it like 2026-11-29"),
    _PATTERN: ("must be a name, or a pattern with '*' and '?'", "write it like 'gpt-4o*'"),
}

Text: TypeAlias = Annotated[str, Field(pattern=_TEXT)]
Slug: TypeAlias = Annotated[str, Field(pattern=_SLUG, max_length=LONGEST_NAME)]
Name: TypeAlias = Annotated[str, Field(pattern=_NAME, max_length=LONGEST_NAME)]
ModelName: TypeAlias = Annotated[str, Field(pattern=_MODEL, max_length=2 * LONGEST_NAME)]
Variable: TypeAlias = Annotated[str, Field(pattern=_VARIABLE, max_length=LONGEST_NAME)]
Identifier: TypeAlias = Annotated[str, Field(pattern=_FIELD, max_length=LONGEST_NAME)]
EntryPoint: TypeAlias = Annotated[str, Field(pattern=_ENTRYPOINT, max_length=1_000)]
BaseUrl: TypeAlias = Annotated[str, Field(pattern=URL, max_length=2_000)]
UrlSuffix: TypeAlias = Annotated[str, Field(pattern=_SUFFIX, max_length=LONGEST_NAME)]
TargetName: TypeAlias = Annotated[str, Field(pattern=_TARGET, max_length=3 * LONGEST_NAME)]
Pattern: TypeAlias = Annotated[str, Field(pattern=_PATTERN, max_length=3 * LONGEST_NAME)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=LONGEST_WAIT_S)]


# --- lists, and values not given -----------------------------------------------------------------


def unique(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return a list whose items are all different; refuse any other."""
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            raise refusal("has the same value twice", "remove one of the two", index)
        seen.add(value)
    return values


def _given(value: Any) -> Any:
    if value is None:
        raise refusal("has no value", "give it one, or remove the line")
    return value


Unique: TypeAlias = Annotated[
    tuple[T, ...],
    Strict(False),  # YAML has lists, an entry has tuples
    AfterValidator(unique),
    Field(json_schema_extra={"uniqueItems": True}),
]
"""A list without repetitions, as a tuple."""

Given: TypeAlias = Annotated[T | None, BeforeValidator(_given)]
"""A value that may be left out. Its key without a value is refused: it may mean anything."""


# --- days ----------------------------------------------------------------------------------------


def day_of(text: str) -> date:
    """Return the day that a ``Day`` is."""
    return date.fromisoformat(text)


def _real_day(text: str) -> str:
    try:
        day_of(text)
    except ValueError:
        raise refusal("is no day of the calendar", "write it like 2026-11-29") from None
    return text


Day: TypeAlias = Annotated[
    str,
    Field(pattern=_DAY),
    AfterValidator(_real_day),
    WithJsonSchema({"type": "string", "pattern": _DAY, "format": "date"}),
]
"""A day as YYYY-MM-DD."""


# --- money ---------------------------------------------------------------------------------------


def exact_usd(value: Any) -> Decimal:
    """Return US dollars exactly as they are written; refuse what is no amount of them."""
    written = re.fullmatch(_AMOUNT, value) if isinstance(value, str) else _is_number(value)
    if not written:
        raise refusal("must be an amount of US dollars", "write a number like 0.50")
    amount = Decimal(str(value))
    if abs(amount) >= _AMOUNT_LIMIT:
        raise refusal(f"must be less than {_AMOUNT_LIMIT:,} US dollars", "lower it")
    if amount != amount.quantize(_NANO):
        raise refusal("must not be finer than 0.000000001 US dollars", "round it")
    return amount


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def nano_usd(amount: Decimal) -> int:
    """Return US dollars as nano-dollars, exactly."""
    return int(amount / _NANO)


def _amount_schema(lowest: str, digits: str) -> WithJsonSchema:
    number = {"type": "number", lowest: 0, "exclusiveMaximum": int(_AMOUNT_LIMIT)}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": digits}]})


Amount: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(exact_usd),
    Field(ge=0),
    _amount_schema("minimum", f"^{_AMOUNT}$"),
]
"""US dollars, zero or more: a number, or a text where a float would not be exact."""

Limit: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(exact_usd),
    Field(gt=0),
    _amount_schema("exclusiveMinimum", f"^(?=.*[1-9]){_AMOUNT}$"),
]
"""US dollars, more than zero."""
