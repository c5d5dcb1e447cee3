"""Reading the fields of a record's body: each of its type, or a clear refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LARGEST = 2**53  # what every JSON reader holds exactly; a thousand of them still fit into 64 bits


def check_count(name: str, value: int) -> None:
    """Refuse what cannot be summed up.

    Raises:
        TypeError: it is no integer.
        ValueError: it is negative or above 2**53.
    """
    if not isinstance(value, int):
        raise TypeError(f"{name} must be int, got {type(value).__name__}")
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{name} must be between 0 and 2**53, got {value}")


def count_in(body: Mapping[str, Any], name: str) -> int:
    """Return a count; 0 when it is not given. Raises what ``check_count`` raises."""
    value: int = body.get(name) or 0
    if type(value) is not int or not 0 <= value <= _LARGEST:
        check_count(name, value)
    return value


def counts_in(body: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    """Return several counts, by their names; see ``count_in``."""
    counts = {name: body.get(name) or 0 for name in names}
    values = counts.values()
    if {*map(type, values)} != {int} or min(values) < 0 or max(values) > _LARGEST:
        for name, value in counts.items():
            check_count(name, value)
    return counts


def field_in(body: Mapping[str, Any], name: str, *wanted: type) -> Any:
    """Return a value of one of some types; None when it is not given.

    A half of a surrogate pair in a text, which no database can hold, becomes a question mark.

    Raises:
        TypeError: it is of another type.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, wanted):
        raise TypeError(f"{name} must be {wanted[0].__name__}, got {type(value).__name__}")
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="replace").decode()
    return value
