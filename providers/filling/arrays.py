"""Arrays: as many items as a source has or chance says, within what the schema allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from providers.filling.references import Unfillable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from providers.filling.demands import Demands
    from providers.filling.filler import Filler
    from providers.filling.source import Field, Path

ATTEMPTS = 4
USUAL = 3
MOST_ITEMS = 1_000


def arrays(filler: Filler, demands: Demands, path: Path, field: Field) -> Iterator[list[Any]]:
    """Return arrays that ought to satisfy ``demands``.

    Raises:
        Unfillable: too few items could be made.
    """
    least, natural = _size(filler, demands, path, field)
    for attempt in range(ATTEMPTS):
        with filler.attempt(attempt), filler.inside(demands):
            items = _items(filler, demands, path, least, natural)
        yield items
    if natural > least:
        with filler.inside(demands):
            items = _items(filler, demands, path, least, least)
        yield items


def _size(filler: Filler, demands: Demands, path: Path, field: Field) -> tuple[int, int]:
    """Return the fewest items that are allowed and the number that is aimed at."""
    contained = sum(schema.get("minContains", 1) for schema in _containing(demands))
    least = max([contained, *demands.all("minItems")])
    if least > MOST_ITEMS:
        raise Unfillable(f"{least} items are more than the {MOST_ITEMS} that are made")
    most = min([MOST_ITEMS, *demands.all("maxItems")])
    usual = filler.source.count(field)
    if usual is None:
        deep = any(filler.repeats(schema) > 1 for schema in demands.schemas)
        usual = 0 if deep else 1 + filler.roll(USUAL, path)
    usual = max([usual, *(len(prefix) for prefix in _prefixes(demands))])
    return int(least), int(max(least, min(usual, most)))


def _prefixes(demands: Demands) -> list[list[Any]]:
    """Return the schemas of positions that have one of their own, in either spelling."""
    older = [items for items in demands.all("items") if isinstance(items, list)]
    return [*demands.all("prefixItems"), *older]


def _containing(demands: Demands) -> list[Any]:
    return [schema for schema in demands.schemas if "contains" in schema]


def _items(filler: Filler, demands: Demands, path: Path, least: int, aim: int) -> list[Any]:
    unique = any(demands.all("uniqueItems"))
    wanted = _wanted(demands)
    items: list[Any] = []
    for position in range(aim):
        schemas = demands.item(position) + wanted[position : position + 1]
        if unique:
            schemas.append({"not": {"enum": items.copy()}})
        try:
            items.append(filler.value(schemas, (*path, position)))
        except Unfillable:
            if position < least:
                raise
            break
    return items


def _wanted(demands: Demands) -> list[Any]:
    """Return what ``contains`` asks for, as often as it asks."""
    return [
        schema["contains"]
        for schema in _containing(demands)
        for _ in range(int(schema.get("minContains", 1)))
    ]
