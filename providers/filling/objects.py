"""Objects: all properties that the schema names, and as many others as it is for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from providers.filling.conformance import conforms
from providers.filling.pattern import matching
from providers.filling.references import Unfillable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from providers.filling.demands import Demands
    from providers.filling.filler import Filler
    from providers.filling.source import Field, Path

ATTEMPTS = 8
MOST_PROPERTIES = 1_000
USUAL_ENTRIES = 2  # of an object that is a mapping: it names no properties, but says what they are
STRETCHES = (2, 0, 1, 3, 5)


def objects(filler: Filler, demands: Demands, path: Path, field: Field) -> Iterator[dict[str, Any]]:
    """Return objects that ought to satisfy ``demands``, the fullest first, the barest last.

    Raises:
        Unfillable: a required property could not be made, or too many are required.
    """
    for attempt in range(ATTEMPTS):
        with filler.attempt(attempt), filler.inside(demands):
            made = _Object(filler, demands, path, field).made(bare=False)
        yield made
    with filler.inside(demands):
        made = _Object(filler, demands, path, field).made(bare=True)
    yield made


class _Object:
    """One object in the making."""

    def __init__(self, filler: Filler, demands: Demands, path: Path, field: Field) -> None:
        self._filler = filler
        self._demands = demands
        self._path = path
        self._field = field
        self._required = {name for names in demands.all("required") for name in names}
        self._least = int(max(demands.all("minProperties"), default=0))
        self._most = int(min(demands.all("maxProperties"), default=MOST_PROPERTIES))

    def made(self, *, bare: bool) -> dict[str, Any]:
        if max(self._least, len(self._required)) > MOST_PROPERTIES:
            raise Unfillable(f"more properties than the {MOST_PROPERTIES} that are made")
        value: dict[str, Any] = {}
        for name in self._names(bare=bare):
            self._add(value, name)
        aim = min(self._most, max(self._least, 0 if bare else self._usual_entries()))
        for name in islice(self._other_names(), 4 * aim):
            if len(value) >= aim:
                break
            if name not in value and self._allows(name):
                self._add(value, name)
        return value

    def _add(self, value: dict[str, Any], name: str) -> None:
        try:
            value[name] = self._filler.value(self._demands.property(name), (*self._path, name))
        except Unfillable:
            if name in self._required:
                raise

    def _names(self, *, bare: bool) -> list[str]:
        """Return the names to fill, in the order of their declaration, the undeclared last."""
        declared = self._demands.declared()
        needed = self._with_dependents(self._required)
        optional = [name for name in declared if name not in needed and self._is_wanted(name)]
        spare = 0 if bare else max(0, self._most - len(needed))
        chosen = self._with_dependents({*needed, *optional[:spare]})
        return [*filter(chosen.__contains__, declared), *sorted(chosen - set(declared))]

    def _with_dependents(self, names: Iterable[str]) -> set[str]:
        chosen = set(names)
        waiting = list(chosen)
        while waiting:
            name = waiting.pop()
            for needs in self._demands.all("dependentRequired") + self._demands.all("dependencies"):
                more = set(needs[name] if isinstance(needs.get(name), list) else ()) - chosen
                chosen |= more
                waiting += more
        return chosen

    def _is_wanted(self, name: str) -> bool:
        return all(self._filler.repeats(part) <= 1 for part in self._demands.property(name))

    def _usual_entries(self) -> int:
        rest = [*self._demands.all("additionalProperties")]
        rest += [
            part for parts in self._demands.all("patternProperties") for part in parts.values()
        ]
        is_mapping = any(isinstance(part, Mapping) for part in rest)
        if self._demands.declared() or not is_mapping or any(map(self._repeats, rest)):
            return 0
        return len(list(self._filler.source.names(self._field))) or USUAL_ENTRIES

    def _repeats(self, schema: Any) -> bool:
        return self._filler.repeats(schema) > 1

    def _allows(self, name: str) -> bool:
        return all(
            conforms(name, names, self._filler.references)
            for names in self._demands.all("propertyNames")
        )

    def _other_names(self) -> Iterator[str]:
        yield from self._filler.source.names(self._field)
        dice = self._filler.dice
        patterns = [one for many in self._demands.all("patternProperties") for one in many]
        for number in count(1):
            place = f"{self._filler.place(self._path)} name {number}"
            for pattern in patterns:
                yield matching(pattern, dice, place, STRETCHES[number % len(STRETCHES)])
            if names := self._demands.all("propertyNames"):
                with self._filler.attempt(number):
                    yield self._filler.value([{"type": "string"}, *names], self._path)
            yield f"property_{number}"
