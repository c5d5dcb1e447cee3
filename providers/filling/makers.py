"""How a value of each JSON type is made; every maker proposes several, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from providers.filling.arrays import arrays
from providers.filling.numbers import number_candidates
from providers.filling.objects import objects
from providers.filling.strings import string_candidates

if TYPE_CHECKING:
    from providers.filling.demands import Demands
    from providers.filling.filler import Filler
    from providers.filling.source import Field, Path

Maker = Callable[["Filler", "Demands", "Path", "Field"], Iterator[Any]]


def _strings(filler: Filler, demands: Demands, path: Path, _field: Field) -> Iterator[Any]:
    return string_candidates(demands, filler.dice, filler.place(path), filler.source.words())


def _integers(filler: Filler, demands: Demands, path: Path, _field: Field) -> Iterator[Any]:
    return number_candidates(demands, filler.dice, filler.place(path), integer=True)


def _numbers(filler: Filler, demands: Demands, path: Path, _field: Field) -> Iterator[Any]:
    return number_candidates(demands, filler.dice, filler.place(path), integer=False)


def _booleans(filler: Filler, _demands: Demands, path: Path, _field: Field) -> Iterator[Any]:
    return iter(filler.dice.rotated([True, False], filler.place(path)))


def _nulls(_filler: Filler, _demands: Demands, _path: Path, _field: Field) -> Iterator[Any]:
    return iter([None])


MAKERS: dict[str, Maker] = {
    "string": _strings,
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "null": _nulls,
    "object": objects,
    "array": arrays,
}
