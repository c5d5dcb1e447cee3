"""The walk that fills a schema: propose, check, take the first that conforms."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from providers.filling.conformance import conforms
from providers.filling.demands import Demands, alternatives
from providers.filling.dice import Dice
from providers.filling.json_types import listed
from providers.filling.makers import MAKERS
from providers.filling.nesting import DEEPEST, Nesting
from providers.filling.references import References, Unfillable
from providers.filling.shape import check_shape
from providers.filling.source import Field, NoSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from providers.filling.source import Path, Source

MOST_STEPS = 50_000  # a second or two; nobody means such a schema
MOST_ALTERNATIVES = 64
SHOWN = 12


class Filled(NamedTuple):
    """A value that satisfies its schema.

    Attributes:
        value: the JSON value.
        invented: the paths of those parts of it that no source gave, e.g. ``$.items[0].year``.
    """

    value: Any
    invented: tuple[str, ...]


def fill(schema: Any, seed: str, source: Source | None = None) -> Filled:
    """Return a value that satisfies ``schema``, the same one for the same seed.

    Args:
        schema: a JSON Schema, draft 2020-12 or older.
        seed: what decides about everything that is invented, e.g. the prompt.
        source: where better values come from.

    Raises:
        Unfillable: no value was found; the message says where and why.
    """
    check_shape(schema)
    filler = Filler(schema, Dice(seed), source or NoSource())
    try:
        value = filler.value([schema], ())
    except _GaveUp as failure:
        raise Unfillable(*failure.args) from None
    return Filled(value, tuple(map(place_of, filler.invented_in(value))))


def place_of(path: Path) -> str:
    """Return ``path`` as a person writes it; a long one is cut."""
    steps = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[:SHOWN]]
    return "$" + "".join(steps) + ("..." if len(path) > SHOWN else "")


class _GaveUp(Exception):
    """Too much was tried; unlike ``Unfillable`` it leaves no alternative."""


class Filler:
    """One walk through one schema.

    Attributes:
        dice: what decides where nothing else does.
        source: where better values come from.
        nesting: what is known about the schema's depth.
    """

    def __init__(self, schema: Any, dice: Dice, source: Source) -> None:
        self.dice = dice
        self.source = source
        self.references = References(schema)
        self.nesting = Nesting(self.references)
        self._open: list[frozenset[str]] = []
        self._salts: tuple[int, ...] = ()
        self._steps = 0
        self._invented: set[Path] = set()

    def value(self, schemas: list[Any], path: Path) -> Any:
        """Return a value for the place ``path`` that satisfies all of ``schemas``.

        Raises:
            Unfillable: none was found.
        """
        if len(path) > DEEPEST:
            raise Unfillable(f"nested deeper than {DEEPEST} levels", place_of(path))
        reason = Unfillable("nothing satisfies the schema")
        for demands in self._alternatives(schemas, path):
            self._step(path)
            try:
                for candidate, invented in self._candidates(demands, path):
                    self._step(path)
                    if all(conforms(candidate, schema, self.references) for schema in schemas):
                        (self._invented.add if invented else self._invented.discard)(path)
                        return candidate
            except Unfillable as failure:
                reason = failure
        raise reason.located(place_of(path))

    def field(self, demands: Demands, path: Path, type_name: str) -> Field:
        """Return what a source is told about the place ``path``."""
        items = demands.item(0) if type_name == "array" else []
        first = next(self._alternatives(items, path), None) or Demands()
        return Field(
            path=path,
            type=type_name,
            description=demands.description(),
            bounds=demands.bounds(),
            choices=tuple(demands.constants() or ()),
            defaults=tuple(demands.all("default")),
            item_type=next(iter(first.types()), "") if items else "",
            item_choices=tuple(first.constants() or ()),
        )

    def roll(self, sides: int, path: Path) -> int:
        """Return a whole number below ``sides`` for the place ``path``."""
        return self.dice.below(sides, self.place(path))

    def place(self, path: Path) -> str:
        """Return what tells the dice where a choice is made, and in which attempt."""
        return f"{place_of(path)} {self._salts}"

    @contextmanager
    def inside(self, demands: Demands) -> Iterator[None]:
        """Remember, while a value's parts are made, which references led to it."""
        self._open.append(demands.followed)
        try:
            yield
        finally:
            self._open.pop()

    @contextmanager
    def attempt(self, number: int) -> Iterator[None]:
        """Let everything that is chosen inside be chosen anew; attempt 0 changes nothing."""
        before = self._salts
        self._salts = (*before, number) if number else before
        try:
            yield
        finally:
            self._salts = before

    def repeats(self, schema: Any) -> int:
        """Return how often the references in ``schema`` were followed on the way here already."""
        held = self.nesting.references_in(schema)
        return max((sum(name in opened for opened in self._open) for name in held), default=0)

    def invented_in(self, value: Any) -> list[Path]:
        """Return the paths of what was invented, without those of attempts that were given up."""
        return [path for path in sorted(self._invented, key=str) if _has(value, path)]

    def _step(self, path: Path) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise _GaveUp(f"gave up after {MOST_STEPS} steps", place_of(path))

    def _alternatives(self, schemas: list[Any], path: Path) -> Iterator[Demands]:
        found = alternatives(
            schemas, self.references, lambda branches: self._ordered(branches, path)
        )
        try:
            yield from islice(found, MOST_ALTERNATIVES)
        except Unfillable as failure:
            raise failure.located(place_of(path)) from None

    def _ordered(self, branches: list[Any], path: Path) -> list[Any]:
        """Put those first that say something, then those that end a recursion soonest."""

        def cost(branch: Any) -> tuple[bool, bool, int, float]:
            repeats = self.repeats(branch)
            null = isinstance(branch, dict) and listed(branch.get("type")) == ["null"]
            needed = self.nesting.needed(branch) if repeats else 0
            return repeats > 1, null, repeats, needed

        ending = [branch for branch in branches if self.nesting.needed(branch) < DEEPEST]
        return sorted(self.dice.rotated(ending, self.place(path)), key=cost)

    def _candidates(self, demands: Demands, path: Path) -> Iterator[tuple[Any, bool]]:
        """Return values for ``path``, each with whether it is invented."""
        constants = demands.constants()
        reason: Unfillable | None = None
        for type_name in demands.types():
            field = self.field(demands, path, type_name)
            for value in self.source.values(field):
                if not isinstance(value, dict) or value.keys() >= set(demands.declared()):
                    yield value, False
            if constants is not None:
                continue
            try:
                for value in MAKERS[type_name](self, demands, path, field):
                    yield value, type_name not in ("object", "array")
            except Unfillable as failure:
                reason = reason or failure
        rotated = self.dice.rotated(constants or [], self.place(path))
        yield from ((value, len(rotated) > 1) for value in rotated)
        for value in (
            *demands.all("default"),
            *(one for many in demands.all("examples") for one in many),
        ):
            yield value, True
        if reason is not None:
            raise reason


def _has(value: Any, path: Path) -> bool:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
